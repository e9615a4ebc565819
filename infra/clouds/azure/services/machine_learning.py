"""Azure Machine Learning: one workspace a cluster, closed to the internet, with compute of spot machines and endpoints.

A training owns its compute, environment and datastores; the workflow that names it starts the job. An endpoint stands with its
deployment, and gets its traffic by hand once (`az ml online-endpoint update --traffic main=100`): Azure takes no traffic rule
before there is a deployment.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import pulumi
from pulumi_azure_native import applicationinsights, authorization, keyvault, storage
from pulumi_azure_native import machinelearningservices as ml

from fleet.naming import global_name, physical, storage_account
from fleet.spec_services import AlarmWhen, EndpointSpec, ServicePurchase, TrainingSpec
from infra.clouds.azure.network import AzureNetwork
from infra.clouds.azure.roles import Role, grant
from infra.clouds.azure.services.function import log_workspace
from infra.clouds.azure.services.logic import ARM, Step, ask, until
from infra.clouds.azure.services.rights import Metric, account_id, identity
from infra.clouds.services import ServiceArgs

_API = "2024-10-01"
_PORT = 8080


def _workspace(args: ServiceArgs[Any, AzureNetwork]) -> ml.Workspace:
    """The cluster's workspace, with the account, vault and insights that every workspace must have.

    https://learn.microsoft.com/azure/machine-learning/how-to-managed-network
    """

    def make() -> ml.Workspace:
        shared, group = args.shared, args.network.resource_group_name
        common = {"resource_group_name": group, "location": args.region, "tags": args.tags, "opts": shared.opts}
        me = authorization.get_client_config_output(opts=pulumi.InvokeOutputOptions(parent=shared.opts.parent))
        account = storage.StorageAccount(
            f"{shared.name}-ml",
            account_name=storage_account(shared.physical_name, "ml"),
            kind="StorageV2",
            sku=storage.SkuArgs(name="Standard_ZRS"),
            enable_https_traffic_only=True,
            minimum_tls_version="TLS1_2",
            allow_blob_public_access=False,
            allow_shared_key_access=False,
            network_rule_set=storage.NetworkRuleSetArgs(default_action="Deny", bypass="AzureServices"),
            **common,
        )
        vault = keyvault.Vault(
            f"{shared.name}-ml",
            vault_name=me.subscription_id.apply(lambda mine: global_name("ml", shared.physical_name, mine, limit=24)),
            properties=keyvault.VaultPropertiesArgs(
                tenant_id=me.tenant_id,
                sku=keyvault.SkuArgs(family="A", name=keyvault.SkuName.STANDARD),
                enable_rbac_authorization=True,
                enable_soft_delete=True,
                soft_delete_retention_in_days=7,
                network_acls=keyvault.NetworkRuleSetArgs(default_action="Deny", bypass="AzureServices"),
            ),
            **common,
        )
        logs = log_workspace(f"{shared.name}-ml", f"{shared.physical_name}-ml", 30, args, shared.opts)
        insights = applicationinsights.Component(
            f"{shared.name}-ml",
            resource_name_=f"{shared.physical_name}-ml",
            kind="web",
            application_type="web",
            workspace_resource_id=logs.id,
            disable_local_auth=True,
            **common,
        )
        return ml.Workspace(
            f"{shared.name}-ml",
            workspace_name=physical(shared.physical_name, "ml", limit=33),
            sku=ml.SkuArgs(name="Basic", tier="Basic"),
            identity=ml.ManagedServiceIdentityArgs(type="SystemAssigned"),
            storage_account=account.id,
            key_vault=vault.id,
            application_insights=insights.id,
            system_datastores_auth_mode="Identity",
            public_network_access="Disabled",
            managed_network=ml.ManagedNetworkSettingsArgs(isolation_mode="AllowInternetOutbound"),
            v1_legacy_mode=False,
            **common,
        )

    made: ml.Workspace = args.shared.once("ml", make)
    return made


def _reaches(args: ServiceArgs[Any, AzureNetwork], keys: Iterable[str]) -> list[pulumi.Resource]:
    """A private way from the workspace's network to each store, and a datastore of its name without a key."""
    return [args.shared.once(f"ml/{key}", partial(_datastore, args, key)) for key in dict.fromkeys(keys)]


