"""One topic, two queues that hear of it, each with a queue for what nobody could handle, and a table of results."""

import pulumi
import pulumi_aws as aws

me = aws.get_caller_identity()
topic = aws.sns.Topic("orders")
queues = {}
for name in ("billing", "shipping"):
    dead = aws.sqs.Queue(f"{name}-dead", message_retention_seconds=1209600)
    queue = aws.sqs.Queue(
        name,
        visibility_timeout_seconds=60,
        redrive_policy=pulumi.Output.json_dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 5}),
    )
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue.arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic.arn}},
    }
    aws.sqs.QueuePolicy(
        name, queue_url=queue.url, policy=pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    aws.sns.TopicSubscription(name, topic=topic.arn, protocol="sqs", endpoint=queue.arn, raw_message_delivery=True)
    queues[name] = queue.url
aws.dynamodb.Table("results", billing_mode="PAY_PER_REQUEST", hash_key="order", attributes=[{"name": "order", "type": "S"}])

pulumi.export("account", me.account_id)
pulumi.export("topic", topic.arn)
pulumi.export("queues", queues)
