"""A Step Functions state machine: the steps in their order, each with the message that began the run.

A queue's messages start it by an EventBridge pipe, one run each; a run that fails is the alarm's, the message is done.
"""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_aws as aws

from fleet.spec_services import AlarmWhen, WorkflowSpec
from infra.clouds.aws.network import AwsNetwork
from infra.clouds.aws.services.rights import Metric, allow, log_group, service_role
from infra.clouds.services import ServiceArgs

# Log delivery knows no resource: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
_DELIVERY = [
    f"logs:{verb}"
    for verb in (
        "CreateLogDelivery",
        "GetLogDelivery",
        "UpdateLogDelivery",
        "DeleteLogDelivery",
        "ListLogDeliveries",
        "PutResourcePolicy",
        "DescribeResourcePolicies",
        "DescribeLogGroups",
    )
]


class StepFunctionsWorkflow(pulumi.ComponentResource):
    """Attributes:
    address: the state machine's ARN.
    """

    address: pulumi.Output[str]

    def __init__(
        self, name: str, args: ServiceArgs[WorkflowSpec, AwsNetwork], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("accelfleet:aws:StepFunctionsWorkflow", name, {}, opts)
        steps = {key: args.beside[key] for key in args.spec.steps}
        group = log_group(self, name, f"/aws/vendedlogs/states/{args.named(limit=80)}")
        role, granted = service_role(
            self,
            name,
            role_name=args.named(limit=64),
            service="states.amazonaws.com",
            statements=[*(right for step in steps.values() for right in step.rights()), allow(_DELIVERY, "*")],
        )
        machine = aws.sfn.StateMachine(
            f"{name}-machine",
            name=args.named(limit=80),
            role_arn=role.arn,
            definition=pulumi.Output.json_dumps(_definition(steps)),
            logging_configuration=aws.sfn.StateMachineLoggingConfigurationArgs(
                level="ERROR", include_execution_data=False, log_destination=pulumi.Output.concat(group.arn, ":*")
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=granted, protect=args.protect),
        )
        self.address = machine.arn
        of = {"StateMachineArn": machine.arn}
        self.metrics = {AlarmWhen.ERRORS: Metric("AWS/States", "ExecutionsFailed", "Sum", of)}
        if args.spec.queue:
            self._started_by(name, args, args.beside[args.spec.queue].arn)
        self.register_outputs({"address": self.address})

    def _started_by(self, name: str, args: ServiceArgs[WorkflowSpec, AwsNetwork], queue: pulumi.Output[str]) -> None:
        role, granted = service_role(
            self,
            f"{name}-pipe",
            role_name=args.named("pipe", limit=64),
            service="pipes.amazonaws.com",
            statements=[
                allow(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], queue),
                allow("states:StartExecution", self.address),
            ],
        )
        target = aws.pipes.PipeTargetParametersStepFunctionStateMachineParametersArgs(invocation_type="FIRE_AND_FORGET")
        aws.pipes.Pipe(
            f"{name}-pipe",
            name=args.named(limit=64),
            role_arn=role.arn,
            source=queue,
            target=self.address,
            source_parameters=aws.pipes.PipeSourceParametersArgs(
                sqs_queue_parameters=aws.pipes.PipeSourceParametersSqsQueueParametersArgs(batch_size=1)
            ),
            target_parameters=aws.pipes.PipeTargetParametersArgs(step_function_state_machine_parameters=target),
            opts=pulumi.ResourceOptions(parent=self, depends_on=granted),
        )


def _definition(steps: dict[str, Any]) -> dict[str, Any]:
    """https://states-language.net/spec.html; a step's own result is dropped, so that each sees what began the run."""
    names = list(steps)
    states = {}
    for name, after in zip(names, [*names[1:], None], strict=True):
        states[name] = {**steps[name].state(), "ResultPath": None, **({"Next": after} if after else {"End": True})}
    return {"StartAt": names[0], "States": states}
