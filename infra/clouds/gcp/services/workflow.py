"""Workflows: the steps in their order, each with the event that began the run, and an Eventarc trigger on a queue's topic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_gcp as gcp

from fleet.spec_services import AlarmWhen, WorkflowSpec
from infra.clouds.gcp.network import GcpNetwork
from infra.clouds.gcp.services.rights import Metric, in_project, service_account
from infra.clouds.services import ServiceArgs


def make_workflow(
    parent: pulumi.Resource,
    name: str,
    *,
    physical: str,
    args: ServiceArgs[Any, GcpNetwork],
    account: gcp.serviceaccount.Account,
    steps: Sequence[dict[str, Any]],
    after: Sequence[pulumi.Resource],
) -> gcp.workflows.Workflow:
    """A workflow of these steps, which sees what began it as `event`. Its source is JSON, which is YAML."""
    return gcp.workflows.Workflow(
        f"{name}-workflow",
        name=physical,
        region=args.region,
        service_account=account.id,
        source_contents=pulumi.Output.json_dumps({"main": {"params": ["event"], "steps": list(steps)}}),
        call_log_level="LOG_ERRORS_ONLY",
        deletion_protection=args.protect,
        labels=args.tags,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=list(after), protect=args.protect),
    )


class CloudWorkflow(pulumi.ComponentResource):
    """Follows "Trigger a workflow with events or Pub/Sub messages".

    Attributes:
        address: the workflow's id.
    """

    address: pulumi.Output[str]

    def __init__(
        self, name: str, args: ServiceArgs[WorkflowSpec, GcpNetwork], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("accelfleet:gcp:CloudWorkflow", name, {}, opts)
        account, granted = service_account(self, name, args)
        called = [args.beside[key] for key in args.spec.steps]
        roles = sorted({"roles/logging.logWriter", *(role for step in called for role in step.project_roles)})
        granted += in_project(self, name, account, *roles)
        steps: list[dict[str, Any]] = []
        for key in args.spec.steps:
            granted += args.beside[key].lets_in(f"{name}-{key}", account, self)
            steps += args.beside[key].steps(key)
        workflow = make_workflow(
            self, name, physical=args.named(limit=64), args=args, account=account, steps=steps, after=granted
        )
        self.address = workflow.id
        if args.spec.queue:
            self._started_by(name, args, args.beside[args.spec.queue].topic)
        of = pulumi.Output.format('resource.label.workflow_id="{0}"', workflow.name)
        kind = 'resource.type="workflows.googleapis.com/Workflow" AND metric.label.status="FAILED" AND '
        what = 'metric.type="workflows.googleapis.com/finished_execution_count" AND '
        self.metrics = {AlarmWhen.ERRORS: Metric(pulumi.Output.concat(kind, what, of), "ALIGN_SUM")}
        self.register_outputs({"address": self.address})

    def _started_by(self, name: str, args: ServiceArgs[WorkflowSpec, GcpNetwork], topic: gcp.pubsub.Topic) -> None:
        """Who starts it may do so and receive events; both are roles of a project."""
        caller, _ = service_account(self, f"{name}-trigger", args, "trigger")
        roles = ("roles/workflows.invoker", "roles/eventarc.eventReceiver")
        granted = in_project(self, f"{name}-trigger", caller, *roles)
        gcp.eventarc.Trigger(
            f"{name}-trigger",
            name=args.named(),
            location=args.region,
            matching_criterias=[
                gcp.eventarc.TriggerMatchingCriteriaArgs(
                    attribute="type", value="google.cloud.pubsub.topic.v1.messagePublished"
                )
            ],
            transport=gcp.eventarc.TriggerTransportArgs(pubsub=gcp.eventarc.TriggerTransportPubsubArgs(topic=topic.id)),
            destination=gcp.eventarc.TriggerDestinationArgs(workflow=self.address),
            service_account=caller.email,
            labels=args.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=granted),
        )
