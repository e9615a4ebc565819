"""CloudWatch: log groups for one's own programs, and alarms that mail people."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from fleet.spec_services import AlarmSpec, LogsSpec
from infra.clouds.aws.network import AwsNetwork
from infra.clouds.aws.services.messaging import encrypted_topic
from infra.clouds.aws.services.rights import Metric, log_group
from infra.clouds.services import ServiceArgs


class CloudWatchLogs(pulumi.ComponentResource):
    """A log group; CloudWatch encrypts all of them.

    Attributes:
        address: its name.
    """

    address: pulumi.Output[str]

    def __init__(self, name: str, args: ServiceArgs[LogsSpec, AwsNetwork], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:aws:CloudWatchLogs", name, {}, opts)
        self.address = log_group(self, name, args.named(limit=512), args.spec.days).name
        self.register_outputs({"address": self.address})


class CloudWatchAlarm(pulumi.ComponentResource):
    """One alarm over one metric, with a topic of its own; who is to be told confirms by mail first.

    Attributes:
        address: the alarm's ARN.
    """

    address: pulumi.Output[str]

    def __init__(self, name: str, args: ServiceArgs[AlarmSpec, AwsNetwork], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:aws:CloudWatchAlarm", name, {}, opts)
        child, spec = pulumi.ResourceOptions(parent=self), args.spec
        topic = encrypted_topic(self, name, args.named(limit=256), publishers=["cloudwatch.amazonaws.com"])
        for email in dict.fromkeys(spec.emails):
            aws.sns.TopicSubscription(f"{name}-{email}", topic=topic.arn, protocol="email", endpoint=email, opts=child)
        metric: Metric = args.beside[spec.of].metrics[spec.when]
        alarm = aws.cloudwatch.MetricAlarm(
            f"{name}-alarm",
            name=args.named(limit=255),
            alarm_description=f"{spec.of}: {spec.when} above {spec.above} for {spec.minutes} min",
            namespace=metric.namespace,
            metric_name=metric.name,
            dimensions=dict(metric.dimensions),
            statistic=metric.statistic,
            period=60,
            evaluation_periods=spec.minutes,
            threshold=spec.above,
            comparison_operator="GreaterThanThreshold",
            # No message and no run is no fault.
            treat_missing_data="notBreaching",
            alarm_actions=[topic.arn],
            ok_actions=[topic.arn],
            opts=child,
        )
        self.address = alarm.arn
        self.register_outputs({"address": self.address})
