"""AWS's products for the sections of `services:`; loaded where a stack has one."""

from collections.abc import Callable
from typing import Any

from fleet.spec_services import Kind
from infra.clouds.aws.services.data_jobs import EmrServerless
from infra.clouds.aws.services.function import LambdaFunction
from infra.clouds.aws.services.machine import Ec2Machine
from infra.clouds.aws.services.machine_learning import SageMakerEndpoint, SageMakerTraining
from infra.clouds.aws.services.messaging import SnsTopic, SqsQueue
from infra.clouds.aws.services.monitoring import CloudWatchAlarm, CloudWatchLogs
from infra.clouds.aws.services.warehouse import AthenaWarehouse
from infra.clouds.aws.services.workflow import StepFunctionsWorkflow

KINDS: dict[Kind, Callable[..., Any]] = {
    Kind.TOPICS: SnsTopic,
    Kind.QUEUES: SqsQueue,
    Kind.MACHINES: Ec2Machine,
    Kind.FUNCTIONS: LambdaFunction,
    Kind.TRAININGS: SageMakerTraining,
    Kind.ENDPOINTS: SageMakerEndpoint,
    Kind.WAREHOUSES: AthenaWarehouse,
    Kind.DATA_JOBS: EmrServerless,
    Kind.WORKFLOWS: StepFunctionsWorkflow,
    Kind.LOGS: CloudWatchLogs,
    Kind.ALARMS: CloudWatchAlarm,
}
