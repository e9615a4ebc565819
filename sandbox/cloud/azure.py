"""Azure as far as a platform notices: ARM ids, AKS with its agent pools, what holds what, Blob storage.

Follows the ARM REST references of Microsoft.Network, Microsoft.ContainerService and Microsoft.Storage.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fleet.catalog.clouds import Cloud
from sandbox.cloud.aks_pools import pool_of, provisions, refuse_two_autoscalers, resize
from sandbox.cloud.behaviour import AZURE_SUBSCRIPTION, AZURE_TENANT, Behaviour, serial
from sandbox.cloud.errors import CloudError
from sandbox.cloud.pools import hardware, refuse_absent
from sandbox.cloud.quotas import refuse_over_quota
from sandbox.cloud.records import Record
from sandbox.cluster import NodePool
from sandbox.cluster.node_provisioning import WEIGHTS, install

if TYPE_CHECKING:
    from sandbox.cloud.world import World


def subscription(record: Record) -> str:
    return str(record.config.get("subscriptionId") or AZURE_SUBSCRIPTION)


def made_up_guid(*parts: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(parts)))


@dataclass(frozen=True)
class Azure(Behaviour):
    """An ARM resource. `path` follows the resource group, each `{input}` filled from the inputs."""

    path: str | None = None

    def identify(self, world: World, record: Record) -> str:
        group = f"/subscriptions/{subscription(record)}/resourceGroups/{record.inputs.get('resourceGroupName', '')}"
        if self.path is None:
            return f"{group}/providers/{_guess(record)}/{'/'.join(_names(record)) or made_up_guid(record.urn)}"
        return f"{group}{self.path.format(**{k: v for k, v in record.inputs.items() if isinstance(v, str)})}"

    def refuse(self, world: World, record: Record) -> None:
        """Everything but a resource group needs its group to be there first."""
        group = record.inputs.get("resourceGroupName")
        if group and record.type != _GROUP:
            groups = [r.inputs.get("resourceGroupName") for r in world.records.all("azure-native", _GROUP)]
            if group not in groups:
                raise CloudError("ResourceGroupNotFound", f"resource group '{group}' could not be found", 404)

    def outputs(self, world: World, record: Record) -> dict[str, Any]:
        out: dict[str, Any] = {
            "name": record.id.rsplit("/", 1)[-1],
            "provisioningState": "Succeeded",
            "azureApiVersion": "sandbox",
        }
        # Where the SDK promises them and the program did not say: what ARM answers with.
        promised = {"location": self._place(world, record), "type": _arm_type(record.id)}
        out |= {k: v for k, v in promised.items() if record.outputs.get(k) == ""}
        if record.inputs.get("identity"):
            out["identity"] = _identity(world, record)
        return out | self.computed(world, record)

    @staticmethod
    def _place(world: World, record: Record) -> str:
        """The provider's own location, else the group's, as azure-native fills it in."""
        groups = [r for r in world.records.all("azure-native", _GROUP) if record.id.startswith(r.id + "/")]
        return str(record.config.get("location") or next((r.outputs.get("location") for r in groups), None) or "eastus")

    def computed(self, world: World, record: Record) -> dict[str, Any]:
        """Outputs of this type alone."""
        return {}


_GROUP = "azure-native:resources:ResourceGroup"
_IDENTITY = "azure-native:managedidentity:UserAssignedIdentity"


def _guess(record: Record) -> str:
    """Provider and collection of an unlisted type: `network:PublicIPAddress` -> Microsoft.Network/publicIPAddresses."""
    _, module, kind = record.type.split(":")
    plural = kind[0].lower() + kind[1:]
    plural = plural + "es" if plural.endswith("s") else plural[:-1] + "ies" if plural.endswith("y") else plural + "s"
    return f"Microsoft.{module.split('/')[0].capitalize()}/{plural}"


def _names(record: Record) -> list[str]:
    """What an unlisted type is called, below what it belongs to: every `…Name` it was given, the group's apart."""
    named = {k: v for k, v in record.inputs.items() if k.lower().endswith("name") and k != "resourceGroupName"}
    return [v for v in named.values() if isinstance(v, str)]


