"""Clusters that a stack file says stand already: the sandbox lets one stand, with the hosts that the file describes.

Runs before the engine and outside its state, since that is what *existing* means; `fleet destroy` leaves them alone, and
`fleet sandbox reset` takes them away. The kubeconfig goes where the user's secret would be: into the stack's settings,
encrypted there by the engine.
"""

from __future__ import annotations

from fleet import naming
from fleet.catalog.clouds import Cloud
from fleet.contract import AcceleratorPool
from fleet.plan import pools
from fleet.spec import ClusterSpec, StackSpec
from fleet.terraform.references import setting
from sandbox.cloud.client import Client
from sandbox.cloud.errors import CloudError
from sandbox.cluster.pool import NodePool


def stand(client: Client, stack: str, spec: StackSpec) -> dict[str, str]:
    """Let a stack's existing clusters stand; returns each one's kubeconfig by the name of its secret.

    Raises:
        RuntimeError: a cluster did not come up.
    """
    return {
        setting(cluster.kubeconfig): _stand(client, naming.cluster(stack, name), cluster)
        for name, cluster in spec.clusters.items()
        if cluster.cloud is Cloud.EXISTING and cluster.kubeconfig
    }


def _stand(client: Client, name: str, cluster: ClusterSpec) -> str:
    """The kubeconfig of the cluster, once its hosts are registered."""
    made = pools("", "", cluster.model_copy(update={"models": {}})).values()
    runtimes = sorted({pool.hosts.runtime_class for pool in made if pool.hosts and pool.hosts.runtime_class})
    try:
        about = client.call("site", name=name, pools=[_hosts(pool).to_json() for pool in made], runtime_classes=runtimes)
    except CloudError as refused:
        raise RuntimeError(f"the existing cluster {name} did not come up in the sandbox: {refused.message}") from None
    return str(about["kubeconfig"])


def _hosts(pool: AcceleratorPool) -> NodePool:
    """The nodes as they were before we came: none of our labels, and the accelerators only if an operator offers them."""
    assert pool.hosts is not None, "a pool of an existing cluster has hosts"
    count = len(pool.hosts.names)
    return NodePool(
        name=pool.name,
        cloud=Cloud.EXISTING,
        region=pool.region,
        zones=("site",),
        machine_name=pool.machine.name,
        hardware=pool.machine,
        spot=False,
        labels={},
        taints=pool.hosts.taints,
        min_nodes=count,
        max_nodes=count,
        size=count,
        topology=None,
        autoscaled=False,
        has_cpu_pool=True,
        plugin_builtin=pool.hosts.operated,
        driver_ok=True,
        disk_gib=pool.disk_gib,
        hosts=pool.hosts.names,
    )
