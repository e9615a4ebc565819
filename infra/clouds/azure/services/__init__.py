"""Azure's products for the sections of `services:`; loaded where a stack has one."""

from collections.abc import Callable
from typing import Any

from fleet.spec_services import Kind
from infra.clouds.azure.services.data_jobs import SynapseSpark
from infra.clouds.azure.services.function import ContainerJob
from infra.clouds.azure.services.machine import VirtualMachine
from infra.clouds.azure.services.machine_learning import AmlEndpoint, AmlTraining
from infra.clouds.azure.services.messaging import BusQueue, BusTopic
from infra.clouds.azure.services.monitoring import AzureAlarm, AzureLogs
from infra.clouds.azure.services.warehouse import SynapseWarehouse
from infra.clouds.azure.services.workflow import LogicWorkflow

KINDS: dict[Kind, Callable[..., Any]] = {
    Kind.TOPICS: BusTopic,
    Kind.QUEUES: BusQueue,
    Kind.MACHINES: VirtualMachine,
    Kind.FUNCTIONS: ContainerJob,
    Kind.TRAININGS: AmlTraining,
    Kind.ENDPOINTS: AmlEndpoint,
    Kind.WAREHOUSES: SynapseWarehouse,
    Kind.DATA_JOBS: SynapseSpark,
    Kind.WORKFLOWS: LogicWorkflow,
    Kind.LOGS: AzureLogs,
    Kind.ALARMS: AzureAlarm,
}
