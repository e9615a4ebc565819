"""GCP as far as a platform notices: self links, GKE with its GPU and TPU pools, what holds what, GCS.

Follows the Compute and Container REST references; TPU rules follow GKE "Plan TPUs in GKE" (read 2026-11).
"""

from __future__ import annotations

import base64
import math
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fleet.catalog.accelerators import Family
from fleet.catalog.clouds import Cloud, zones
from fleet.catalog.machines import Machine, gke_name, machines
from fleet.catalog.nodes import Taint
from fleet.catalog.sharing import Sharing, SharingMode
from sandbox.cloud import gke_fabric
from sandbox.cloud.behaviour import GCP_PROJECT, GCP_PROJECT_NUMBER, Behaviour, own_id, serial
from sandbox.cloud.errors import CloudError
from sandbox.cloud.pools import cut, hardware, integer, refuse_absent, size_after
from sandbox.cloud.quotas import refuse_over_quota
from sandbox.cloud.records import Record
from sandbox.cluster import NodePool, gke_networks

if TYPE_CHECKING:
    from sandbox.cloud.world import World


def project(record: Record) -> str:
    return str(record.inputs.get("project") or record.config.get("project") or GCP_PROJECT)


def region(record: Record) -> str:
    place = str(record.inputs.get("region") or record.inputs.get("location") or record.config.get("region") or "us-central1")
    # A zone is `<region>-<letter>`.
    return place.rsplit("-", 1)[0] if place.count("-") == 2 else place


@dataclass(frozen=True)
class Gcp(Behaviour):
    """A GCP resource. `path` is its id and the tail of its self link, with `{project}`, `{region}`, `{name}`."""

    path: str | None = None
    api: str = "compute/v1"

    def identify(self, world: World, record: Record) -> str:
        if self.path is None:
            return super().identify(world, record)
        name = Behaviour.identify(self, world, record)
        return self.path.format(project=project(record), region=region(record), name=name, **_flat(record.inputs))

    def outputs(self, world: World, record: Record) -> dict[str, Any]:
        out: dict[str, Any] = {"project": project(record)}
        if self.path is not None and self.api:
            out["selfLink"] = f"https://www.googleapis.com/{self.api}/{record.id}"
        labels = {**(record.config.get("defaultLabels") or {}), **(record.inputs.get("labels") or {})}
        if labels:
            out |= {"effectiveLabels": labels, "pulumiLabels": labels}
        return out | self.computed(world, record)

    def computed(self, world: World, record: Record) -> dict[str, Any]:
        """Outputs of this type alone."""
        return {}


def _flat(inputs: dict[str, Any]) -> dict[str, str]:
    """String inputs that a path may name, resource links cut to their last part."""
    wanted = ("cluster", "location", "keyRing", "network", "instance", "topic")
    return {k: str(inputs.get(k, "")) if k == "keyRing" else str(inputs.get(k, "")).rsplit("/", 1)[-1] for k in wanted}


class Network(Gcp):
    def computed(self, world: World, record: Record) -> dict[str, Any]:
        return {"networkId": str(int(serial(record.id, length=15), 16))}

    def check_unused(self, world: World, record: Record) -> None:
        super().check_unused(world, record)
        gke_fabric.check_unused(world, record, 0)


class Subnetwork(Gcp):
    def check_unused(self, world: World, record: Record) -> None:
        super().check_unused(world, record)
        gke_fabric.check_unused(world, record, 1)


class ServiceAccount(Gcp):
    def identify(self, world: World, record: Record) -> str:
        return f"projects/{project(record)}/serviceAccounts/{self._email(record)}"

    def computed(self, world: World, record: Record) -> dict[str, Any]:
        email = self._email(record)
        return {
            "email": email,
            "member": f"serviceAccount:{email}",
            "name": record.id,
            "uniqueId": serial(record.id, length=21),
        }

    @staticmethod
    def _email(record: Record) -> str:
        return f"{record.inputs.get('accountId')}@{project(record)}.iam.gserviceaccount.com"