def _datastore(args: ServiceArgs[Any, AzureNetwork], key: str) -> ml.Datastore:
    shared, store, workspace = args.shared, args.stores[key], _workspace(args)
    group, opts = args.network.resource_group_name, args.shared.opts
    approves = grant(
        f"{shared.name}-ml-{key}",
        scope=account_id(store),
        principal_id=workspace.identity.principal_id,
        role=Role.NETWORK_APPROVER,
        opts=opts,
    )
    ml.ManagedNetworkSettingsRule(
        f"{shared.name}-ml-{key}",
        rule_name=key,
        workspace_name=workspace.name,
        resource_group_name=group,
        properties=ml.PrivateEndpointOutboundRuleArgs(
            type="PrivateEndpoint",
            category="UserDefined",
            destination=ml.PrivateEndpointDestinationArgs(
                service_resource_id=account_id(store), subresource_target="blob", spark_enabled=False
            ),
        ),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[approves])),
    )
    return ml.Datastore(
        f"{shared.name}-ml-{key}",
        name=key.replace("-", "_"),
        workspace_name=workspace.name,
        resource_group_name=group,
        properties=ml.AzureBlobDatastoreArgs(
            datastore_type="AzureBlob",
            account_name=store.account_name,
            container_name=store.container_id.apply(lambda container: str(container).rpartition("/")[2]),
            credentials=ml.NoneDatastoreCredentialsArgs(credentials_type="None"),
            service_data_access_auth_identity="WorkspaceUserAssignedIdentity",
        ),
        opts=opts,
    )


def _at(key: str, path: str = "") -> str:
    return f"azureml://datastores/{key.replace('-', '_')}/paths/{path.strip('/')}"


class AmlTraining(pulumi.ComponentResource):
    """Compute that is empty while no job runs, and the job as a workflow starts it: the image's `train`.

    Attributes:
        address: the compute's id.
    """

    address: pulumi.Output[str]

    def __init__(self, name: str, args: ServiceArgs[TrainingSpec, AzureNetwork], opts: pulumi.ResourceOptions) -> None:
        super().__init__("accelfleet:azure:AmlTraining", name, None, opts)
        self._args, spec, group = args, args.spec, args.network.resource_group_name
        assert args.machine is not None, "a training runs on machines"
        self._workspace = _workspace(args)
        self._who, granted = identity(self, name, args)
        after = [*granted, *_reaches(args, [spec.model, *([spec.data] if spec.data else [])])]
        self._environment = ml.EnvironmentVersion(
            f"{name}-image",
            name=args.named(limit=200),
            version="1",
            workspace_name=self._workspace.name,
            resource_group_name=group,
            properties=ml.EnvironmentVersionPropertiesArgs(image=spec.image, os_type="Linux"),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._compute = ml.Compute(
            f"{name}-compute",
            compute_name=args.named(limit=24),
            workspace_name=self._workspace.name,
            resource_group_name=group,
            location=args.region,
            identity=ml.ManagedServiceIdentityArgs(type="UserAssigned", user_assigned_identities=[self._who.id]),
            properties=ml.AmlComputeArgs(
                compute_type="AmlCompute",
                disable_local_auth=True,
                properties=ml.AmlComputePropertiesArgs(
                    vm_size=args.machine.name,
                    vm_priority="LowPriority" if spec.purchase is ServicePurchase.SPOT else "Dedicated",
                    os_type="Linux",
                    enable_node_public_ip=False,
                    remote_login_port_public_access="Disabled",
                    scale_settings=ml.ScaleSettingsArgs(
                        min_node_count=0, max_node_count=spec.nodes, node_idle_time_before_scale_down="PT5M"
                    ),
                ),
            ),
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=after),
        )
        self.address = self._compute.id
        self.register_outputs({"address": self.address})

    def lets_in(self, name: str, principal: pulumi.Output[str], parent: pulumi.Resource) -> list[pulumi.Resource]:
        """To start jobs and look at them; Azure has no smaller role than the workspace's scientist."""
        right = grant(
            f"{name}-trains",
            scope=self._workspace.id,
            principal_id=principal,
            role=Role.AML_DATA_SCIENTIST,
            opts=pulumi.ResourceOptions(parent=parent),
        )
        return [right]

    def actions(self, key: str, who: pulumi.Output[str]) -> list[Step]:
        """The actions of a workflow that start a job and wait for its end."""
        spec, named = self._args.spec, self._args.named(limit=80)
        name = {"type": "Compose", "inputs": f"@concat('{named}-', guid())"}
        uri = pulumi.Output.concat(ARM, self._workspace.id, f"/jobs/@{{outputs('{key}_name')}}?api-version={_API}")
        job: dict[str, Any] = {
            "jobType": "Command",
            "command": "train",
            "displayName": named,
            "computeId": self._compute.id,
            "environmentId": self._environment.id,
            "identity": {"identityType": "Managed", "clientId": self._who.client_id},
            "resources": {"instanceCount": spec.nodes},
            "limits": {"jobLimitsType": "Command", "timeout": f"PT{spec.hours}H"},
            "outputs": {
                "model": {"jobOutputType": "uri_folder", "mode": "ReadWriteMount", "uri": _at(spec.model, self._args.named())}
            },
            "tags": self._args.tags,
        }
        if spec.data:
            job["inputs"] = {"data": {"jobInputType": "uri_folder", "mode": "ReadOnlyMount", "uri": _at(spec.data)}}
        start = ask("PUT", uri, who, body={"properties": job})
        ended, longest = ("Completed", "Failed", "Canceled"), spec.hours * 3600 + 3600
        looks = until(key, uri, who, ended=ended, good="Completed", longest_s=longest)
        return [(f"{key}_name", name), (key, start), *looks]


