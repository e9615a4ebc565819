"""Facts about a network that somebody else made: ids in the cloud's form, subnets where nodes go, and what is its owner's.

How large its subnets are and by which addresses they are left nobody can know here, so that neither is checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from fleet.catalog.clouds import Cloud, regions, zones
from fleet.checks.finding import Finding, Path, fields, listed
from fleet.spec import ClusterSpec, Provisioning
from fleet.spec_network import ExistingNetworkSpec, WayOut

_AZURE = r"/subscriptions/[0-9a-f-]{36}/resourceGroups/[\w().-]+/providers/Microsoft\.Network/virtualNetworks/[\w.-]+"
_ID = {
    Cloud.AWS: r"vpc-([0-9a-f]{8}|[0-9a-f]{17})",
    Cloud.GCP: r"projects/[a-z0-9:.-]+/global/networks/[a-z0-9-]+",
    Cloud.AZURE: _AZURE,
}
_SUBNET = {
    Cloud.AWS: r"subnet-([0-9a-f]{8}|[0-9a-f]{17})",
    Cloud.GCP: r"projects/[a-z0-9:.-]+/regions/{region}/subnetworks/[a-z0-9-]+",
    Cloud.AZURE: r"{id}/subnets/[\w.-]+",
}
_SHAPE = {
    Cloud.AWS: ("vpc-0123456789abcdef0", "subnet-0123456789abcdef0"),
    Cloud.GCP: ("projects/<project>/global/networks/<name>", "projects/<project>/regions/<the cluster's>/subnetworks/<name>"),
    Cloud.AZURE: ("/subscriptions/…/virtualNetworks/<name>", "the network's id and /subnets/<name>"),
}
_OWNERS = {"cidr": "remove it", "nat": "write existing.way_out"}
_AWS_ZONES = range(2, 5)


def check(path: Path, cluster: ClusterSpec, net: ExistingNetworkSpec) -> Iterator[Finding]:
    """Faults of `network.existing` of a cluster in a region that the catalogue knows."""
    at, cloud = (*path, "network", "existing"), (*path, "cloud")
    if cluster.region not in regions(cluster.cloud):
        return
    yield from _not_ours(path, cluster)
    named, of_subnet = _SHAPE[cluster.cloud]
    if not re.fullmatch(_ID[cluster.cloud], net.id):
        message = f"is no network as {cluster.cloud} names them"
        yield Finding((*at, "id"), message, repr(net.id), named, "copy it from the cloud", needs=((*at, "id"), cloud))
        return
    # Not `format`: a regular expression has braces of its own.
    shape = _SUBNET[cluster.cloud].replace("{region}", re.escape(cluster.region)).replace("{id}", re.escape(net.id))
    given: dict[Path, str] = {("subnets", key): subnet for key, subnet in net.subnets.items()}
    if net.functions:
        given["functions",] = net.functions
    for key, subnet in given.items():
        if not re.fullmatch(shape, subnet, re.IGNORECASE if cluster.cloud is Cloud.AZURE else 0):
            where, message = (*at, *key), "is no subnet of that network and region"
            yield Finding(where, message, repr(subnet), of_subnet, "copy it from the cloud", needs=(where, (*at, "id"), cloud))
    yield from _places(path, cluster, net)
    yield from _azure(path, cluster, net)


def _not_ours(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    owners = _OWNERS | ({"zones": "the subnets' zones are the network's"} if cluster.cloud is Cloud.AWS else {})
    for key, remedy in owners.items():
        if key in cluster.network.model_fields_set:
            where = (*path, "network", key)
            message, needs = "is its owner's to say of a network that is there already", (where, (*path, "network", "existing"))
            yield Finding(where, message, allowed="without existing", remedy=remedy, at_key=True, needs=needs)
    if cluster.cloud is Cloud.AWS and cluster.provisioning is Provisioning.AUTO:
        where = (*path, "provisioning")
        message = "Karpenter finds subnets by a tag, and those of an existing network are not ours to tag"
        about = fields(path, "provisioning", "network.existing", "cloud")
        yield Finding(where, message, "auto", "groups", "write provisioning: groups", needs=about)


def _places(path: Path, cluster: ClusterSpec, net: ExistingNetworkSpec) -> Iterator[Finding]:
    """Whether the subnets' keys are zones or the region, as the cloud has them, and each pool's zones have one."""
    at, here = (*path, "network", "existing", "subnets"), zones(cluster.cloud, cluster.region)
    allowed: Sequence[str] = {
        Cloud.AWS: here,
        Cloud.GCP: (cluster.region,),
        Cloud.AZURE: (cluster.region, *here),
    }[cluster.cloud]
    needs = fields(path, "network.existing.subnets", "cloud", "region")
    strange = [key for key in net.subnets if key not in allowed]
    for key in strange:
        yield Finding(
            (*at, key), "no subnet goes there", repr(key), listed(allowed), "use one of these", at_key=True, needs=needs
        )
    if strange:
        return
    if cluster.cloud is Cloud.AWS and len(net.subnets) not in _AWS_ZONES:
        yield Finding(at, "EKS needs subnets in two zones", str(len(net.subnets)), "2 to 4", "add a zone's subnet", needs=needs)
    if cluster.cloud is Cloud.AZURE and cluster.region in net.subnets and len(net.subnets) > 1:
        message = "one subnet is for all zones, or each zone has its own"
        yield Finding(
            (*at, cluster.region), message, allowed=listed(here), remedy="remove one of the two", at_key=True, needs=needs
        )
    if cluster.cloud is Cloud.AWS:
        for name, pool in cluster.pools.items():
            where = (*path, "pools", name, "zones")
            if missing := [zone for zone in pool.zones if zone in here and zone not in net.subnets]:
                message = f"the network has no subnet in {', '.join(missing)}"
                yield Finding(where, message, listed(pool.zones), listed(net.subnets), "use these", needs=(where, *needs))


def _azure(path: Path, cluster: ClusterSpec, net: ExistingNetworkSpec) -> Iterator[Finding]:
    at = (*path, "network", "existing")
    if cluster.cloud is not Cloud.AZURE:
        for key in ("functions",) if net.functions else ():
            where, message = (*at, key), f"{cluster.cloud}'s functions need no subnet of their own"
            yield Finding(where, message, allowed="on azure", remedy="remove it", at_key=True, needs=(where, (*path, "cloud")))
        return
    if cluster.services.functions and not net.functions:
        message, needs = "functions run in a subnet of their own", (at, *fields(path, "cloud", "services.functions"))
        yield Finding(at, message, allowed="functions:", remedy="add the id of a delegated subnet", at_key=True, needs=needs)
    if net.way_out is WayOut.NONE and not cluster.api.private:
        where = (*at, "way_out")
        message = "AKS without a way out needs a private API: its nodes could not reach a public one"
        needs = fields(path, "network.existing.way_out", "cloud", "api.private")
        yield Finding(where, message, "none", "nat or routes", "set api.private: true, or another way out", needs=needs)
