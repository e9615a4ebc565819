"""A cluster's fabrics: each kind that some pool has, with what Kubernetes must run for it."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from fleet.catalog.fabric import Fabric
from fleet.contract import AcceleratorPool
from infra.kubernetes.efa import EfaPlugin
from infra.kubernetes.gpudirect import GpuDirect
from infra.kubernetes.infiniband import InfiniBand


def fabrics(
    name: str,
    cluster: str,
    rungs: Sequence[AcceleratorPool],
    plugins: pulumi.Resource,
    node_pools: Sequence[pulumi.Resource],
    opts: pulumi.ResourceOptions,
) -> list[pulumi.Resource]:
    """What these pools need; models wait for it.

    Args:
        name: the cluster's name in the stack file. cluster: its physical one.
        plugins: what makes the namespace of device plugins. node_pools: all rungs' pools in the cloud.
    """
    having = {kind: [rung for rung in rungs if rung.fabric and rung.fabric.kind is kind] for kind in Fabric}
    made: list[pulumi.Resource] = []
    if pools := having[Fabric.EFA]:
        made.append(EfaPlugin(f"{name}-efa", pools, plugins, opts=opts))
    if pools := having[Fabric.GPUDIRECT]:
        made.append(GpuDirect(f"{name}-gpudirect", cluster, pools, [plugins, *node_pools], opts=opts))
    if pools := having[Fabric.INFINIBAND]:
        made.append(InfiniBand(f"{name}-infiniband", pools, plugins, opts=opts))
    return made
