"""Pulumi's engine replaced by a recorder: what a program registers, asks and exports, and nothing provisioned.

Owns the computed outputs that our components read; answers to invokes are `infra.recorded`'s. Refuses an invoke that has
no answer, so that a new question to a cloud is a decision somebody made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi.runtime import mocks, rpc
from pulumi.runtime.settings import get_root_resource
from pulumi.runtime.stack import Stack

from infra.recorded import ACCOUNT, ACCOUNTS, CA, INVOKES, KUBECONFIG

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One registration: inputs under their wire names, and the options the engine was given.

    Attributes:
        outputs: what the mocked cloud answered; for a component, what it registered.
        parent, provider, dependencies: URNs; a provider's ends in `::<id>`.
    """

    urn: str
    type: str
    name: str
    custom: bool
    inputs: Json
    outputs: Json
    parent: str = ""
    provider: str = ""
    protect: bool = False
    ignore_changes: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    delete_before_replace: bool = False
    retain_on_delete: bool = False
    import_id: str = ""


@dataclass
class Recorder:
    """Everything one program did, in the order of registration."""

    resources: list[Resource] = field(default_factory=list)
    invokes: list[tuple[str, Json]] = field(default_factory=list)
    exports: Json = field(default_factory=dict)

    def all(self, type_: str) -> dict[str, Resource]:
        """Registrations of that type token, by resource name."""
        return {r.name: r for r in self.resources if r.type == type_}

    def of(self, type_: str) -> dict[str, Json]:
        """Inputs of that type token's resources, by resource name."""
        return {name: r.inputs for name, r in self.all(type_).items()}

    def one(self, type_: str) -> Resource:
        """The only resource of that type."""
        found = self.all(type_)
        assert len(found) == 1, f"{len(found)} of {type_}: {sorted(found)}; the program made {sorted(self.types())}"
        return next(iter(found.values()))

    def types(self) -> set[str]:
        return {r.type for r in self.resources}

    def outputs(self, type_: str) -> dict[str, Json]:
        """What components of that type registered as outputs, by resource name."""
        return {name: r.outputs for name, r in self.all(type_).items()}

    def children(self, parent: Resource) -> list[Resource]:
        return [r for r in self.resources if r.parent == parent.urn]

    def depends_on(self, resource: Resource) -> Iterator[Resource]:
        """The recorded resources that `resource` waits for."""
        return (r for r in self.resources if r.urn in resource.dependencies)


def _plain(value: Any) -> Any:
    """The value without secret wrappers, at any depth."""
    value = rpc.unwrap_rpc_secret(value)
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value


