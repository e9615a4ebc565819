"""What a model is scaled by, as people write it under `scaling:`. Shape and defaults only; facts are `fleet.checks`'."""

from __future__ import annotations

from pydantic import Field, StrictBool, StrictInt

from fleet.spec_base import Spec

# KEDA's own default of its SQS and Service Bus scalers. https://keda.sh/docs/2.21/scalers/aws-sqs/
MESSAGES_PER_REPLICA = 5


class QueueSpec(Spec):
    """A queue of the cluster's cloud, whose messages are the work."""

    address: str = Field(
        description="Its URL on AWS, projects/<project>/subscriptions/<subscription> on GCP, the resource id of a Service "
        "Bus queue on Azure, or queue:<service> for one of this cluster's services."
    )
    messages: StrictInt = Field(default=MESSAGES_PER_REPLICA, ge=1, le=100_000, description="Messages that one replica is for.")


class ScheduleSpec(Spec):
    """Replicas that are there at set times, whatever waits."""

    timezone: str = Field(default="UTC", description="A name of the IANA time zone database, such as Europe/Berlin.")
    start: str = Field(description="When they come, in five cron fields, such as 0 8 * * 1-5.")
    end: str = Field(description="When they may go, in five cron fields.")
    replicas: StrictInt = Field(ge=1, le=10_000)


class ScalingSpec(Spec):
    """What KEDA goes by, for `autoscaler: keda`: the requests that wait at the replicas, or a queue; and a schedule."""

    queue: QueueSpec | None = Field(default=None, description="Go by its messages, in place of the requests that wait.")
    schedule: list[ScheduleSpec] = Field(default_factory=list, max_length=10, description="At least so many, at set times.")
    jobs: StrictBool = Field(
        default=False, description="A Job for each share of the queue's messages, that runs to its end, and no replica stays."
    )
    fallback: StrictInt | None = Field(
        default=None, ge=1, description="Replicas while nothing can be counted; default: as many as there are, one at least."
    )
    # The third failure makes the fallback hold, and until then the replicas must not be idle yet: a look every five seconds,
    # of two tries with up to three seconds and their repetitions each.
    idle_s: StrictInt = Field(default=300, ge=60, le=86_400, description="Seconds without work before the last replica goes.")
