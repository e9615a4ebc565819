"""A stack file as a drawing: each cluster with what scales, its models, pools, the rungs that nodes are bought in, and stores.

From the loaded spec and `fleet.plan`, so that machines, zones and bounds are those that `fleet up` makes. Networks, identities
and add-ons that every cluster has are left out: they would be in each drawing alike.
"""

from __future__ import annotations

from diagrams.graph import Arrow, Box, Drawing, Group
from fleet.catalog.clouds import Cloud
from fleet.contract import AcceleratorPool
from fleet.plan import pools
from fleet.spec import Autoscaler, ClusterSpec, ModelSpec, Monitoring, StackSpec, Tier

_KUBERNETES = {Cloud.AWS: "EKS", Cloud.GCP: "GKE", Cloud.AZURE: "AKS", Cloud.EXISTING: "existing"}
_STORES = {Cloud.AWS: "S3", Cloud.GCP: "Cloud Storage", Cloud.AZURE: "Blob Storage", Cloud.EXISTING: "store"}
_LONGEST = 36
_SCALER, _MODEL, _POOL, _RUNG = range(4)


def drawing(name: str, spec: StackSpec) -> Drawing:
    """All clusters of a stack, one below the other."""
    groups = tuple(_cluster(name, key, cluster) for key, cluster in spec.clusters.items())
    return Drawing(name, f"Stack {name}, {spec.environment}, of {spec.owner}", groups)


def _cluster(stack: str, name: str, spec: ClusterSpec) -> Group:
    planned = pools(stack, name, spec)
    boxes: list[Box] = []
    arrows: list[Arrow] = []
    for key, pool in planned.items():
        boxes.append(Box(f"pool-{key}", "pool", key, tuple(_pool(pool)), _POOL))
        for i, rung in enumerate(pool.rungs, 1):
            id_ = f"rung-{rung.physical_name}"
            boxes.append(Box(id_, "rung", rung.machine.name, tuple(_rung(rung)), _RUNG))
            arrows.append(Arrow(f"pool-{key}", id_, str(i) if len(pool.rungs) > 1 else ""))
    for key, store in spec.stores.items():
        lines = (_STORES[spec.cloud], *(["versioned"] if store.versioned else []))
        boxes.append(Box(f"store-{key}", "store", key, lines, _POOL))
    for key, model in spec.models.items():
        boxes.append(Box(f"model-{key}", "model", key, tuple(_model(model)), _MODEL))
        arrows.append(Arrow(f"model-{key}", f"pool-{model.pool}"))
        if model.weights:
            arrows.append(Arrow(f"model-{key}", f"store-{model.weights.store}"))
    for id_, title, lines, models in _around(spec):
        boxes.append(Box(id_, "scaler", title, lines, _SCALER))
        arrows += [Arrow(id_, f"model-{model}") for model in models]
    nodes = spec.system_pool.nodes
    boxes.append(Box("system", "rung", "system pool", (f"{nodes.min} to {nodes.max} nodes", "no accelerator"), _RUNG))
    kubernetes = f"{_KUBERNETES[spec.cloud]} {spec.region}" + (f", Kubernetes {spec.kubernetes}" if spec.kubernetes else "")
    return Group(f"{name}: {kubernetes}", tuple(boxes), tuple(arrows))


def _around(spec: ClusterSpec) -> list[tuple[str, str, tuple[str, ...], list[str]]]:
    """What acts on models from outside: id, title, lines, and the models that it acts on."""

    def of(scaler: Autoscaler, *, flexible: bool | None = None) -> list[str]:
        chosen = (key for key, m in spec.models.items() if m.autoscaler is scaler)
        return [key for key in chosen if flexible is None or (spec.models[key].tier is Tier.FLEXIBLE) is flexible]

    grid = ("holds back while the grid is dirty", "Electricity Maps")
    found = [
        ("keda", "KEDA", ("by the queue",), of(Autoscaler.KEDA, flexible=False)),
        ("keda-flexible", "KEDA", ("by the queue", *grid), of(Autoscaler.KEDA, flexible=True)),
        ("hpa", "HPA", ("by CPU",), of(Autoscaler.HPA)),
    ]
    for key, team in spec.teams.items():
        share = tuple(f"{count} x {name}" for name, count in team.accelerators.items()) or ("no share",)
        found.append(
            (
                f"team-{key}",
                f"team {key}",
                (*share, f"priority {team.priority}"),
                [m for m, of_ in spec.models.items() if of_.team == key],
            )
        )
    if spec.monitoring is Monitoring.PROMETHEUS:
        found.append(("prometheus", "Prometheus", ("rules and dashboards",), list(spec.models)))
    return [one for one in found if one[3] or one[0].startswith("team-")]


def _model(model: ModelSpec) -> list[str]:
    low, high = model.replicas.min, model.replicas.max
    image = model.image.rpartition("/")[2].partition("@")[0]
    replicas = f"{low} replica{'s' * (low != 1)}" if low == high else f"{low} to {high} replicas"
    lines = [image if len(image) <= _LONGEST else f"{image[: _LONGEST - 1]}…", replicas]
    if model.weights:
        lines.append(f"{model.weights.store}/{model.weights.path}, {model.weights.size_gib} GiB")
    return lines


def _pool(pool: AcceleratorPool) -> list[str]:
    lines = [f"{pool.per_node} x {pool.accelerator.name} a node"]
    if pool.sharing:
        lines.append(f"shared: {pool.sharing.mode}, {pool.sharing.slots} each")
    if pool.tpu and pool.tpu.multi_host:
        lines.append(f"slice of {pool.tpu.hosts} hosts")
    if pool.dra:
        lines.append("claimed (DRA)")
    if pool.fabric:
        lines.append(f"fabric: {pool.fabric.protocol}")
    return lines


def _rung(rung: AcceleratorPool) -> list[str]:
    low, high = rung.min_nodes, rung.max_nodes
    nodes = f"{low} node{'s' * (low != 1)}" if low == high else f"{low} to {high} nodes"
    made = ", made for waiting pods" if rung.auto else ""
    return [f"{rung.purchase}, {nodes}{made}", *(["in " + ", ".join(rung.zones)] if rung.zones else [])]
