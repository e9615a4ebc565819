"""Karpenter, for clusters with `provisioning: auto`: its installation, and what it may make for each accelerator pool.

Owns EC2NodeClasses and NodePools (`infra.kubernetes.node_pool`), one of each for a rung of a pool: a rung's reservation,
placement and disk never touch another rung's nodes. Its rights in the cloud are `infra/clouds/aws/karpenter.py`'s. The system
pool stays a node group that cluster-autoscaler sizes: Karpenter runs there, and makes no node that is not tainted for
accelerators.
https://karpenter.sh/docs/concepts/nodeclasses/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from fleet.contract import AcceleratorPool
from infra import versions
from infra.kubernetes import node_pool

NAMESPACE = "kube-system"
SERVICE_ACCOUNT = "karpenter"
_INSTALL_S = 600


class Karpenter(pulumi.ComponentResource):
    """Karpenter's CRDs and its controller, which the objects below wait for and outlive nothing of.

    Args:
        cluster: the cluster's physical name. queue: where EC2's warnings come.
        replicas: as many as there are certain to be system nodes, for no two of them share one.
        isolated: whether the network has no way out, and prices are those that Karpenter was built with.
        env: what the cloud package says its container needs.
    """

    def __init__(
        self,
        name: str,
        *,
        cluster: str,
        queue: pulumi.Input[str],
        replicas: int,
        isolated: bool,
        env: Mapping[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("accelfleet:kubernetes:Karpenter", name, {}, opts)
        crds = self._release(f"{name}-crd", "karpenter-crd", versions.KARPENTER_CRD_CHART, {}, [])
        values = {
            "replicas": replicas,
            "serviceAccount": {"name": SERVICE_ACCOUNT},
            "settings": {
                "clusterName": cluster,
                "interruptionQueue": queue,
                "eksControlPlane": True,
                "isolatedVPC": isolated,
            },
            "controller": {
                "env": [{"name": key, "value": value} for key, value in env.items()],
                "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
            },
        }
        # Whoever deletes it waits until it has given back what it made: nodes go before their maker.
        self._release(name, "karpenter", versions.KARPENTER_CHART, values, [crds])
        self.register_outputs({})

    def _release(
        self, name: str, physical: str, chart: str, values: dict[str, Any], after: list[pulumi.Resource]
    ) -> kubernetes.helm.v3.Release:
        return kubernetes.helm.v3.Release(
            name,
            name=physical,
            namespace=NAMESPACE,
            chart=chart,
            version=versions.KARPENTER_VERSION,
            values=values,
            skip_crds=True,
            atomic=True,
            skip_await=False,
            timeout=_INSTALL_S,
            opts=pulumi.ResourceOptions(parent=self, depends_on=after),
        )


class KarpenterPool(pulumi.ComponentResource):
    """What Karpenter may make for one pool: its rungs in the order of their weights.

    Args:
        discovery: tags by which subnets and security groups are found. instance_profile: what nodes start with.
        placement_groups: by a rung's physical name, where its nodes stand side by side.
        user_data: by a rung's physical name, what its nodes are told beside what Karpenter tells them.
        tags: on machines, their volumes and interfaces.
    """

    def __init__(
        self,
        name: str,
        pool: AcceleratorPool,
        *,
        discovery: Mapping[str, str],
        instance_profile: pulumi.Input[str],
        placement_groups: Mapping[str, pulumi.Input[str]],
        user_data: Mapping[str, str],
        tags: Mapping[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("accelfleet:kubernetes:KarpenterPool", name, {}, opts)
        for depth, rung in enumerate(pool.rungs):
            physical = rung.physical_name
            spec = node_class(rung, discovery, tags) | {"instanceProfile": instance_profile}
            if physical in placement_groups:
                spec["placementGroupSelector"] = {"name": placement_groups[physical]}
            if physical in user_data:
                spec["userData"] = user_data[physical]
            wanted = node_pool.node_pool(rung, node_pool.weight(pool, depth), node_pool.EC2)
            node_pool.made(self, f"{name}-{physical}", physical, node_pool.EC2, spec, wanted)
        self.register_outputs({})


def node_class(rung: AcceleratorPool, discovery: Mapping[str, str], tags: Mapping[str, str]) -> dict[str, Any]:
    """An EC2NodeClass's spec, but for profile, placement group and user data: what a machine of the rung is started with."""
    found = [{"tags": dict(discovery)}]
    reserved = rung.terms.reservation if rung.terms else None
    return {
        # One alias for all families: it knows the images with NVIDIA's and Neuron's drivers by the machine.
        "amiSelectorTerms": [{"alias": versions.KARPENTER_AMI}],
        "subnetSelectorTerms": found,
        "securityGroupSelectorTerms": found,
        "tags": dict(tags),
        # One hop: pods do not reach the node's credentials (pain 15).
        "metadataOptions": {"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1},
        "blockDeviceMappings": [
            {
                "deviceName": "/dev/xvda",
                "rootVolume": True,
                "ebs": {
                    "volumeSize": f"{rung.disk_gib}Gi",
                    "volumeType": "gp3",
                    "encrypted": True,
                    "deleteOnTermination": True,
                },
            }
        ],
        **({"capacityReservationSelectorTerms": [{"id": reserved}]} if reserved else {}),
        **({"networkInterfaces": _interfaces(rung.efa)} if rung.efa else {}),
    }


def _interfaces(cards: int) -> list[dict[str, Any]]:
    """The node's own interface, and an adapter on every network card: with fewer, NCCL falls back to TCP."""
    own = {"networkCardIndex": 0, "deviceIndex": 0, "interfaceType": "interface"}
    return [own, *({"networkCardIndex": card, "deviceIndex": 1, "interfaceType": "efa-only"} for card in range(cards))]
