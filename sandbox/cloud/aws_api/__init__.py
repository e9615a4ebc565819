"""AWS's own API on the daemon, for programs that speak it: Karpenter, by its SDK's `AWS_ENDPOINT_URL`.

Owns which operations there are; what they do acts on the same records as the provider plugin's. Refuses every other operation
by name. Signatures are not checked: whoever reaches loopback is the account's owner.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sandbox.cloud.aws_api import ec2, fleet, services
from sandbox.cloud.aws_api.wire import Call, Handler, refuse, serialize
from sandbox.cloud.errors import CloudError
from sandbox.cloud.world import World

PATH = "/aws"

OPERATIONS: dict[str, dict[str, Handler]] = {"ec2": {**ec2.OPERATIONS, **fleet.OPERATIONS}, **services.OPERATIONS}
_SCOPE = re.compile(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/aws4_request")


def answer(world: World, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one request; the service and the region are those that it was signed for."""
    scope = _SCOPE.search(headers.get("authorization", ""))
    if scope is None:
        return refuse("sts", CloudError("MissingAuthenticationToken", "the request is not signed", 403))
    region, service = scope.groups()
    if service not in OPERATIONS:
        return refuse(service, CloudError("UnknownOperationException", f"the sandbox's AWS has no {service}"))
    try:
        call = Call.read(service, region, OPERATIONS[service], method, path, headers, body)
        return serialize(call, OPERATIONS[service][call.operation](world, call))
    except CloudError as refused:
        return refuse(service, refused)


__all__ = ["OPERATIONS", "PATH", "answer"]