class ResourceGroup(Azure):
    def identify(self, world: World, record: Record) -> str:
        return f"/subscriptions/{subscription(record)}/resourceGroups/{record.inputs['resourceGroupName']}"

    def deleting(self, world: World, record: Record) -> None:
        """Deleting a group deletes what is in it, the azure-native way (leftovers included)."""
        delete_below(world, record)


def delete_below(world: World, record: Record) -> None:
    """Delete all whose id is below this one's, what holds another first.

    Raises:
        CloudError: something is held from elsewhere.
    """
    left = [r for r in world.records.all("azure-native") if r.id.startswith(record.id + "/")]
    while left:
        held = {}
        for other in sorted(left, key=lambda r: len(r.id), reverse=True):
            try:
                world.delete("azure-native", other.type, other.id)
            except CloudError as refused:
                held[other.id] = refused
        if len(held) == len(left):
            raise next(iter(held.values()))
        left = [r for r in left if r.id in held]


def _arm_type(id_: str) -> str:
    """`…/providers/Microsoft.Web/sites/x` -> `Microsoft.Web/sites`."""
    if "/providers/" not in id_:
        return "Microsoft.Resources/resourceGroups"
    provider, *path = id_.rpartition("/providers/")[2].split("/")
    return "/".join([provider, *path[::2]])


def _identity(world: World, record: Record) -> dict[str, Any]:
    """ARM takes a list of identity ids and answers with a map, and with a principal of the resource's own."""
    asked = record.inputs.get("identity") or {}
    if "SystemAssigned" in str(asked.get("type")):
        asked = {**asked, "principalId": made_up_guid(record.id, "principal"), "tenantId": AZURE_TENANT}
    known = {i: world.records.get("azure-native", _IDENTITY, i) for i in asked.get("userAssignedIdentities") or []}
    mapped = {i: {k: r.outputs[k] for k in ("clientId", "principalId")} if r else {} for i, r in known.items()}
    return {**asked, "userAssignedIdentities": mapped}


class RoleAssignment(Azure):
    def identify(self, world: World, record: Record) -> str:
        name = record.inputs.get("roleAssignmentName") or made_up_guid(record.urn)
        return f"{record.inputs['scope']}/providers/Microsoft.Authorization/roleAssignments/{name}"


class Diagnostic(Azure):
    def identify(self, world: World, record: Record) -> str:
        name = record.inputs.get("name", "service")
        return f"{record.inputs['resourceUri']}/providers/Microsoft.Insights/diagnosticSettings/{name}"


class Identity(Azure):
    def computed(self, world: World, record: Record) -> dict[str, Any]:
        return {
            "clientId": made_up_guid(record.id, "client"),
            "principalId": made_up_guid(record.id, "principal"),
            "tenantId": AZURE_TENANT,
        }


class AppServicePlan(Azure):
    def computed(self, world: World, record: Record) -> dict[str, Any]:
        group = str(record.inputs.get("resourceGroupName"))
        return {"status": "Ready", "resourceGroup": group, "subscription": subscription(record)}


class WebApp(Azure):
    """Web or function app: it has its host names, and nothing answers there."""

    def computed(self, world: World, record: Record) -> dict[str, Any]:
        name = record.id.rsplit("/", 1)[-1]
        host = f"{name}.azurewebsites.net"
        # A documentation address (RFC 5737).
        address = f"203.0.113.{int(serial(record.id, length=4), 16) % 254 + 1}"
        return {
            "state": "Running",
            "availabilityState": "Normal",
            "usageState": "Normal",
            "defaultHostName": host,
            "hostNames": [host],
            "enabledHostNames": [host, f"{name}.scm.azurewebsites.net"],
            "repositorySiteName": name,
            "resourceGroup": record.inputs.get("resourceGroupName"),
            "outboundIpAddresses": address,
            "possibleOutboundIpAddresses": address,
            "customDomainVerificationId": serial(subscription(record), length=64).upper(),
            "lastModifiedTimeUtc": "2026-01-01T00:00:00",
        }


