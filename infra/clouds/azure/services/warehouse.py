"""SQL over stores by Synapse's serverless pool, which every workspace has: paid by what a query reads, nothing stands.

Owns no table: `OPENROWSET` reads the stores as the workspace's identity, which has read rights on them.
"""

from __future__ import annotations

import pulumi

from fleet.spec_services import WarehouseSpec
from infra.clouds.azure.network import AzureNetwork
from infra.clouds.azure.services.synapse import make_workspace
from infra.clouds.services import ServiceArgs


class SynapseWarehouse(pulumi.ComponentResource):
    """Attributes:
    address: the serverless pool's host.
    """

    address: pulumi.Output[str]

    def __init__(self, name: str, args: ServiceArgs[WarehouseSpec, AzureNetwork], opts: pulumi.ResourceOptions) -> None:
        super().__init__("accelfleet:azure:SynapseWarehouse", name, None, opts)
        workspace = make_workspace(self, name, args)
        self.address = pulumi.Output.concat(workspace.name, "-ondemand.sql.azuresynapse.net")
        self.register_outputs({"address": self.address})
