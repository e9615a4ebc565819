"""GCP's products for the sections of `services:`; loaded where a stack has one."""

from collections.abc import Callable
from typing import Any

from fleet.spec_services import Kind
from infra.clouds.gcp.services.data_jobs import DataflowJobs
from infra.clouds.gcp.services.function import CloudRunFunction
from infra.clouds.gcp.services.machine import GceMachine
from infra.clouds.gcp.services.machine_learning import VertexEndpoint, VertexTraining
from infra.clouds.gcp.services.messaging import PubSubQueue, PubSubTopic
from infra.clouds.gcp.services.monitoring import CloudAlarm, CloudLogs
from infra.clouds.gcp.services.warehouse import BigQueryWarehouse
from infra.clouds.gcp.services.workflow import CloudWorkflow

KINDS: dict[Kind, Callable[..., Any]] = {
    Kind.TOPICS: PubSubTopic,
    Kind.QUEUES: PubSubQueue,
    Kind.MACHINES: GceMachine,
    Kind.FUNCTIONS: CloudRunFunction,
    Kind.TRAININGS: VertexTraining,
    Kind.ENDPOINTS: VertexEndpoint,
    Kind.WAREHOUSES: BigQueryWarehouse,
    Kind.DATA_JOBS: DataflowJobs,
    Kind.WORKFLOWS: CloudWorkflow,
    Kind.LOGS: CloudLogs,
    Kind.ALARMS: CloudAlarm,
}
