"""What people write under `services:` of a cluster: its shape and defaults, in one vocabulary over three clouds.

A service stands beside the cluster, in its region, network and stores, under its tags; which of a cloud's products it is
there, `docs/services.md` says. Sections are in the order in which they are made, so that a service names only such as are
made before it. Facts about them are `fleet.checks.services`'.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StrictInt, StringConstraints

from fleet.spec_base import Name, Spec

Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=254)]
_IMAGE = "Image, with a tag or digest; AWS takes only those of its own registry, ECR."


class Kind(StrEnum):
    """The sections of `services:`, in the order in which they are made."""

    TOPICS = "topics"
    QUEUES = "queues"
    MACHINES = "machines"
    FUNCTIONS = "functions"
    TRAININGS = "trainings"
    ENDPOINTS = "endpoints"
    WAREHOUSES = "warehouses"
    DATA_JOBS = "data_jobs"
    WORKFLOWS = "workflows"
    LOGS = "logs"
    ALARMS = "alarms"


class ServicePurchase(StrEnum):
    """How a machine of a service is bought."""

    SPOT = "spot"
    ON_DEMAND = "on-demand"


class OfStores(Spec):
    """A service that reads and writes stores of its cluster; it has rights on these and on no others."""

    reads: list[Name] = Field(default_factory=list, description="Stores that it reads.")
    writes: list[Name] = Field(default_factory=list, description="Stores that it reads and writes.")


class OnMachines(Spec):
    """What runs on machines with accelerators."""

    accelerator: str | None = Field(default=None, description="Catalogue name, such as nvidia-l4; default: none.")
    per_node: StrictInt | None = Field(
        default=None, ge=1, le=16, description="Accelerators a machine; default: the smallest machine on offer."
    )
    machine: str | None = Field(default=None, description="Machine type; default: the smallest one with the accelerator.")


class HoursSpec(Spec):
    """How much a month uses of what is paid by the hour that its machines run."""

    hours: float = Field(
        ge=0, allow_inf_nan=False, description="Hours of a month that it runs, all runs together; each of its machines is paid."
    )


class Managed(OnMachines):
    """What a managed service runs on machines of its own."""

    usage: HoursSpec | None = Field(default=None, description="What a month uses of it, such as hours: 40; for the report.")


class ByUse(Spec):
    """What is paid by how much it is used."""

    usage: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
        default_factory=dict,
        description="What a month uses of it, such as requests: 2000000, by the measures of docs/services.md; for the report.",
    )


class TopicSpec(ByUse):
    """Messages that go to every queue that names the topic."""


class QueueSpec(ByUse):
    """Messages that one consumer works off; those that it cannot are kept aside."""

    topic: Name | None = Field(default=None, description="Topic whose messages come here.")
    store: Name | None = Field(default=None, description="Store whose new objects make a message here, one each.")
    # Pub/Sub takes 5 to 100, the others more.
    dead_letter_after: StrictInt = Field(default=5, ge=5, le=100, description="Tries until a message is put aside.")
    keep_days: StrictInt = Field(default=4, ge=1, le=7, description="Days that a message waits at most.")
    # Service Bus locks a message for five minutes at most.
    work_s: StrictInt = Field(default=60, ge=10, le=300, description="Seconds that a consumer has for a message.")


class MachineSpec(OfStores, OnMachines):
    """One virtual machine, for what needs no cluster; reached by the cloud's own session tool, and by nobody else."""

    purchase: ServicePurchase = ServicePurchase.ON_DEMAND
    disk_gib: StrictInt = Field(default=200, ge=50, le=2048, description="Boot disk.")
    ssh_key: str | None = Field(default=None, description="A public key; Azure makes no Linux machine without one.")


class FunctionSpec(OfStores, ByUse):
    """A container that runs when asked to: by a queue's messages, by a workflow, or by who may call it."""

    image: str = Field(description=_IMAGE)
    queue: Name | None = Field(default=None, description="Queue whose messages start it.")
    memory_gib: StrictInt = Field(
        default=1, ge=1, le=8, description="CPU comes along: half a vCPU a GiB, or as the cloud has it."
    )
    timeout_s: StrictInt = Field(default=60, ge=1, le=900, description="Seconds for one run.")
    most: StrictInt = Field(default=10, ge=2, le=1000, description="Runs side by side at most.")


class TrainingSpec(Managed):
    """A managed training job as a step of a workflow: what it runs on, reads and leaves behind."""

    image: str = Field(description=_IMAGE)
    data: Name | None = Field(default=None, description="Store with what it learns from.")
    model: Name = Field(description="Store that the trained model is put into, below the training's name.")
    nodes: StrictInt = Field(default=1, ge=1, le=64)
    purchase: ServicePurchase = Field(
        default=ServicePurchase.SPOT, description="spot: a run starts over from its checkpoints when machines are taken."
    )
    hours: StrictInt = Field(default=24, ge=1, le=120, description="Longest run.")
    disk_gib: StrictInt = Field(default=100, ge=10, le=2048)