class Vault(Azure):
    def computed(self, world: World, record: Record) -> dict[str, Any]:
        properties = dict(record.inputs.get("properties") or {})
        return {"properties": {**properties, "vaultUri": f"https://{record.inputs.get('vaultName')}.vault.azure.net/"}}


class Key(Azure):
    def computed(self, world: World, record: Record) -> dict[str, Any]:
        uri = f"https://{record.inputs.get('vaultName')}.vault.azure.net/keys/{record.inputs.get('keyName')}"
        return {"keyUri": uri, "keyUriWithVersion": f"{uri}/{serial(record.id, length=32)}"}


class Workspace(Azure):
    def computed(self, world: World, record: Record) -> dict[str, Any]:
        return {"customerId": made_up_guid(record.id)}


class VirtualNetwork(Azure):
    """ARM gives the subnets that a network names inline an id each."""

    def computed(self, world: World, record: Record) -> dict[str, Any]:
        inline = record.inputs.get("subnets") or []
        return {"subnets": [{**subnet, "id": f"{record.id}/subnets/{subnet.get('name')}"} for subnet in inline]}


class VirtualMachine(Azure):
    def computed(self, world: World, record: Record) -> dict[str, Any]:
        return {"vmId": made_up_guid(record.id), "timeCreated": "2026-01-01T00:00:00Z"}


class PublicIp(Azure):
    def computed(self, world: World, record: Record) -> dict[str, Any]:
        return {"ipAddress": f"203.0.113.{int(serial(record.id, length=4), 16) % 254 + 1}"}


class Cluster(Azure):
    """AKS cluster: a real control plane, with the pools named inline."""

    def computed(self, world: World, record: Record) -> dict[str, Any]:
        name = record.inputs.get("resourceName", "")
        kubelet = {"clientId": made_up_guid(record.id, "kubelet"), "objectId": made_up_guid(record.id, "kubelet", "object")}
        where = record.inputs.get("location", "eastus")
        issuer = f"https://{where}.oic.prod-aks.azure.com/{AZURE_TENANT}/{made_up_guid(record.id)}/"
        return {
            "fqdn": f"{name}-{serial(record.id, length=8)}.hcp.{record.inputs.get('location', 'eastus')}.azmk8s.io",
            "nodeResourceGroup": record.inputs.get("nodeResourceGroup") or f"MC_{name}",
            "identityProfile": {"kubeletidentity": {**kubelet, "resourceId": f"{record.id}/kubelet"}},
            "oidcIssuerProfile": {**(record.inputs.get("oidcIssuerProfile") or {}), "issuerURL": issuer},
            "currentKubernetesVersion": record.inputs.get("kubernetesVersion", "1.34"),
            "powerState": {"code": "Running"},
            "maxAgentPools": 100,
        }

    def created(self, world: World, record: Record) -> dict[str, Any]:
        name = record.inputs["resourceName"]
        pools = [pool_of(profile, profile["name"], record) for profile in record.inputs.get("agentPoolProfiles") or []]
        refuse_two_autoscalers(record.inputs, record.inputs.get("agentPoolProfiles") or [])
        for pool in pools:
            refuse_over_quota(world, name, pool)
        world.clusters.start("azure", name)
        _choose_expander(world, record)
        for pool in pools:
            world.clusters.set_pool("azure", name, pool)
        return {}

    def updated(self, world: World, record: Record, old: dict[str, Any]) -> dict[str, Any]:
        _choose_expander(world, record)
        before = {p["name"]: p for p in old.get("agentPoolProfiles") or []}
        for profile in record.inputs.get("agentPoolProfiles") or []:
            resize(world, record.inputs["resourceName"], before.get(profile["name"], profile), profile, profile["name"], record)
        return {}

    def observed(self, world: World, record: Record) -> dict[str, Any]:
        profiles = [dict(p) for p in record.inputs.get("agentPoolProfiles") or []]
        for profile in profiles:
            size = world.clusters.size("azure", record.inputs["resourceName"], profile["name"])
            if size is not None:
                profile["count"] = size
        return {"agentPoolProfiles": profiles}

    def deleting(self, world: World, record: Record) -> None:
        for pool in world.records.all("azure-native", "azure-native:containerservice:AgentPool"):
            if pool.id.startswith(record.id + "/"):
                world.records.remove(pool)
        world.clusters.delete("azure", record.inputs["resourceName"])


