"""What KEDA may do in GCP: read the metrics of the projects whose subscriptions models go by, and no message.

Backlogs are read from Cloud Monitoring by its Prometheus API: KEDA has deprecated its own Pub/Sub scaler's way to them.
https://cloud.google.com/stackdriver/docs/managed-prometheus/hpa
"""

from __future__ import annotations

import pulumi
import pulumi_gcp as gcp

from fleet.catalog.clouds import Cloud
from fleet.queues import queue
from infra.clouds.base import QueueReaderArgs
from infra.clouds.gcp.cluster import GkeCluster

_ROLE = "roles/monitoring.viewer"


class GkeQueueReader(pulumi.ComponentResource):
    """A role in each project for the principal of KEDA's operator; no key, and no Google service account in between.

    Attributes:
        chart_values: of KEDA's chart; none, as the pod needs no mark.
    """

    chart_values: pulumi.Output[dict[str, object]]

    def __init__(self, name: str, args: QueueReaderArgs[GkeCluster], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:gcp:GkeQueueReader", name, {}, opts)
        principal = pulumi.Output.format(
            "principal://iam.googleapis.com/projects/{0}/locations/global/workloadIdentityPools/{1}/subject/ns/{2}/sa/{3}",
            args.cluster.project_number,
            args.cluster.workload_pool,
            args.namespace,
            args.service_account,
        )
        # A queue that is made here is in the cluster's project, and has no address yet.
        projects = {queue(Cloud.GCP, address).place for address in args.addresses if isinstance(address, str)}
        for project in sorted(projects):
            self._grant(f"{name}-{project}", project, principal)
        if any(not isinstance(address, str) for address in args.addresses):
            self._grant(f"{name}-here", args.cluster.project, principal)
        self.chart_values = pulumi.Output.from_input({})
        self.register_outputs({"chartValues": self.chart_values})

    def _grant(self, name: str, project: pulumi.Input[str], principal: pulumi.Output[str]) -> None:
        opts = pulumi.ResourceOptions(parent=self)
        gcp.projects.IAMMember(name, project=project, role=_ROLE, member=principal, opts=opts)