class Cluster(Gcp):
    """GKE cluster: a real control plane. The endpoint carries a port, as loopback has one address for all."""

    def computed(self, world: World, record: Record) -> dict[str, Any]:
        version = record.inputs.get("minMasterVersion") or "1.34"
        return {"masterVersion": f"{version}.1-gke.1000" if version.count(".") == 1 else version, "operation": None}

    def created(self, world: World, record: Record) -> dict[str, Any]:
        about = world.clusters.start("gcp", cluster_name(record.id))
        if record.inputs.get("enableMultiNetworking"):
            gke_networks.install(world.clusters.sim("gcp", cluster_name(record.id)).api)
        self._auto_creation(world, record)
        auth = {
            **(record.inputs.get("masterAuth") or {}),
            "clusterCaCertificate": base64.b64encode(about["ca"].encode()).decode(),
        }
        return {"endpoint": about["endpoint"].removeprefix("https://"), "masterAuth": auth}

    def updated(self, world: World, record: Record, old: dict[str, Any]) -> dict[str, Any]:
        self._auto_creation(world, record)
        return {k: record.outputs[k] for k in ("endpoint", "masterAuth") if k in record.outputs}

    @staticmethod
    def _auto_creation(world: World, record: Record) -> None:
        asked = record.inputs.get("clusterAutoscaling") or {}
        limits = {each["resourceType"]: int(each["maximum"]) for each in asked.get("resourceLimits") or []}
        world.clusters.set_limits("gcp", cluster_name(record.id), limits if asked.get("enabled") else None)

    def deleting(self, world: World, record: Record) -> None:
        if record.inputs.get("deletionProtection", True) is not False:
            raise CloudError("failedPrecondition", f"cluster {record.name} has deletionProtection")
        world.clusters.delete("gcp", cluster_name(record.id))


def cluster_name(id_or_name: str) -> str:
    return id_or_name.rsplit("/", 1)[-1]