def _choose_expander(world: World, record: Record) -> None:
    expander = (record.inputs.get("autoScalerProfile") or {}).get("expander")
    if provisions(record.inputs):
        expander = WEIGHTS
        install(world.clusters.sim("azure", record.inputs["resourceName"]).api)
    world.clusters.set_expander("azure", record.inputs["resourceName"], expander)


class AgentPool(Azure):
    """AKS agent pool."""

    def refuse(self, world: World, record: Record) -> None:
        super().refuse(world, record)
        world.clusters.sim("azure", record.inputs["resourceName"])
        if (cluster := _cluster_of(world, record)) is not None:
            refuse_two_autoscalers(cluster.inputs, [record.inputs])
        refuse_absent(hardware(Cloud.AZURE, record.inputs.get("vmSize", "")), _location(world, record))

    def created(self, world: World, record: Record) -> dict[str, Any]:
        pool = pool_of(record.inputs, record.inputs["agentPoolName"], record, _location(world, record))
        refuse_over_quota(world, record.inputs["resourceName"], pool)
        world.clusters.set_pool("azure", record.inputs["resourceName"], pool)
        return self._live(pool)

    def updated(self, world: World, record: Record, old: dict[str, Any]) -> dict[str, Any]:
        where = _location(world, record)
        return self._live(
            resize(world, record.inputs["resourceName"], old, record.inputs, record.inputs["agentPoolName"], record, where)
        )

    def observed(self, world: World, record: Record) -> dict[str, Any]:
        size = world.clusters.size("azure", record.inputs["resourceName"], record.inputs["agentPoolName"])
        return {} if size is None else {"count": size}

    def deleting(self, world: World, record: Record) -> None:
        try:
            world.clusters.remove_pool("azure", record.inputs["resourceName"], record.inputs["agentPoolName"])
        except CloudError as gone:
            if gone.status != 404:
                raise

    @staticmethod
    def _live(pool: NodePool) -> dict[str, Any]:
        """AKS writes its spot label and taint back into the pool it returns."""
        taints = [f"{t.key}={t.value}:{t.effect}" for t in pool.taints]
        labels = dict(pool.labels)
        if pool.spot:
            taints.append("kubernetes.azure.com/scalesetpriority=spot:NoSchedule")
            labels["kubernetes.azure.com/scalesetpriority"] = "spot"
        return {"nodeTaints": taints, "nodeLabels": labels, "count": pool.size}


def _cluster_of(world: World, record: Record) -> Record | None:
    everywhere = world.records.all("azure-native", "azure-native:containerservice:ManagedCluster")
    return next((c for c in everywhere if c.inputs.get("resourceName") == record.inputs.get("resourceName")), None)


def _location(world: World, record: Record) -> str:
    if (cluster := _cluster_of(world, record)) is not None:
        return str(cluster.inputs.get("location") or cluster.config.get("location") or "eastus")
    return str(record.config.get("location") or "eastus")


_NET = "/providers/Microsoft.Network"
_AKS = "/providers/Microsoft.ContainerService/managedClusters/{resourceName}"
PLACE = ("resourceGroupName", "location")

