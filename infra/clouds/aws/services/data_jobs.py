"""Spark by EMR Serverless: an application in the cluster's private subnets that stops when idle, and its jobs' role."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from fleet.spec_services import DataJobsSpec
from infra import versions
from infra.clouds.aws.network import AwsNetwork
from infra.clouds.aws.services.rights import on_stores, service_role
from infra.clouds.services import ServiceArgs

# Of a worker of EMR Serverless, GB a vCPU; the most is 8.
_GB_A_VCPU = 4
_DISK_GB_A_VCPU = 20
_IDLE_MINUTES = 15


class EmrServerless(pulumi.ComponentResource):
    """After "Getting started with Amazon EMR Serverless".

    Attributes:
        address: the application's id. job_role_arn: what `start_job_run` names beside it.
    """

    address: pulumi.Output[str]
    job_role_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: ServiceArgs[DataJobsSpec, AwsNetwork], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("accelfleet:aws:EmrServerless", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        role, _ = service_role(
            self,
            name,
            role_name=args.named(limit=64),
            service="emr-serverless.amazonaws.com",
            # Spark writes beside, and renames when it is done.
            statements=on_stores(args.reads, args.writes, delete=True),
        )
        group = aws.ec2.SecurityGroup(
            f"{name}-group",
            name=args.named(limit=255),
            description="Workers among themselves",
            vpc_id=args.network.vpc_id,
            ingress=[
                aws.ec2.SecurityGroupIngressArgs(protocol="tcp", from_port=0, to_port=65535, self=True, description="Workers")
            ],
            egress=[
                aws.ec2.SecurityGroupEgressArgs(
                    protocol="-1", from_port=0, to_port=0, cidr_blocks=["0.0.0.0/0"], description="Stores and packages"
                )
            ],
            tags={"Name": args.named()},
            opts=child,
        )
        vcpus = args.spec.vcpus
        application = aws.emrserverless.Application(
            f"{name}-application",
            name=args.named(limit=64),
            type="spark",
            release_label=versions.EMR_RELEASE,
            auto_stop_configuration=aws.emrserverless.ApplicationAutoStopConfigurationArgs(
                enabled=True, idle_timeout_minutes=_IDLE_MINUTES
            ),
            maximum_capacity=aws.emrserverless.ApplicationMaximumCapacityArgs(
                cpu=f"{vcpus} vCPU", memory=f"{vcpus * _GB_A_VCPU} GB", disk=f"{vcpus * _DISK_GB_A_VCPU} GB"
            ),
            network_configuration=aws.emrserverless.ApplicationNetworkConfigurationArgs(
                subnet_ids=list(args.network.private_subnet_ids.values()), security_group_ids=[group.id]
            ),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self.address, self.job_role_arn = application.id, role.arn
        self.register_outputs({"address": self.address, "jobRoleArn": self.job_role_arn})
