"""What a stack's program registers, with no engine and no cloud: `python -m infra.recorded stacks/aws-dev.yaml` prints it.

Runs as in a preview: what only a cloud can tell is not known. Owns what an account that grants everything answers to the
questions that our components ask; refuses a question that it has no answer for. Each registration is a row as the engine
writes them, inputs in its own wire form.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
from google.protobuf import json_format
from pulumi.runtime import mocks

from fleet.catalog.clouds import Cloud, zones

Json = dict[str, Any]
ACCOUNT = "111122223333"
CA = base64.b64encode(b"test certificate authority").decode()
KUBECONFIG = json.dumps({"apiVersion": "v1", "kind": "Config", "clusters": [], "users": [], "contexts": []})
# The settings without which a stack of a cloud cannot be built.
ACCOUNTS = {"gcp:project": "test-project", "azure-native:subscriptionId": "00000000-0000-0000-0000-000000000000"}
_STACK = "pulumi:pulumi:Stack"


def _aws_zones(args: Json) -> Json:
    names = list(zones(Cloud.AWS, args.get("region", "us-east-1")))
    return {"names": names, "zoneIds": names, "id": "zones"}


# Invoke token -> answer, or a function of the arguments.
INVOKES: dict[str, Json | Callable[[Json], Json]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": {
        "accountId": ACCOUNT,
        "arn": f"arn:aws:iam::{ACCOUNT}:user/test",
        "userId": "AIDATEST",
        "id": ACCOUNT,
    },
    "aws:index/getAvailabilityZones:getAvailabilityZones": _aws_zones,
    "aws:index/getPartition:getPartition": {
        "partition": "aws",
        "dnsSuffix": "amazonaws.com",
        "reverseDnsPrefix": "com.amazonaws",
        "id": "aws",
    },
    "aws:index/getRegion:getRegion": {"name": "us-east-1", "region": "us-east-1", "id": "us-east-1"},
    "aws:iam/getPolicyDocument:getPolicyDocument": lambda args: {
        "json": json.dumps({"Version": "2012-10-17", "Statement": args.get("statements", [])}),
        "id": "policy",
    },
    "aws:ssm/getParameter:getParameter": {"value": "ami-0123456789abcdef0", "type": "String", "version": 1, "id": "ami"},
    "gcp:organizations/getClientConfig:getClientConfig": {
        "project": "test-project",
        "region": "us-central1",
        "zone": "us-central1-a",
        "accessToken": "mock",
        "id": "config",
    },
    "gcp:organizations/getProject:getProject": {
        "projectId": "test-project",
        "number": "123456789012",
        "name": "test-project",
        "id": "projects/test-project",
    },
    "gcp:compute/getZones:getZones": lambda args: {"names": list(zones(Cloud.GCP, args.get("region", "us-central1")))},
    "azure-native:authorization:getClientConfig": {
        "clientId": "00000000-0000-0000-0000-00000000c11e",
        "objectId": "00000000-0000-0000-0000-0000000000b1",
        "subscriptionId": "00000000-0000-0000-0000-0000000005ab",
        "tenantId": "00000000-0000-0000-0000-00000000007e",
    },
    **{
        f"azure-native:containerservice:listManagedCluster{role}Credentials": {
            "kubeconfigs": [{"name": f"cluster{role}", "value": base64.b64encode(KUBECONFIG.encode()).decode()}]
        }
        for role in ("User", "Admin")
    },
}


class _Cloud(mocks.Mocks):
    """Answers questions, and of a resource nothing but what was asked for."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        given = dict(args.inputs)
        identity = given.get("identity")
        if isinstance(identity, dict) and isinstance(lent := identity.get("userAssignedIdentities"), list):
            # Azure is told a list and answers with a map, which the SDK's types hold it to.
            given["identity"] = {**identity, "userAssignedIdentities": {str(one): {} for one in lent}}
        return args.resource_id or "", given

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        if args.token not in INVOKES:
            raise KeyError(f"no answer to {args.token}: add one to infra/recorded.py")
        answer = INVOKES[args.token]
        return (answer(args.args) if callable(answer) else {**args.args, **answer}), []


class _Monitor(mocks.MockMonitor):
    """Keeps what is registered, as it comes over the wire."""

    def __init__(self) -> None:
        super().__init__(_Cloud())
        self.rows: list[Json] = []

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the protocol names it
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type != _STACK:
            self.rows.append(
                {
                    "urn": response.urn,
                    "type": request.type,
                    "custom": request.custom,
                    "parent": request.parent,
                    "dependencies": list(request.dependencies),
                    "inputs": json_format.MessageToDict(request.object),
                }
            )
        return response


def registrations(name: str, program: Callable[[], Any]) -> list[Json]:
    """What this program registers as stack `name`.

    Raises:
        Exception: whatever the program raised.
    """
    monitor = _Monitor()
    mocks.set_mocks(_Cloud(), project="accelfleet", stack=name, preview=True, monitor=monitor)
    for key, value in ACCOUNTS.items():
        pulumi.runtime.set_config(key, value)

    def run() -> None:
        # A failure is raised to the caller; futures that hold it, too, would print it once more.
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        program()

    pulumi.runtime.test(run)()  # type: ignore[no-untyped-call]
    return monitor.rows


def main(file: Path) -> None:
    """Print the registrations of a stack file, one JSON list."""
    # Here, since who wants the answers alone need not load a platform.
    from fleet.load import load_stack  # noqa: PLC0415
    from infra.platform import deploy  # noqa: PLC0415
    from infra.stack import Stack  # noqa: PLC0415

    stack = Stack(file.stem, load_stack(file))
    print(json.dumps(registrations(stack.name, lambda: deploy(stack))))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
