"""A Cloud Run service that only Google's own callers in the project reach: a queue's pushes, and workflows.

Scales to none. A message that it answers with anything but 2xx comes again, and in the end to the queue's dead letters.
"""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_gcp as gcp

from fleet.spec_services import AlarmWhen, FunctionSpec
from infra.clouds.gcp.network import GcpNetwork
from infra.clouds.gcp.services.rights import Metric, service_account
from infra.clouds.services import ServiceArgs

# https://cloud.google.com/run/docs/configuring/services/memory-limits: 4 GiB want one CPU at least, 8 GiB two.
_GIB_A_CPU = 4


class CloudRunFunction(pulumi.ComponentResource):
    """Follows "Trigger Cloud Run with push subscriptions".

    Attributes:
        address: its URL, which needs an identity token of an invoker.
    """

    address: pulumi.Output[str]
    # Of a workflow that calls it.
    project_roles: tuple[str, ...] = ()

    def __init__(
        self, name: str, args: ServiceArgs[FunctionSpec, GcpNetwork], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("accelfleet:gcp:CloudRunFunction", name, {}, opts)
        self._args, spec = args, args.spec
        account, granted = service_account(self, name, args)
        limits = {"memory": f"{spec.memory_gib}Gi", "cpu": str(-(-spec.memory_gib // _GIB_A_CPU))}
        container = gcp.cloudrunv2.ServiceTemplateContainerArgs(
            image=spec.image,
            resources=gcp.cloudrunv2.ServiceTemplateContainerResourcesArgs(limits=limits),
            envs=[
                gcp.cloudrunv2.ServiceTemplateContainerEnvArgs(name=key, value=value) for key, value in args.environment.items()
            ],
        )
        self._service = gcp.cloudrunv2.Service(
            f"{name}-service",
            name=args.named(limit=49),
            location=args.region,
            ingress="INGRESS_TRAFFIC_INTERNAL_ONLY",
            deletion_protection=args.protect,
            template=gcp.cloudrunv2.ServiceTemplateArgs(
                service_account=account.email,
                timeout=f"{spec.timeout_s}s",
                scaling=gcp.cloudrunv2.ServiceTemplateScalingArgs(min_instance_count=0, max_instance_count=spec.most),
                containers=[container],
            ),
            labels=args.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=granted, protect=args.protect),
        )
        self.address = self._service.uri
        if spec.queue:
            caller, _ = service_account(self, f"{name}-push", args, "push")
            self.lets_in(f"{name}-push", caller, self)
            token = gcp.pubsub.SubscriptionPushConfigOidcTokenArgs(
                service_account_email=caller.email, audience=self._service.uri
            )
            push = gcp.pubsub.SubscriptionPushConfigArgs(push_endpoint=self._service.uri, oidc_token=token)
            args.beside[spec.queue].subscribe(push, self)
        of = pulumi.Output.format('resource.label.service_name="{0}"', self._service.name)
        kind = 'resource.type="cloud_run_revision" AND metric.type="run.googleapis.com/request_count" AND '
        failed = 'metric.label.response_code_class="5xx" AND '
        self.metrics = {AlarmWhen.ERRORS: Metric(pulumi.Output.concat(kind, failed, of), "ALIGN_SUM")}
        self.register_outputs({"address": self.address})

    def lets_in(self, name: str, caller: gcp.serviceaccount.Account, parent: pulumi.Resource) -> list[pulumi.Resource]:
        """The right to call it, and nothing else."""
        right = gcp.cloudrunv2.ServiceIamMember(
            f"{name}-invokes",
            name=self._service.name,
            location=self._args.region,
            role="roles/run.invoker",
            member=caller.member,
            opts=pulumi.ResourceOptions(parent=parent),
        )
        return [right]

    def steps(self, key: str) -> list[dict[str, Any]]:
        """The steps of a workflow that call it with what began the run.

        https://cloud.google.com/workflows/docs/calling-run-functions
        """
        call = {"url": self.address, "auth": {"type": "OIDC"}, "timeout": self._args.spec.timeout_s, "body": "${event}"}
        return [{key: {"call": "http.post", "args": call}}]
