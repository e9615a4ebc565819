"""A web server, a function behind a queue and a bucket: plain pulumi-aws, as in any first tutorial."""

import json

import pulumi
import pulumi_aws as aws

image = aws.ec2.get_ami(most_recent=True, owners=["amazon"], filters=[{"name": "name", "values": ["al2023-ami-*"]}])
default = aws.ec2.get_vpc(default=True)
group = aws.ec2.SecurityGroup(
    "web",
    vpc_id=default.id,
    ingress=[{"protocol": "tcp", "from_port": 80, "to_port": 80, "cidr_blocks": ["0.0.0.0/0"]}],
)
server = aws.ec2.Instance("server", instance_type="t3.micro", ami=image.id, vpc_security_group_ids=[group.id])
trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
role = aws.iam.Role("role", assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
queue = aws.sqs.Queue("jobs")
code = pulumi.AssetArchive({"index.py": pulumi.StringAsset("def handler(event, context):\n    return event\n")})
function = aws.lambda_.Function("worker", runtime="python3.12", handler="index.handler", role=role.arn, code=code)
aws.lambda_.EventSourceMapping("jobs", event_source_arn=queue.arn, function_name=function.name)
bucket = aws.s3.Bucket("site")
aws.s3.BucketVersioning("site", bucket=bucket.id, versioning_configuration={"status": "Enabled"})

pulumi.export("bucket", bucket.bucket)
pulumi.export("queue", queue.arn)
pulumi.export("server", server.id)
