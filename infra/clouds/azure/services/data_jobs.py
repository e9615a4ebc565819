"""Spark by Synapse: a workspace with a pool that grows with its jobs, and pauses a quarter of an hour after the last."""

from __future__ import annotations

import re

import pulumi
from pulumi_azure_native import synapse

from fleet.spec_services import DataJobsSpec
from infra.clouds.azure.network import AzureNetwork
from infra.clouds.azure.services.synapse import make_workspace
from infra.clouds.services import ServiceArgs

_SPARK = "3.5"
# A Small node has 4 vCPUs and 32 GiB, and a pool three nodes at least.
_NODE_VCPUS, _LEAST = 4, 3
_IDLE_MINUTES = 15


class SynapseSpark(pulumi.ComponentResource):
    """Follows "Apache Spark pool configurations in Azure Synapse Analytics".

    Attributes:
        address: the pool's id.
    """

    address: pulumi.Output[str]

    def __init__(self, name: str, args: ServiceArgs[DataJobsSpec, AzureNetwork], opts: pulumi.ResourceOptions) -> None:
        super().__init__("accelfleet:azure:SynapseSpark", name, None, opts)
        workspace = make_workspace(self, name, args)
        most = max(_LEAST, args.spec.vcpus // _NODE_VCPUS)
        pool = synapse.BigDataPool(
            f"{name}-pool",
            # Fifteen letters and digits, of its own workspace.
            big_data_pool_name=re.sub(r"[^a-z0-9]", "", args.named())[-15:].lstrip("0123456789") or "spark",
            workspace_name=workspace.name,
            resource_group_name=args.network.resource_group_name,
            location=args.region,
            node_size="Small",
            node_size_family="MemoryOptimized",
            spark_version=_SPARK,
            auto_scale=synapse.AutoScalePropertiesArgs(enabled=True, min_node_count=_LEAST, max_node_count=most),
            auto_pause=synapse.AutoPausePropertiesArgs(enabled=True, delay_in_minutes=_IDLE_MINUTES),
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.address = pool.id
        self.register_outputs({"address": self.address})