class AmlEndpoint(pulumi.ComponentResource):
    """A managed online endpoint with one deployment; Entra tokens only, and from inside of the workspace's network.

    Attributes:
        address: its scoring URI.
    """

    address: pulumi.Output[str]

    def __init__(self, name: str, args: ServiceArgs[EndpointSpec, AzureNetwork], opts: pulumi.ResourceOptions) -> None:
        super().__init__("accelfleet:azure:AmlEndpoint", name, None, opts)
        spec, workspace = args.spec, _workspace(args)
        assert args.machine is not None, "an endpoint runs on machines"
        here = {"workspace_name": workspace.name, "resource_group_name": args.network.resource_group_name}
        who, granted = identity(self, name, args)
        after = pulumi.ResourceOptions(parent=self, depends_on=[*granted, *_reaches(args, [spec.model])])
        route = ml.RouteArgs(path="/ping", port=_PORT)
        image = ml.EnvironmentVersion(
            f"{name}-image",
            name=args.named(limit=200),
            version="1",
            properties=ml.EnvironmentVersionPropertiesArgs(
                image=spec.image,
                os_type="Linux",
                inference_config=ml.InferenceContainerPropertiesArgs(
                    liveness_route=route, readiness_route=route, scoring_route=ml.RouteArgs(path="/invocations", port=_PORT)
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self),
            **here,
        )
        model = ml.ModelVersion(
            f"{name}-model",
            name=args.named(limit=200),
            version="1",
            properties=ml.ModelVersionPropertiesArgs(model_type="custom_model", model_uri=_at(spec.model, spec.path)),
            opts=after,
            **here,
        )
        endpoint = ml.OnlineEndpoint(
            f"{name}-endpoint",
            endpoint_name=args.named(limit=32),
            location=args.region,
            identity=ml.ManagedServiceIdentityArgs(type="UserAssigned", user_assigned_identities=[who.id]),
            properties=ml.OnlineEndpointPropertiesArgs(auth_mode="AADToken", public_network_access="Disabled"),
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=granted, protect=args.protect),
            **here,
        )
        ml.OnlineDeployment(
            f"{name}-deployment",
            deployment_name="main",
            endpoint_name=endpoint.name,
            location=args.region,
            sku=ml.SkuArgs(name="Default", capacity=spec.machines),
            properties=ml.ManagedOnlineDeploymentArgs(
                endpoint_compute_type="Managed",
                instance_type=args.machine.name,
                environment_id=image.id,
                model=model.id,
                egress_public_network_access="Enabled",
                scale_settings=ml.DefaultScaleSettingsArgs(scale_type="Default"),
            ),
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self),
            **here,
        )
        self.address = endpoint.properties.scoring_uri
        kind = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
        of = (("statusCodeClass", "5xx"),)
        self.metrics = {AlarmWhen.ERRORS: Metric(endpoint.id, kind, "RequestsPerMinute", "Average", of)}
        self.register_outputs({"address": self.address})
