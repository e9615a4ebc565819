"""Azure Machine Learning in the cluster's workspace: compute of spot machines for trainings, and managed endpoints.

A training owns its compute, environment and datastores; the workflow that names it starts the job. An endpoint stands with its
deployment, and gets its traffic by hand once (`az ml online-endpoint update --traffic main=100`): Azure takes no traffic rule
before there is a deployment.
"""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi_azure_native import machinelearningservices as ml

from fleet.spec_services import AlarmWhen, EndpointSpec, ServicePurchase, TrainingSpec
from infra.clouds.azure.network import AzureNetwork
from infra.clouds.azure.roles import Role, grant
from infra.clouds.azure.services.logic import ARM, Step, ask, until
from infra.clouds.azure.services.ml_workspace import at, reaches, workspace
from infra.clouds.azure.services.rights import Metric, identity
from infra.clouds.services import ServiceArgs

_API = "2024-10-01"
_PORT = 8080


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
        self._workspace = workspace(args)
        self._who, granted = identity(self, name, args)
        after = [*granted, *reaches(args, [spec.model, *([spec.data] if spec.data else [])])]
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
                "model": {"jobOutputType": "uri_folder", "mode": "ReadWriteMount", "uri": at(spec.model, self._args.named())}
            },
            "tags": self._args.tags,
        }
        if spec.data:
            job["inputs"] = {"data": {"jobInputType": "uri_folder", "mode": "ReadOnlyMount", "uri": at(spec.data)}}
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
        spec, own = args.spec, workspace(args)
        assert args.machine is not None, "an endpoint runs on machines"
        here = {"workspace_name": own.name, "resource_group_name": args.network.resource_group_name}
        who, granted = identity(self, name, args)
        after = pulumi.ResourceOptions(parent=self, depends_on=[*granted, *reaches(args, [spec.model])])
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
            properties=ml.ModelVersionPropertiesArgs(model_type="custom_model", model_uri=at(spec.model, spec.path)),
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
