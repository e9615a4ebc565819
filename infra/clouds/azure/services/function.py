"""A Container Apps job: a container that runs to its end, for each message of a queue or when a workflow starts it.

A job and not an app, since a job needs no address that anybody could call. Runs in the network, in the cluster's own
environment; images come from a registry where the job's identity has AcrPull, which is for the registry's owner to give.
"""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi_azure_native import app, monitor, operationalinsights

from fleet.spec_services import FunctionSpec
from infra.clouds.azure.network import AzureNetwork
from infra.clouds.azure.roles import Role, grant
from infra.clouds.azure.services.logic import ARM, Step, ask, until
from infra.clouds.azure.services.rights import identity
from infra.clouds.services import ServiceArgs

_API = "2024-03-01"
_REGISTRY = ".azurecr.io"


def log_workspace(
    name: str, physical: str, days: int, args: ServiceArgs[Any, AzureNetwork], opts: pulumi.ResourceOptions
) -> operationalinsights.Workspace:
    """A Log Analytics workspace that takes Entra identities only."""
    return operationalinsights.Workspace(
        name,
        workspace_name=physical,
        resource_group_name=args.network.resource_group_name,
        location=args.region,
        sku=operationalinsights.WorkspaceSkuArgs(name="PerGB2018"),
        retention_in_days=days,
        features=operationalinsights.WorkspaceFeaturesArgs(disable_local_auth=True),
        tags=args.tags,
        opts=opts,
    )


def _environment(args: ServiceArgs[Any, AzureNetwork]) -> app.ManagedEnvironment:
    """The cluster's environment, with its logs; costs nothing while no job runs."""

    def make() -> app.ManagedEnvironment:
        shared, subnet = args.shared, args.network.functions_subnet
        assert subnet is not None, "a network with functions has their subnet"
        made = app.ManagedEnvironment(
            f"{shared.name}-functions",
            environment_name=f"{shared.physical_name}-functions",
            resource_group_name=args.network.resource_group_name,
            location=args.region,
            app_logs_configuration=app.AppLogsConfigurationArgs(destination="azure-monitor"),
            vnet_configuration=app.VnetConfigurationArgs(infrastructure_subnet_id=subnet.id, internal=True),
            workload_profiles=[app.WorkloadProfileArgs(name="Consumption", workload_profile_type="Consumption")],
            tags=args.tags,
            opts=shared.opts,
        )
        logs = log_workspace(f"{shared.name}-function-logs", f"{shared.physical_name}-function-logs", 30, args, shared.opts)
        monitor.DiagnosticSetting(
            f"{shared.name}-functions",
            name="logs",
            resource_uri=made.id,
            workspace_id=logs.id,
            logs=[monitor.DiagnosticsLogSettingsArgs(category_group="allLogs", enabled=True)],
            opts=shared.opts,
        )
        return made

    found: app.ManagedEnvironment = args.shared.once("functions", make)
    return found


class ContainerJob(pulumi.ComponentResource):
    """Follows "Jobs in Azure Container Apps".

    Attributes:
        address: the job's id.
    """

    address: pulumi.Output[str]

    def __init__(self, name: str, args: ServiceArgs[FunctionSpec, AzureNetwork], opts: pulumi.ResourceOptions) -> None:
        super().__init__("accelfleet:azure:ContainerJob", name, None, opts)
        self._args, spec = args, args.spec
        who, granted = identity(self, name, args)
        environment: dict[str, pulumi.Input[str]] = {**args.environment, "AZURE_CLIENT_ID": who.client_id}
        configuration: dict[str, Any] = {"trigger_type": "Manual", "manual_trigger_config": _ONE_AT_A_TIME}
        if spec.queue:
            queue = args.beside[spec.queue]
            environment["QUEUE"] = queue.address
            granted.append(
                grant(
                    f"{name}-messages",
                    # KEDA counts what waits, which only an owner may; of this one queue.
                    scope=queue.queue.id,
                    principal_id=who.principal_id,
                    role=Role.QUEUE_OWNER,
                    opts=pulumi.ResourceOptions(parent=self),
                )
            )
            rule = app.JobScaleRuleArgs(
                name="messages",
                type="azure-servicebus",
                identity=who.id,
                metadata={"namespace": queue.namespace, "queueName": queue.queue.name, "messageCount": "1"},
            )
            scale = app.JobScaleArgs(min_executions=0, max_executions=spec.most, polling_interval=30, rules=[rule])
            event = app.JobConfigurationEventTriggerConfigArgs(parallelism=1, replica_completion_count=1, scale=scale)
            configuration = {"trigger_type": "Event", "event_trigger_config": event}
        host = spec.image.partition("/")[0]
        registry = [app.RegistryCredentialsArgs(server=host, identity=who.id)] if host.endswith(_REGISTRY) else None
        self._job = app.Job(
            f"{name}-job",
            job_name=args.named(limit=32),
            resource_group_name=args.network.resource_group_name,
            location=args.region,
            environment_id=_environment(args).id,
            workload_profile_name="Consumption",
            identity=app.ManagedServiceIdentityArgs(type="UserAssigned", user_assigned_identities=[who.id]),
            configuration=app.JobConfigurationArgs(
                replica_timeout=spec.timeout_s, replica_retry_limit=0, registries=registry, **configuration
            ),
            template=app.JobTemplateArgs(
                containers=[
                    app.ContainerArgs(
                        name="main",
                        image=spec.image,
                        # Container Apps' own ratio.
                        resources=app.ContainerResourcesArgs(cpu=spec.memory_gib / 2, memory=f"{spec.memory_gib}Gi"),
                        env=[app.EnvironmentVarArgs(name=key, value=value) for key, value in environment.items()],
                    )
                ]
            ),
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=granted),
        )
        self.address = self._job.id
        self.register_outputs({"address": self.address})

    def lets_in(self, name: str, principal: pulumi.Output[str], parent: pulumi.Resource) -> list[pulumi.Resource]:
        """The right to start it and to look at its runs."""
        right = grant(
            f"{name}-starts",
            scope=self._job.id,
            principal_id=principal,
            role=Role.JOBS_OPERATOR,
            opts=pulumi.ResourceOptions(parent=parent),
        )
        return [right]

    def actions(self, key: str, who: pulumi.Output[str]) -> list[Step]:
        """The actions of a workflow that start it and wait for its end."""
        start = ask("POST", pulumi.Output.concat(ARM, self._job.id, f"/start?api-version={_API}"), who)
        run = pulumi.Output.concat(ARM, self._job.id, f"/executions/@{{body('{key}')?['name']}}?api-version={_API}")
        # One replica and its scheduling, once.
        longest = self._args.spec.timeout_s + 600
        return [(key, start), *until(key, run, who, ended=("Succeeded", "Failed"), good="Succeeded", longest_s=longest)]


_ONE_AT_A_TIME = app.JobConfigurationManualTriggerConfigArgs(parallelism=1, replica_completion_count=1)
