"""A cluster that somebody else made: its kubeconfig and labels on its hosts. No cloud's SDK; nothing here costs money."""

from infra.clouds.base import Kit
from infra.clouds.existing.cluster import ExistingCluster
from infra.clouds.existing.node_pool import HostPool

KIT = Kit(cluster=ExistingCluster, node_pool=HostPool)

__all__ = ["KIT", "ExistingCluster", "HostPool"]