TYPES: dict[str, Behaviour] = {
    _GROUP: ResourceGroup(immutable=PLACE),
    "azure-native:network:VirtualNetwork": VirtualNetwork(
        path=_NET + "/virtualNetworks/{virtualNetworkName}", immutable=(*PLACE, "virtualNetworkName")
    ),
    "azure-native:network:Subnet": Azure(
        path=_NET + "/virtualNetworks/{virtualNetworkName}/subnets/{subnetName}",
        holds=(
            ("azure-native:containerservice:AgentPool", "vnetSubnetID"),
            ("azure-native:network:NetworkInterface", "ipConfigurations.subnet.id"),
        ),
        immutable=("resourceGroupName", "virtualNetworkName", "subnetName"),
    ),
    "azure-native:compute:VirtualMachine": VirtualMachine(
        path="/providers/Microsoft.Compute/virtualMachines/{vmName}", immutable=(*PLACE, "vmName")
    ),
    "azure-native:network:NatGateway": Azure(path=_NET + "/natGateways/{natGatewayName}", immutable=PLACE),
    "azure-native:network:PublicIPAddress": PublicIp(
        path=_NET + "/publicIPAddresses/{publicIpAddressName}", immutable=(*PLACE, "publicIpAddressName")
    ),
    "azure-native:network:NetworkSecurityGroup": Azure(
        path=_NET + "/networkSecurityGroups/{networkSecurityGroupName}", immutable=PLACE
    ),
    "azure-native:network:NetworkInterface": Azure(path=_NET + "/networkInterfaces/{networkInterfaceName}", immutable=PLACE),
    "azure-native:network:LoadBalancer": Azure(path=_NET + "/loadBalancers/{loadBalancerName}", immutable=PLACE),
    _IDENTITY: Identity(
        path="/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{resourceName}", immutable=(*PLACE, "resourceName")
    ),
    "azure-native:managedidentity:FederatedIdentityCredential": Azure(
        path="/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{resourceName}/federatedIdentityCredentials/{federatedIdentityCredentialResourceName}",
        immutable=("resourceGroupName", "resourceName", "federatedIdentityCredentialResourceName"),
    ),
    "azure-native:authorization:RoleAssignment": RoleAssignment(
        immutable=("scope", "roleAssignmentName", "principalId", "roleDefinitionId")
    ),
    "azure-native:monitor:DiagnosticSetting": Diagnostic(immutable=("resourceUri", "name")),
    "azure-native:operationalinsights:Workspace": Workspace(
        path="/providers/Microsoft.OperationalInsights/workspaces/{workspaceName}", immutable=PLACE
    ),
    "azure-native:keyvault:Vault": Vault(
        path="/providers/Microsoft.KeyVault/vaults/{vaultName}", immutable=(*PLACE, "vaultName")
    ),
    "azure-native:keyvault:Key": Key(
        path="/providers/Microsoft.KeyVault/vaults/{vaultName}/keys/{keyName}",
        immutable=("resourceGroupName", "vaultName", "keyName"),
    ),
    "azure-native:web:AppServicePlan": AppServicePlan(
        path="/providers/Microsoft.Web/serverfarms/{name}",
        holds=(("azure-native:web:WebApp", "serverFarmId"),),
        immutable=PLACE,
    ),
    "azure-native:web:WebApp": WebApp(path="/providers/Microsoft.Web/sites/{name}", immutable=PLACE),
    "azure-native:containerservice:ManagedCluster": Cluster(path=_AKS, immutable=(*PLACE, "resourceName", "dnsPrefix")),
    "azure-native:containerservice:AgentPool": AgentPool(
        path=_AKS + "/agentPools/{agentPoolName}",
        immutable=(
            "resourceGroupName",
            "resourceName",
            "agentPoolName",
            "vmSize",
            "scaleSetPriority",
            "osDiskSizeGB",
            "gpuProfile.driver",
            "proximityPlacementGroupID",
        ),
    ),
    "azure-native:compute:ProximityPlacementGroup": Azure(
        path="/providers/Microsoft.Compute/proximityPlacementGroups/{proximityPlacementGroupName}",
        holds=(("azure-native:containerservice:AgentPool", "proximityPlacementGroupID"),),
        immutable=PLACE,
    ),
}

UNMODELLED = Azure()
