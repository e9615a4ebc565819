"""Five kinds of resources, two of each, and a secret: small, for runs that are made many times."""

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
for i in range(2):
    vpc = aws.ec2.Vpc(f"vpc-{i}", cidr_block=f"10.{i}.0.0/16", tags={**tags, "Name": f"fault-{i}"})
    aws.ec2.RouteTable(f"table-{i}", vpc_id=vpc.id, tags={**tags, "Name": f"fault-{i}"})
    aws.iam.Role(f"role-{i}", name=f"fault-{i}", assume_role_policy=trust, tags=tags)
    aws.sqs.Queue(f"queue-{i}", name=f"fault-{i}", visibility_timeout_seconds=30 + int(generation), tags=tags)
    aws.cloudwatch.LogGroup(f"logs-{i}", name=f"fault-{i}", retention_in_days=7, tags=tags)
pulumi.export("token", pulumi.Output.secret("not for anybody"))
