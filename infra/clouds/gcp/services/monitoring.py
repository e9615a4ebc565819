"""Cloud Logging buckets for one's own programs, and Cloud Monitoring alerts that mail people."""

from __future__ import annotations

import pulumi
import pulumi_gcp as gcp

from fleet.spec_services import AlarmSpec, LogsSpec
from infra.clouds.gcp.network import GcpNetwork
from infra.clouds.gcp.services.rights import Metric, project
from infra.clouds.services import ServiceArgs


class CloudLogs(pulumi.ComponentResource):
    """A log bucket in the region, and a sink that sends it what is written to the log of its name.

    Attributes:
        address: the log's name, as a program writes to it.
    """

    address: pulumi.Output[str]

    def __init__(self, name: str, args: ServiceArgs[LogsSpec, GcpNetwork], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:gcp:CloudLogs", name, {}, opts)
        child, mine = pulumi.ResourceOptions(parent=self), project(self).project_id
        bucket = gcp.logging.ProjectBucketConfig(
            f"{name}-bucket",
            project=mine,
            bucket_id=args.named(limit=100),
            location=args.region,
            retention_days=args.spec.days,
            description=args.named(),
            opts=child,
        )
        self.address = pulumi.Output.format("projects/{0}/logs/{1}", mine, args.named())
        gcp.logging.ProjectSink(
            f"{name}-sink",
            name=args.named(limit=100),
            destination=pulumi.Output.concat("logging.googleapis.com/", bucket.id),
            filter=pulumi.Output.concat('logName="', self.address, '"'),
            unique_writer_identity=True,
            opts=child,
        )
        self.register_outputs({"address": self.address})


class CloudAlarm(pulumi.ComponentResource):
    """One alert policy over one metric.

    Attributes:
        address: the policy's id.
    """

    address: pulumi.Output[str]

    def __init__(self, name: str, args: ServiceArgs[AlarmSpec, GcpNetwork], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:gcp:CloudAlarm", name, {}, opts)
        child, spec = pulumi.ResourceOptions(parent=self), args.spec
        channels = [
            gcp.monitoring.NotificationChannel(
                f"{name}-{email}",
                type="email",
                display_name=email,
                labels={"email_address": email},
                user_labels=args.tags,
                opts=child,
            )
            for email in dict.fromkeys(spec.emails)
        ]
        metric: Metric = args.beside[spec.of].metrics[spec.when]
        threshold = gcp.monitoring.AlertPolicyConditionConditionThresholdArgs(
            filter=metric.filter,
            aggregations=[
                gcp.monitoring.AlertPolicyConditionConditionThresholdAggregationArgs(
                    alignment_period="60s", per_series_aligner=metric.aligner, cross_series_reducer="REDUCE_SUM"
                )
            ],
            comparison="COMPARISON_GT",
            threshold_value=spec.above,
            duration=f"{spec.minutes * 60}s",
            # No message and no run is no fault.
            evaluation_missing_data="EVALUATION_MISSING_DATA_INACTIVE",
        )
        said = f"{spec.of}: {spec.when} above {spec.above} for {spec.minutes} min"
        policy = gcp.monitoring.AlertPolicy(
            f"{name}-policy",
            display_name=args.named(limit=512),
            combiner="OR",
            conditions=[gcp.monitoring.AlertPolicyConditionArgs(display_name=said, condition_threshold=threshold)],
            notification_channels=[channel.id for channel in channels],
            user_labels=args.tags,
            opts=child,
        )
        self.address = policy.id
        self.register_outputs({"address": self.address})