class EndpointSpec(Managed):
    """A model behind the cloud's own managed endpoint."""

    image: str = Field(description=_IMAGE)
    model: Name = Field(description="Store with the model.")
    path: str = Field(default="", description="Prefix inside the store.")
    machines: StrictInt = Field(default=1, ge=1, le=64, description="Machines behind it; without `usage` all month.")


class WarehouseSpec(ByUse):
    """SQL over the objects of stores, paid by what a query reads."""

    stores: list[Name] = Field(min_length=1, description="Stores that queries read; AWS puts results into the first.")


class DataJobsSpec(OfStores, ByUse):
    """Big-data jobs: nothing stands while none runs."""

    vcpus: StrictInt = Field(default=16, ge=4, le=1024, description="Of all jobs together at most.")


class WorkflowSpec(ByUse):
    """Steps one after another: functions and trainings of the cluster, each to its end."""

    steps: list[Name] = Field(min_length=1, description="Functions and trainings, first to last.")
    queue: Name | None = Field(default=None, description="Queue whose messages start it, one run each.")


class LogsSpec(ByUse):
    """A place for logs of one's own programs; functions and workflows bring theirs."""

    days: StrictInt = Field(default=30, description="Days that they are kept.")


class AlarmWhen(StrEnum):
    """What an alarm looks at: of a queue what waits or for how long, of what runs its failures."""

    BACKLOG = "backlog"
    AGE = "age"
    ERRORS = "errors"


class AlarmSpec(Spec):
    """Mail to people when a service is over a bound."""

    of: Name = Field(description="A queue, function, workflow or endpoint of the same cluster.")
    when: AlarmWhen = Field(description="backlog: messages that wait; age: seconds that the oldest waits; errors: a period's.")
    above: StrictInt = Field(ge=0, description="The bound, in messages, seconds or failures.")
    minutes: StrictInt = Field(default=5, ge=1, le=60, description="For how long.")
    emails: list[Email] = Field(min_length=1, description="Who is told.")


Service = (
    TopicSpec
    | QueueSpec
    | MachineSpec
    | FunctionSpec
    | TrainingSpec
    | EndpointSpec
    | WarehouseSpec
    | DataJobsSpec
    | WorkflowSpec
    | LogsSpec
    | AlarmSpec
)


class ServicesSpec(Spec):
    """Cloud services beside a cluster; a name is of one service only."""

    topics: dict[Name, TopicSpec] = Field(default_factory=dict)
    queues: dict[Name, QueueSpec] = Field(default_factory=dict)
    machines: dict[Name, MachineSpec] = Field(default_factory=dict)
    functions: dict[Name, FunctionSpec] = Field(default_factory=dict)
    trainings: dict[Name, TrainingSpec] = Field(default_factory=dict)
    endpoints: dict[Name, EndpointSpec] = Field(default_factory=dict)
    warehouses: dict[Name, WarehouseSpec] = Field(default_factory=dict)
    data_jobs: dict[Name, DataJobsSpec] = Field(default_factory=dict)
    workflows: dict[Name, WorkflowSpec] = Field(default_factory=dict)
    logs: dict[Name, LogsSpec] = Field(default_factory=dict)
    alarms: dict[Name, AlarmSpec] = Field(default_factory=dict)

    def all(self) -> Iterator[tuple[Kind, str, Service]]:
        """Every service, in the order in which they are made."""
        for kind in Kind:
            for name, spec in getattr(self, kind).items():
                yield kind, name, spec

    def consumer(self, queue: str) -> Kind | None:
        """What works a queue off, if a service does; `fleet.checks.services` sees to it that only one does."""
        for kind, _, spec in self.all():
            if isinstance(spec, FunctionSpec | WorkflowSpec) and spec.queue == queue:
                return kind
        return None

    def analyses(self, store: str) -> bool:
        """Whether a warehouse or data jobs read the store."""
        return any(store in (*reads, *writes) for reads, writes in map(stores_of, self._analytic()))

    def _analytic(self) -> Iterator[Service]:
        yield from self.warehouses.values()
        yield from self.data_jobs.values()


def stores_of(spec: Service) -> tuple[list[str], list[str]]:
    """The stores that a service reads, and those that it reads and writes."""
    match spec:
        case OfStores():
            return spec.reads, spec.writes
        case TrainingSpec():
            return [spec.data] if spec.data else [], [spec.model]
        case EndpointSpec():
            return [spec.model], []
        case WarehouseSpec():
            return spec.stores, []
    return [], []
