"""SQL over stores by Athena: a workgroup that nobody can query around, a Glue database, and a crawler that fills it.

Owns no table: the crawler, run when asked to, makes them of what lies in the stores. Who queries needs rights on the
workgroup and the stores; those are people's, and not given here.
"""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from fleet.spec_services import WarehouseSpec
from infra.clouds.aws.network import AwsNetwork
from infra.clouds.aws.services.rights import account, allow, on_stores, service_role
from infra.clouds.services import ServiceArgs

_MOST_BYTES_A_QUERY = 1024**4  # 1 TiB, which a forgotten WHERE is stopped at
_CATALOGUE = [
    f"glue:{verb}"
    for verb in (
        "GetDatabase",
        "GetTable",
        "GetTables",
        "CreateTable",
        "UpdateTable",
        "GetPartition",
        "GetPartitions",
        "BatchGetPartition",
        "BatchCreatePartition",
        "UpdatePartition",
    )
]


class AthenaWarehouse(pulumi.ComponentResource):
    """Attributes:
    address: the workgroup, as `start_query_execution` asks for it.
    """

    address: pulumi.Output[str]

    def __init__(
        self, name: str, args: ServiceArgs[WarehouseSpec, AwsNetwork], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("accelfleet:aws:AthenaWarehouse", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        results = pulumi.Output.concat(args.stores[args.spec.stores[0]].url, "/", args.named("results"), "/")
        workgroup = aws.athena.Workgroup(
            f"{name}-workgroup",
            name=args.named(limit=128),
            force_destroy=not args.protect,
            configuration=aws.athena.WorkgroupConfigurationArgs(
                enforce_workgroup_configuration=True,
                publish_cloudwatch_metrics_enabled=True,
                bytes_scanned_cutoff_per_query=_MOST_BYTES_A_QUERY,
                result_configuration=aws.athena.WorkgroupConfigurationResultConfigurationArgs(
                    output_location=results,
                    encryption_configuration=aws.athena.WorkgroupConfigurationResultConfigurationEncryptionConfigurationArgs(
                        encryption_option="SSE_S3"
                    ),
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        database = aws.glue.CatalogDatabase(
            f"{name}-database",
            # Athena takes no hyphens without quotes.
            name=args.named(limit=255).replace("-", "_"),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        here = pulumi.Output.concat("arn:aws:glue:", args.region, ":", account(self))
        logs = pulumi.Output.concat("arn:aws:logs:", args.region, ":", account(self), ":log-group:/aws-glue/crawlers:*")
        lake = [args.stores[key] for key in args.spec.stores]
        role, granted = service_role(
            self,
            name,
            role_name=args.named(limit=64),
            service="glue.amazonaws.com",
            statements=[
                *on_stores(lake, ()),
                allow(
                    _CATALOGUE,
                    pulumi.Output.concat(here, ":catalog"),
                    pulumi.Output.concat(here, ":database/", database.name),
                    pulumi.Output.concat(here, ":table/", database.name, "/*"),
                ),
                allow(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], logs),
            ],
            of_account=False,
        )
        aws.glue.Crawler(
            f"{name}-crawler",
            name=args.named(limit=255),
            role=role.arn,
            database_name=database.name,
            s3_targets=[
                aws.glue.CrawlerS3TargetArgs(path=store.url, exclusions=[f"{args.named('results')}/**"]) for store in lake
            ],
            # A table whose objects are gone is said, not dropped.
            schema_change_policy=aws.glue.CrawlerSchemaChangePolicyArgs(
                update_behavior="UPDATE_IN_DATABASE", delete_behavior="LOG"
            ),
            opts=pulumi.ResourceOptions(parent=child.parent, depends_on=granted),
        )
        self.address = workgroup.name
        self.register_outputs({"address": self.address})
