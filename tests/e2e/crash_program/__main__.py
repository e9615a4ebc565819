"""Sixty resources of the kinds that crashes are hard on: ids from the cloud, ids from names, and ids from both ends."""

import json

import pulumi
import pulumi_aws as aws

generation = pulumi.Config("crash").get("generation") or "1"
tags = {"accelfleet-stack": pulumi.get_stack(), "generation": generation}
trust = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)

vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16", tags={**tags, "Name": "crash-vpc"})
for i in range(12):
    subnet = aws.ec2.Subnet(
        f"subnet-{i}",
        vpc_id=vpc.id,
        cidr_block=f"10.0.{i}.0/24",
        availability_zone="us-east-1a",
        tags={**tags, "Name": f"crash-{i}"},
    )
    if i < 6:
        table = aws.ec2.RouteTable(f"table-{i}", vpc_id=vpc.id, tags={**tags, "Name": f"crash-{i}"})
        aws.ec2.RouteTableAssociation(f"association-{i}", subnet_id=subnet.id, route_table_id=table.id)
for i in range(10):
    role = aws.iam.Role(f"role-{i}", name=f"crash-{i}", assume_role_policy=trust, tags=tags)
    aws.iam.RolePolicyAttachment(f"attachment-{i}", role=role.name, policy_arn="arn:aws:iam::aws:policy/ReadOnlyAccess")
for i in range(14):
    aws.sqs.Queue(f"queue-{i}", name=f"crash-{i}", visibility_timeout_seconds=30 + int(generation), tags=tags)
