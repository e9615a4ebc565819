"""Facts about versions: the Kubernetes minor that a cluster asks for, and whether an image runs on its pool's driver.

What runs on what is `fleet.catalog.compatibility`'s; a version that nobody names or knows is not refused.
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.catalog.accelerators import ACCELERATORS, Accelerator
from fleet.catalog.compatibility import Misfit, kubernetes_minors, misfit, of_image, of_nodes
from fleet.catalog.machines import machines_with
from fleet.checks.finding import Finding, Path, fields, listed
from fleet.spec import ClusterSpec, ModelSpec


def of_cluster(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    """Faults of `kubernetes`: of one that the cloud no longer or not yet offers, and of one too old for a pool."""
    minor, where = cluster.kubernetes, (*path, "kubernetes")
    if minor is None:
        return
    offered, cloud = kubernetes_minors(cluster.cloud), (*path, "cloud")
    if minor not in offered:
        near = min(offered, key=lambda other: abs(_minor(other) - _minor(minor)))
        message = f"{cluster.cloud} makes no new cluster of Kubernetes {minor}"
        yield Finding(where, message, repr(minor), listed(offered), f"nearest: '{near}'", needs=(where, cloud))
        return
    for name, pool in cluster.pools.items():
        if not machines_with(cluster.cloud, pool.accelerator):
            continue
        wrong = misfit(of_nodes(cluster.cloud, ACCELERATORS[pool.accelerator], minor), cluster.cloud)
        if wrong:
            message = f"pool {name}'s {wrong.part} needs {wrong.needs} on {cluster.cloud}"
            needs = (where, cloud, (*path, "pools", name, "accelerator"))
            yield Finding(where, message, repr(minor), wrong.needs, _remedy(wrong), needs=needs)
            return


def of_image_on(path: Path, model: ModelSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    """An image whose CUDA or Neuron, told by its tag, the driver of the model's pool does not run."""
    pool = cluster.pools.get(model.pool)
    accelerator = ACCELERATORS.get(pool.accelerator) if pool else None
    if accelerator is None:
        return
    wrong = misfit({**of_nodes(cluster.cloud, accelerator, cluster.kubernetes), **of_image(model.image)}, cluster.cloud)
    if wrong is None:
        return
    at = (*path[:2], "pools", model.pool, "accelerator")
    needs = (*fields(path, "image", "pool"), at, *fields(path[:2], "cloud", "kubernetes"))
    message = f"{wrong.part} needs {wrong.needs}, nodes of {accelerator.name} on {cluster.cloud} have {wrong.has}"
    remedy = _remedy(wrong) if wrong.nearest else _server_for(accelerator, cluster)
    where = (*path, "image") if "image" in model.model_fields_set else path
    yield Finding(where, message, repr(model.image), wrong.needs, remedy, at_key=where == path, needs=needs)


def _remedy(wrong: Misfit) -> str:
    return f"nearest: {wrong.nearest}" if wrong.nearest else "choose another"


# One server of each kind of node, for those who took another's.
_SERVERS = (
    "vllm/vllm-openai",
    "public.ecr.aws/neuron/pytorch-inference-vllm-neuronx",
    "vllm/vllm-tpu",
)


def _server_for(accelerator: Accelerator, cluster: ClusterSpec) -> str:
    nodes = of_nodes(cluster.cloud, accelerator, cluster.kubernetes)
    fit = next((image for image in _SERVERS if misfit({**nodes, **of_image(image)}, cluster.cloud) is None), None)
    return f"take an image made for {accelerator.name}" + (f", such as {fit}" if fit else "")


def _minor(version: str) -> int:
    return int(version.partition(".")[2])
