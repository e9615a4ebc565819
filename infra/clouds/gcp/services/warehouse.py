"""SQL over stores by BigQuery: a dataset, and a connection whose own account reads the stores for external tables.

Owns no table: `CREATE EXTERNAL TABLE … WITH CONNECTION` makes them, and who queries needs no right on the stores then.
"""

from __future__ import annotations

import pulumi
import pulumi_gcp as gcp

from fleet.spec_services import WarehouseSpec
from infra.clouds.gcp.network import GcpNetwork
from infra.clouds.gcp.services.rights import READER
from infra.clouds.services import ServiceArgs


class BigQueryWarehouse(pulumi.ComponentResource):
    """Follows "Create Cloud Storage BigLake tables".

    Attributes:
        address: the dataset's id. connection: what an external table names.
    """

    address: pulumi.Output[str]
    connection: pulumi.Output[str]

    def __init__(
        self, name: str, args: ServiceArgs[WarehouseSpec, GcpNetwork], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("accelfleet:gcp:BigQueryWarehouse", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        dataset = gcp.bigquery.Dataset(
            f"{name}-dataset",
            # BigQuery takes no hyphens.
            dataset_id=args.named(limit=255).replace("-", "_"),
            location=args.region,
            delete_contents_on_destroy=not args.protect,
            labels=args.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        connection = gcp.bigquery.Connection(
            f"{name}-connection",
            connection_id=args.named(),
            location=args.region,
            cloud_resource=gcp.bigquery.ConnectionCloudResourceArgs(),
            opts=child,
        )
        reader = connection.cloud_resource.apply(lambda made: f"serviceAccount:{made.service_account_id}")
        for key in dict.fromkeys(args.spec.stores):
            bucket = args.stores[key].bucket_name
            gcp.storage.BucketIAMMember(f"{name}-reads-{key}", bucket=bucket, role=READER, member=reader, opts=child)
        self.address, self.connection = dataset.dataset_id, connection.id
        self.register_outputs({"address": self.address, "connection": self.connection})