def _computed(type_: str, name: str, inputs: Json) -> Json:
    """Outputs that the cloud computes and our components read."""
    extra: Json = {"arn": f"arn:aws:mock:us-east-1:{ACCOUNT}:{name}"} if type_.startswith("aws:") else {}
    match type_:
        case "aws:eks/cluster:Cluster":
            extra |= {
                "endpoint": f"https://{name}.eks.test",
                "certificateAuthority": {"data": CA},
                "vpcConfig": {**(inputs.get("vpcConfig") or {}), "clusterSecurityGroupId": f"sg-{name}"},
                "identities": [{"oidcs": [{"issuer": f"https://oidc.test/{name}"}]}],
                "status": "ACTIVE",
            }
        case "aws:eks/nodeGroup:NodeGroup":
            extra |= {"resources": [{"autoscalingGroups": [{"name": f"asg-{name}"}]}], "status": "ACTIVE"}
        case "aws:ec2/launchTemplate:LaunchTemplate":
            extra |= {"latestVersion": 1, "defaultVersion": 1}
        case "aws:ec2/vpc:Vpc":
            extra |= {"defaultSecurityGroupId": f"{name}-default-sg", "defaultRouteTableId": f"{name}-default-rt"}
        case "aws:sqs/queue:Queue":
            extra |= {"url": f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/{inputs.get('name', name)}"}
        case "gcp:compute/network:Network":
            extra |= {"networkId": "4455667788990011223"}
        case "gcp:container/cluster:Cluster":
            extra |= {"endpoint": "203.0.113.10", "masterAuth": {"clusterCaCertificate": CA}}
        case "gcp:serviceaccount/account:Account":
            extra |= {
                "name": f"projects/test-project/serviceAccounts/{inputs.get('accountId', name)}@test-project",
                "email": f"{inputs.get('accountId', name)}@test-project.iam.gserviceaccount.com",
                "uniqueId": "112233445566778899001",
                "member": f"serviceAccount:{inputs.get('accountId', name)}@test-project.iam.gserviceaccount.com",
            }
        case "gcp:cloudrunv2/service:Service":
            extra |= {"uri": f"https://{inputs.get('name', name)}.a.run.app"}
        case "gcp:bigquery/connection:Connection":
            extra |= {"cloudResource": {"serviceAccountId": f"{name}@bigquery.test"}}
        case "gcp:storage/bucket:Bucket":
            extra |= {"url": f"gs://{inputs.get('name', name)}"}
        case "azure-native:containerservice:ManagedCluster":
            extra |= {
                "fqdn": f"{name}.azmk8s.test",
                "oidcIssuerProfile": {**inputs.get("oidcIssuerProfile", {}), "issuerURL": f"https://oidc.test/{name}/"},
                "identityProfile": {"kubeletidentity": {"clientId": f"{name}-kubelet", "objectId": f"{name}-kubelet-object"}},
                "nodeResourceGroup": f"MC_{name}",
                # ARM takes a list of identity ids and answers a map of them.
                "identity": {"type": "UserAssigned", "userAssignedIdentities": {"id": {"clientId": f"{name}-client"}}},
            }
        case "azure-native:machinelearningservices:OnlineEndpoint":
            extra |= {
                "properties": {**inputs["properties"], "scoringUri": f"https://{inputs['endpointName']}.inference.test/score"}
            }
        case "azure-native:network:PublicIPAddress":
            extra |= {"ipAddress": "203.0.113.7"}
        case "azure-native:keyvault:Key":
            extra |= {"keyUriWithVersion": "https://vault.test/keys/etcd/0123"}
        case "azure-native:managedidentity:UserAssignedIdentity":
            extra |= {"clientId": f"{name}-client", "principalId": f"{name}-principal", "tenantId": "tenant"}
        case "azure-native:storage:StorageAccount":
            account = inputs.get("accountName", name)
            extra |= {
                "primaryEndpoints": {
                    "blob": f"https://{account}.blob.core.windows.net/",
                    "dfs": f"https://{account}.dfs.core.windows.net/",
                }
            }
    if type_.startswith("gcp:"):
        extra |= {"selfLink": f"https://www.googleapis.com/mock/{name}", "project": inputs.get("project", "test-project")}
    if type_.startswith("azure-native:"):
        extra = {"name": _azure_name(inputs, name), **_azure_identity(inputs), **extra}
    return extra


def _azure_identity(inputs: Json) -> Json:
    """A resource's own identity has a principal; of those that it is lent ARM takes a list of ids and answers a map."""
    given = inputs.get("identity")
    if not isinstance(given, dict) or "type" not in given:
        return {}
    lent = {
        id_: {"clientId": f"{id_}-client", "principalId": f"{id_}-principal"}
        for id_ in given.get("userAssignedIdentities") or []
    }
    return {"identity": {**given, "principalId": "own-principal", "tenantId": "tenant", "userAssignedIdentities": lent}}


def _azure_name(inputs: Json, fallback: str) -> str:
    """Azure's resources answer `name`, whatever their input is called."""
    for key in (
        "queueName",
        "topicName",
        "systemTopicName",
        "resourceName",
        "resourceGroupName",
        "virtualNetworkName",
        "accountName",
        "agentPoolName",
        "containerName",
    ):
        # A child names its parent too; only a resource group is named by resourceGroupName.
        if key in inputs and (key != "resourceGroupName" or "resourceName" not in inputs):
            return str(inputs[key])
    return fallback


def _id(type_: str, name: str, inputs: Json) -> str:
    """As its cloud writes it, where somebody takes an id apart."""
    match type_:
        case "gcp:pubsub/subscription:Subscription":
            return f"projects/test-project/subscriptions/{inputs.get('name', name)}"
        case "azure-native:servicebus:Queue":
            group, space, queue = (inputs[key] for key in ("resourceGroupName", "namespaceName", "queueName"))
            within = f"/subscriptions/{ACCOUNTS['azure-native:subscriptionId']}/resourceGroups/{group}"
            return f"{within}/providers/Microsoft.ServiceBus/namespaces/{space}/queues/{queue}"
    return f"{name}-id"


class _Cloud(mocks.Mocks):
    """Answers as a cloud would that grants everything."""

    def __init__(self, recorder: Recorder, invokes: dict[str, Json | Callable[[Json], Json]]) -> None:
        self._recorder = recorder
        self._invokes = INVOKES | invokes

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        inputs = _plain(args.inputs)
        if args.custom is False and not args.resource_id:
            return "", inputs
        return args.resource_id or _id(args.typ, args.name, inputs), {**inputs, **_computed(args.typ, args.name, inputs)}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        inputs = _plain(args.args)
        self._recorder.invokes.append((args.token, inputs))
        if args.token not in self._invokes:
            raise KeyError(f"no canned answer for the invoke {args.token}: add one to infra/recorded.py")
        answer = self._invokes[args.token]
        return (answer(inputs) if callable(answer) else {**inputs, **answer}), []


class _Monitor(mocks.MockMonitor):
    """Keeps the options of a registration, which the SDK's mocks drop."""

    def __init__(self, cloud: _Cloud, recorder: Recorder) -> None:
        super().__init__(cloud)
        self._recorder = recorder
        self._component_outputs: dict[str, Json] = {}

    def RegisterResource(self, request: Any) -> Any:
        response = super().RegisterResource(request)
        if request.type == "pulumi:pulumi:Stack":
            return response
        if any(r.urn == response.urn for r in self._recorder.resources):
            raise AssertionError(f"duplicate resource URN {response.urn}: give one of the two another name")
        self._recorder.resources.append(
            Resource(
                urn=response.urn,
                type=request.type,
                name=request.name,
                custom=request.custom,
                inputs=_plain(rpc.deserialize_properties(request.object)),
                outputs=_plain(rpc.deserialize_properties(response.object)) if request.custom else self._outputs(response.urn),
                parent=request.parent,
                provider=request.provider,
                protect=request.protect,
                ignore_changes=tuple(request.ignoreChanges),
                dependencies=tuple(request.dependencies),
                aliases=tuple(a.urn or a.spec.name or a.spec.type for a in request.aliases),
                delete_before_replace=request.deleteBeforeReplace,
                retain_on_delete=request.retainOnDelete,
                import_id=request.importId,
            )
        )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:
        self._outputs(request.urn).update(_plain(rpc.deserialize_properties(request.outputs)))
        return super().RegisterResourceOutputs(request)

    def _outputs(self, urn: str) -> Json:
        return self._component_outputs.setdefault(urn, {})


def set_accounts() -> None:
    """The settings without which a stack of a cloud cannot be built."""
    for key, value in ACCOUNTS.items():
        pulumi.runtime.set_config(key, value)


def deploy(
    program: Callable[[], None],
    *,
    project: str = "accelfleet",
    stack: str = "test",
    preview: bool = False,
    invokes: dict[str, Json | Callable[[Json], Json]] | None = None,
) -> Recorder:
    """Run `program` as a Pulumi program against mocks, to its very end.

    Args:
        preview: run as `pulumi preview` does.
        invokes: answers that go before the canned ones.

    Raises:
        Exception: whatever the program raised, in its own frame or in an `apply`.
    """
    recorder = Recorder()
    cloud = _Cloud(recorder, invokes or {})
    mocks.set_mocks(cloud, project=project, stack=stack, preview=preview, monitor=_Monitor(cloud, recorder))

    def run() -> pulumi.Output[Any]:
        # The failure reaches the test by itself; futures that also hold it would report it from the collector, where
        # formatting a traceback can break a parse in progress (python/cpython#106905).
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        root = get_root_resource()
        assert isinstance(root, Stack)
        root.outputs = {}
        program()
        return pulumi.Output.all(**root.outputs).apply(recorder.exports.update)

    pulumi.runtime.test(run)()
    return recorder


__all__ = ["ACCOUNT", "ACCOUNTS", "CA", "INVOKES", "KUBECONFIG", "Recorder", "Resource", "deploy", "set_accounts"]
