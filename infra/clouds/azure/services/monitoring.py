"""Azure Monitor: Log Analytics workspaces for one's own programs, and metric alerts that mail people."""

from __future__ import annotations

import pulumi
from pulumi_azure_native import monitor

from fleet.spec_services import AlarmSpec, LogsSpec
from infra.clouds.azure.network import AzureNetwork
from infra.clouds.azure.services.function import log_workspace
from infra.clouds.azure.services.rights import Metric
from infra.clouds.services import ServiceArgs

# The windows that an alert may look at, in minutes.
_WINDOWS = (1, 5, 15, 30, 60)


class AzureLogs(pulumi.ComponentResource):
    """Attributes:
    address: the workspace's id.
    """

    address: pulumi.Output[str]

    def __init__(self, name: str, args: ServiceArgs[LogsSpec, AzureNetwork], opts: pulumi.ResourceOptions) -> None:
        super().__init__("accelfleet:azure:AzureLogs", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.address = log_workspace(f"{name}-workspace", args.named(), args.spec.days, args, child).id
        self.register_outputs({"address": self.address})


class AzureAlarm(pulumi.ComponentResource):
    """One alert over one metric, with an action group of its own.

    Attributes:
        address: the alert's id.
    """

    address: pulumi.Output[str]

    def __init__(self, name: str, args: ServiceArgs[AlarmSpec, AzureNetwork], opts: pulumi.ResourceOptions) -> None:
        super().__init__("accelfleet:azure:AzureAlarm", name, None, opts)
        child, spec = pulumi.ResourceOptions(parent=self), args.spec
        # What belongs to no region is "global".
        common = {"resource_group_name": args.network.resource_group_name, "location": "global", "tags": args.tags}
        group = monitor.ActionGroup(
            f"{name}-people",
            action_group_name=args.named(limit=260),
            group_short_name="accelfleet",
            enabled=True,
            email_receivers=[
                monitor.MicrosoftCommonEmailReceiverArgs(name=email, email_address=email, use_common_alert_schema=True)
                for email in dict.fromkeys(spec.emails)
            ],
            opts=child,
            **common,
        )
        metric: Metric = args.beside[spec.of].metrics[spec.when]
        criteria = monitor.MetricCriteriaArgs(
            name=str(spec.when),
            criterion_type="StaticThresholdCriterion",
            metric_namespace=metric.namespace,
            metric_name=metric.name,
            operator="GreaterThan",
            threshold=spec.above,
            time_aggregation=metric.aggregation,
            dimensions=[
                monitor.MetricDimensionArgs(name=key, operator="Include", values=[value]) for key, value in metric.dimensions
            ],
        )
        window = next(minutes for minutes in _WINDOWS if minutes >= spec.minutes)
        alert = monitor.MetricAlert(
            f"{name}-alert",
            rule_name=args.named(limit=260),
            description=f"{spec.of}: {spec.when} above {spec.above} for {spec.minutes} min",
            severity=2,
            enabled=True,
            auto_mitigate=True,
            scopes=[metric.scope],
            evaluation_frequency="PT1M",
            window_size=f"PT{window}M" if window < _WINDOWS[-1] else "PT1H",
            criteria=monitor.MetricAlertSingleResourceMultipleMetricCriteriaArgs(
                odata_type="Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria", all_of=[criteria]
            ),
            actions=[monitor.MetricAlertActionArgs(action_group_id=group.id)],
            opts=child,
            **common,
        )
        self.address = alert.id
        self.register_outputs({"address": self.address})