class GkeNodePool(Gcp):
    """GKE node pool."""

    def identify(self, world: World, record: Record) -> str:
        name = record.inputs.get("name") or f"np-{world.next_serial(record.urn)[:8]}"
        cluster = f"clusters/{cluster_name(record.inputs['cluster'])}"
        return f"projects/{project(record)}/locations/{region(record)}/{cluster}/nodePools/{name}"

    def refuse(self, world: World, record: Record) -> None:
        world.clusters.sim("gcp", cluster_name(record.inputs["cluster"]))
        row = _machine(record.inputs)
        refuse_absent(row, region(record))
        _refuse_tpu_shape(record.inputs, row)
        gke_fabric.refuse(world, record.inputs, row)

    def computed(self, world: World, record: Record) -> dict[str, Any]:
        return {"version": "1.34.1-gke.1000", "instanceGroupUrls": [], "managedInstanceGroupUrls": [], "operation": None}

    def created(self, world: World, record: Record) -> dict[str, Any]:
        pool, cluster = self._pool(world, record), cluster_name(record.inputs["cluster"])
        refuse_over_quota(world, cluster, pool)
        world.clusters.set_pool("gcp", cluster, pool)
        return {"nodeCount": record.inputs.get("nodeCount", pool.size // max(1, len(pool.zones)))}

    def updated(self, world: World, record: Record, old: dict[str, Any]) -> dict[str, Any]:
        cluster = cluster_name(record.inputs["cluster"])
        pool = self._pool(world, record)
        before = self._pool(world, replace(record, inputs=old))
        current = world.clusters.size("gcp", cluster, pool.name)
        bounds = (before.min_nodes, before.max_nodes, before.size), (pool.min_nodes, pool.max_nodes, pool.size)
        pool = replace(pool, size=size_after(*bounds, current if current is not None else before.size))
        refuse_over_quota(world, cluster, pool)
        world.clusters.set_pool("gcp", cluster, pool)
        return {}

    def observed(self, world: World, record: Record) -> dict[str, Any]:
        size = world.clusters.size("gcp", cluster_name(record.inputs["cluster"]), record.id.rsplit("/", 1)[-1])
        return {} if size is None else {"nodeCount": math.ceil(size / max(1, len(_zones(record))))}

    def deleting(self, world: World, record: Record) -> None:
        try:
            world.clusters.remove_pool("gcp", cluster_name(record.inputs["cluster"]), record.id.rsplit("/", 1)[-1])
        except CloudError as gone:
            if gone.status != 404:
                raise

    def _pool(self, world: World, record: Record) -> NodePool:
        asked = record.inputs
        config = asked.get("nodeConfig") or {}
        row = _machine(asked)
        where = _zones(record, world)
        scaling = asked.get("autoscaling") or {}
        per_zone = len(where)
        start = integer(asked.get("nodeCount", asked.get("initialNodeCount")), 1) * per_zone
        low = integer(scaling.get("totalMinNodeCount"), integer(scaling.get("minNodeCount")) * per_zone) if scaling else start
        high = integer(scaling.get("totalMaxNodeCount"), integer(scaling.get("maxNodeCount")) * per_zone) if scaling else start
        tpu = row is not None and row.accelerator is not None and row.accelerator.family is Family.TPU
        siblings = [r for r in world.records.all("gcp", record.type) if r.inputs.get("cluster") == asked.get("cluster")]
        driver = [g.get("gpuDriverInstallationConfig") or {} for g in config.get("guestAccelerators") or []]
        return NodePool(
            name=record.id.rsplit("/", 1)[-1],
            cloud=Cloud.GCP,
            region=region(record),
            zones=where,
            machine_name=str(config.get("machineType") or "e2-medium"),
            hardware=row,
            spot=bool(config.get("spot") or config.get("preemptible")),
            labels=dict(config.get("labels") or {}),
            taints=tuple(Taint(t["key"], t.get("value") or "", _EFFECT[t["effect"]]) for t in config.get("taints") or []),
            min_nodes=low,
            max_nodes=high,
            size=max(low, min(start, high)),
            topology=((asked.get("placementPolicy") or {}).get("tpuTopology") or single_host_topology(row)) if tpu else None,
            autoscaled=bool(scaling),
            has_cpu_pool=any(not _has_accelerators(r.inputs) for r in siblings if r.id != record.id),
            plugin_builtin="gke-no-default-nvidia-gpu-device-plugin" not in (config.get("labels") or {}),
            driver_ok=not any(d.get("gpuDriverVersion") == "INSTALLATION_DISABLED" for d in driver),
            disk_gib=integer(config.get("diskSizeGb"), 100),
            sharing=_sharing(row, next(iter(config.get("guestAccelerators") or []), {})),
            networks=gke_fabric.interfaces(asked),
        )


def _sharing(row: Machine | None, guest: dict[str, Any]) -> Sharing | None:
    """How GKE shares the pool's GPUs: cut into MIG devices, or each counted as often as it may have clients."""
    shared = guest.get("gpuSharingConfig") or {}
    if shared:
        mode = SharingMode.MPS if shared.get("gpuSharingStrategy") == "MPS" else SharingMode.TIME_SLICING
        return Sharing(mode, integer(shared.get("maxSharedClientsPerGpu"), 2))
    return cut(Cloud.GCP, row, guest.get("gpuPartitionSize"))


_EFFECT = {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"}


def _machine(inputs: dict[str, Any]) -> Machine | None:
    """What hardware the pool's machines have: an N1 has only the guest accelerators it was asked with."""
    config = inputs.get("nodeConfig") or {}
    name = str(config.get("machineType") or "e2-medium")
    guests = config.get("guestAccelerators") or []
    if guests:
        for row in machines():
            if row.cloud is Cloud.GCP and row.name == name and row.accelerator and gke_name(row) == guests[0].get("type"):
                return row
    row_or_none = hardware(Cloud.GCP, name)
    return None if row_or_none is not None and name.startswith("n1-") else row_or_none


def _has_accelerators(inputs: dict[str, Any]) -> bool:
    row = _machine(inputs)
    return row is not None and row.accelerator is not None


def _zones(record: Record, world: World | None = None) -> tuple[str, ...]:
    location = str(record.inputs.get("location") or "")
    if asked := record.inputs.get("nodeLocations"):
        return tuple(asked)
    if location.count("-") == 2:
        return (location,)
    if world is not None:
        for cluster in world.records.all("gcp", "gcp:container/cluster:Cluster"):
            if cluster_name(cluster.id) == cluster_name(record.inputs["cluster"]) and cluster.inputs.get("nodeLocations"):
                return tuple(cluster.inputs["nodeLocations"])
    try:
        return zones(Cloud.GCP, region(record))[:3]
    except KeyError:
        return tuple(f"{region(record)}-{letter}" for letter in "abc")


def single_host_topology(row: Machine | None) -> str:
    """The topology GKE writes on a single-host TPU node by itself."""
    if row is None or row.accelerator is None:
        return ""
    if row.accelerator.name in ("tpu-v4", "tpu-v5p"):
        return "2x2x1"
    return {1: "1x1", 4: "2x2", 8: "2x4"}[row.accelerators]


def _refuse_tpu_shape(inputs: dict[str, Any], row: Machine | None) -> None:
    """GKE's three rules: no topology on a single host, as many nodes as the slice has hosts, one zone (xpk#825)."""
    if row is None or row.accelerator is None or row.accelerator.family is not Family.TPU:
        return
    topology = (inputs.get("placementPolicy") or {}).get("tpuTopology")
    if topology is None:
        return
    hosts = math.prod(int(side) for side in topology.split("x")) // row.accelerators
    if hosts <= 1:
        raise CloudError(
            "invalidArgument", f"placementPolicy.tpuTopology {topology} is one {row.name}: a single host sets none"
        )
    count = integer(inputs.get("nodeCount", inputs.get("initialNodeCount")), 1)
    if count != hosts:
        raise CloudError("invalidArgument", f"a {topology} slice of {row.name} has {hosts} hosts, the pool has {count} nodes")
    if len(inputs.get("nodeLocations") or [""]) != 1:
        raise CloudError("invalidArgument", "a multi-host TPU slice lives in one zone: set exactly one nodeLocations")


class Unmodelled(Gcp):
    """A type of which nothing is known but its name."""

    def identify(self, world: World, record: Record) -> str:
        return own_id(world, record)


class Instance(Gcp):
    """Compute instance: addresses, and no machine behind them."""

    def identify(self, world: World, record: Record) -> str:
        zone = record.inputs.get("zone") or record.config.get("zone") or f"{region(record)}-a"
        return f"projects/{project(record)}/zones/{zone}/instances/{record.inputs.get('name')}"

    def computed(self, world: World, record: Record) -> dict[str, Any]:
        # Documentation addresses (RFC 5737): nothing answers there, and nobody else's machine does.
        number = int(serial(record.id, length=4), 16)
        interfaces = [
            {
                **asked,
                "name": f"nic{i}",
                "networkIp": asked.get("networkIp") or f"10.128.{i}.{number % 250 + 2}",
                "accessConfigs": [
                    {**access, "natIp": access.get("natIp") or f"203.0.113.{number % 254 + 1}"}
                    for access in asked.get("accessConfigs") or []
                ],
            }
            for i, asked in enumerate(record.inputs.get("networkInterfaces") or [])
        ]
        return {
            "instanceId": str(number),
            "currentStatus": "RUNNING",
            "networkInterfaces": interfaces,
            "selfLink": f"https://www.googleapis.com/compute/v1/{record.id}",
        }


class Function(Gcp):
    """Cloud Function of the second generation: it is there, with the Cloud Run service below it, and runs nothing."""

    def computed(self, world: World, record: Record) -> dict[str, Any]:
        mine, where, name = project(record), str(record.inputs.get("location")), record.id.rsplit("/", 1)[-1]
        runner = f"{GCP_PROJECT_NUMBER}-compute@developer.gserviceaccount.com"
        build, service = record.inputs.get("buildConfig") or {}, record.inputs.get("serviceConfig") or {}
        short = "".join(part[0] for part in where.split("-")[:2])
        return {
            "environment": "GEN_2",
            "state": "ACTIVE",
            "updateTime": "2026-01-01T00:00:00Z",
            "url": f"https://{where}-{mine}.cloudfunctions.net/{name}",
            "buildConfig": {
                "dockerRepository": f"projects/{mine}/locations/{where}/repositories/gcf-artifacts",
                "serviceAccount": f"projects/{mine}/serviceAccounts/{runner}",
                **build,
                "build": f"projects/{GCP_PROJECT_NUMBER}/locations/{where}/builds/{uuid.UUID(serial(record.id, length=32))}",
            },
            "serviceConfig": {
                "allTrafficOnLatestRevision": True,
                "availableCpu": "0.1666",
                "availableMemory": "256M",
                "ingressSettings": "ALLOW_ALL",
                "maxInstanceCount": 100,
                "maxInstanceRequestConcurrency": 1,
                "serviceAccountEmail": runner,
                "timeoutSeconds": 60,
                **service,
                "service": f"projects/{mine}/locations/{where}/services/{name}",
                "uri": f"https://{name}-{serial(mine, length=10)}-{short}.a.run.app",
            },
        }


class Project(Gcp):
    def computed(self, world: World, record: Record) -> dict[str, Any]:
        return {"number": GCP_PROJECT_NUMBER}


_IN_NETWORK = tuple(
    (t, "network")
    for t in (
        "gcp:compute/subnetwork:Subnetwork",
        "gcp:compute/firewall:Firewall",
        "gcp:compute/router:Router",
        "gcp:container/cluster:Cluster",
        "gcp:compute/forwardingRule:ForwardingRule",
    )
)
IAM = ("role", "member")

TYPES: dict[str, Behaviour] = {
    "gcp:compute/network:Network": Network(
        path="projects/{project}/global/networks/{name}", holds=_IN_NETWORK, immutable=("name",)
    ),
    "gcp:compute/subnetwork:Subnetwork": Subnetwork(
        path="projects/{project}/regions/{region}/subnetworks/{name}",
        holds=(
            ("gcp:container/cluster:Cluster", "subnetwork"),
            ("gcp:compute/instance:Instance", "networkInterfaces.subnetwork"),
            ("gcp:tpu/v2Vm:V2Vm", "networkConfig.subnetwork"),
        ),
        immutable=("name", "network", "region"),
    ),
    "gcp:compute/router:Router": Gcp(
        path="projects/{project}/regions/{region}/routers/{name}",
        holds=(("gcp:compute/routerNat:RouterNat", "router"),),
        immutable=("name", "network", "region"),
    ),
    "gcp:compute/routerNat:RouterNat": Gcp(key=("router", "name"), immutable=("name", "router")),
    "gcp:compute/firewall:Firewall": Gcp(path="projects/{project}/global/firewalls/{name}", immutable=("name", "network")),
    "gcp:compute/address:Address": Gcp(path="projects/{project}/regions/{region}/addresses/{name}", immutable=("name",)),
    "gcp:compute/disk:Disk": Gcp(path="projects/{project}/zones/{region}/disks/{name}", immutable=("name",)),
    "gcp:compute/instance:Instance": Instance(immutable=("name", "zone")),
    "gcp:container/cluster:Cluster": Cluster(
        path="projects/{project}/locations/{region}/clusters/{name}",
        api="container/v1",
        holds=(("gcp:container/nodePool:NodePool", "cluster"),),
        immutable=("name", "location", "network", "subnetwork", "enableMultiNetworking"),
    ),
    "gcp:container/nodePool:NodePool": GkeNodePool(
        api="container/v1",
        immutable=(
            "name",
            "cluster",
            "location",
            "initialNodeCount",
            "placementPolicy",
            "networkConfig.additionalNodeNetworkConfigs",
            "nodeConfig.machineType",
            "nodeConfig.spot",
            "nodeConfig.guestAccelerators",
            "nodeConfig.serviceAccount",
        ),
    ),
    "gcp:serviceaccount/account:Account": ServiceAccount(immutable=("accountId",)),
    "gcp:projects/iAMMember:IAMMember": Gcp(key=("project", *IAM), immutable=IAM),
    "gcp:serviceaccount/iAMMember:IAMMember": Gcp(key=("serviceAccountId", *IAM), immutable=IAM),
    "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember": Gcp(key=("cryptoKeyId", *IAM), immutable=("cryptoKeyId", *IAM)),
    "gcp:cloudfunctionsv2/function:Function": Function(
        path="projects/{project}/locations/{location}/functions/{name}", api="", immutable=("name", "location")
    ),
    "gcp:cloudfunctionsv2/functionIamMember:FunctionIamMember": Gcp(
        key=("location", "cloudFunction", *IAM), immutable=("location", "cloudFunction", *IAM)
    ),
    "gcp:cloudrun/iamMember:IamMember": Gcp(key=("location", "service", *IAM), immutable=("location", "service", *IAM)),
    "gcp:cloudrunv2/serviceIamMember:ServiceIamMember": Gcp(
        key=("location", "name", *IAM), immutable=("location", "name", *IAM)
    ),
    "gcp:kms/keyRing:KeyRing": Gcp(
        path="projects/{project}/locations/{location}/keyRings/{name}", immutable=("name", "location")
    ),
    "gcp:kms/cryptoKey:CryptoKey": Gcp(path="{keyRing}/cryptoKeys/{name}", immutable=("name", "keyRing")),
    "gcp:pubsub/topic:Topic": Gcp(path="projects/{project}/topics/{name}", immutable=("name",)),
    "gcp:pubsub/subscription:Subscription": Gcp(path="projects/{project}/subscriptions/{name}", immutable=("name", "topic")),
    "gcp:organizations/project:Project": Project(path="projects/{name}", api=""),
    "gcp:projects/service:Service": Gcp(key=("service",), immutable=("service",)),
}

# Found again by tags or content and not by name: `prefix` says that the cloud gives the id out.
UNMODELLED = Unmodelled(prefix="")
