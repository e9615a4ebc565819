"""A Lambda function from an image of ECR, with a role and a log group of its own. No URL: only IAM lets callers in.

A message that it does not take back as failed is done (`ReportBatchItemFailures`).
"""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_aws as aws

from fleet.spec_services import AlarmWhen, FunctionSpec
from infra.clouds.aws.network import AwsNetwork
from infra.clouds.aws.services.rights import Metric, Statement, allow, log_group, on_stores, service_role, to_logs
from infra.clouds.services import ServiceArgs

_FROM_QUEUE = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"]


class LambdaFunction(pulumi.ComponentResource):
    """Attributes:
    address: the function's ARN.
    """

    address: pulumi.Output[str]

    def __init__(
        self, name: str, args: ServiceArgs[FunctionSpec, AwsNetwork], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("accelfleet:aws:LambdaFunction", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        physical, spec = args.named(limit=64), args.spec
        queue = args.beside[spec.queue] if spec.queue else None
        group = log_group(self, name, f"/aws/lambda/{physical}")
        statements = [to_logs(group), *on_stores(args.reads, args.writes)]
        if queue is not None:
            statements.append(allow(_FROM_QUEUE, queue.arn))
        role, granted = service_role(
            self, name, role_name=physical, service="lambda.amazonaws.com", statements=statements, of_account=False
        )
        function = aws.lambda_.Function(
            f"{name}-function",
            name=physical,
            package_type="Image",
            image_uri=spec.image,
            role=role.arn,
            memory_size=spec.memory_gib * 1024,
            timeout=spec.timeout_s,
            environment=aws.lambda_.FunctionEnvironmentArgs(variables=args.environment) if args.environment else None,
            logging_config=aws.lambda_.FunctionLoggingConfigArgs(log_format="JSON", log_group=group.name),
            opts=pulumi.ResourceOptions(parent=self, depends_on=granted),
        )
        if queue is not None:
            aws.lambda_.EventSourceMapping(
                f"{name}-messages",
                event_source_arn=queue.arn,
                function_name=function.arn,
                function_response_types=["ReportBatchItemFailures"],
                scaling_config=aws.lambda_.EventSourceMappingScalingConfigArgs(maximum_concurrency=spec.most),
                opts=child,
            )
        self.address = function.arn
        self.metrics = {AlarmWhen.ERRORS: Metric("AWS/Lambda", "Errors", "Sum", {"FunctionName": function.name})}
        self.register_outputs({"address": self.address})

    def state(self) -> dict[str, Any]:
        """The step of a workflow that runs it: once more, twice at most, where Lambda itself was in the way.

        https://docs.aws.amazon.com/step-functions/latest/dg/connect-lambda.html
        """
        busy = ["Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException"]
        return {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": self.address, "Payload.$": "$"},
            "Retry": [
                {
                    "ErrorEquals": [*busy, "Lambda.TooManyRequestsException"],
                    "IntervalSeconds": 2,
                    "MaxAttempts": 2,
                    "BackoffRate": 2,
                }
            ],
        }

    def rights(self) -> list[Statement]:
        """What runs it needs."""
        return [allow("lambda:InvokeFunction", self.address)]
