"""One EC2 instance with an accelerator: in a private subnet, without an address or a key, reached by Session Manager.

Follows "Recommended AMIs for Deep Learning" and "Use IMDSv2". What is on its disk goes with it: results belong in a store.
"""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from fleet.catalog.accelerators import Family
from fleet.spec_services import MachineSpec, ServicePurchase
from infra.clouds.aws.network import AwsNetwork
from infra.clouds.aws.services.rights import allow, on_stores, service_role
from infra.clouds.services import ServiceArgs

# SSM parameters of AWS's own images: https://docs.aws.amazon.com/dlami/latest/devguide/find-dlami-id.html and
# https://awsdocs-neuron.readthedocs-hosted.com/en/latest/dlami/index.html, read 2026-11-29.
_IMAGES = {
    Family.NVIDIA: "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-amazon-linux-2023/latest/ami-id",
    Family.NEURON: "/aws/service/neuron/dlami/base/amazon-linux-2023/latest/image_id",
    None: "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",
}
# What AmazonSSMManagedInstanceCore grants, less its parameters and documents:
# https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html
_SESSIONS = (
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
)


class Ec2Machine(pulumi.ComponentResource):
    """Attributes:
    address: the instance's id, for `aws ssm start-session --target`.
    """

    address: pulumi.Output[str]

    def __init__(
        self, name: str, args: ServiceArgs[MachineSpec, AwsNetwork], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("accelfleet:aws:Ec2Machine", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        assert args.machine is not None, "a machine runs on one"
        family = args.machine.accelerator.family if args.machine.accelerator else None
        image = aws.ssm.get_parameter_output(name=_IMAGES[family], opts=pulumi.InvokeOutputOptions(parent=self))
        role, granted = service_role(
            self,
            name,
            role_name=args.named(limit=64),
            service="ec2.amazonaws.com",
            statements=[allow(list(_SESSIONS), "*"), *on_stores(args.reads, args.writes)],
            of_account=False,
        )
        profile = aws.iam.InstanceProfile(f"{name}-profile", name=args.named(limit=64), role=role.name, opts=child)
        group = aws.ec2.SecurityGroup(
            f"{name}-group",
            name=args.named(limit=255),
            description="Nothing comes in",
            vpc_id=args.network.vpc_id,
            egress=[
                aws.ec2.SecurityGroupEgressArgs(
                    protocol="tcp", from_port=443, to_port=443, cidr_blocks=["0.0.0.0/0"], description="TLS"
                )
            ],
            tags={"Name": args.named()},
            opts=child,
        )
        spot = args.spec.purchase is ServicePurchase.SPOT
        instance = aws.ec2.Instance(
            f"{name}-instance",
            ami=image.value,
            instance_type=args.machine.name,
            subnet_id=next(iter(args.network.private_subnet_ids.values())),
            vpc_security_group_ids=[group.id],
            associate_public_ip_address=False,
            iam_instance_profile=profile.name,
            metadata_options=aws.ec2.InstanceMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            root_block_device=aws.ec2.InstanceRootBlockDeviceArgs(
                encrypted=True, volume_type="gp3", volume_size=args.spec.disk_gib
            ),
            instance_market_options=aws.ec2.InstanceInstanceMarketOptionsArgs(market_type="spot") if spot else None,
            tags={"Name": args.named()},
            volume_tags={**args.tags, "Name": args.named()},
            # Newer images are for newer machines: this one keeps what it was made with.
            opts=pulumi.ResourceOptions(parent=self, depends_on=granted, protect=args.protect, ignore_changes=["ami"]),
        )
        self.address = instance.id
        self.register_outputs({"address": self.address})
