"""Vertex AI: what a custom job of a workflow is, and an endpoint with the workflow that puts a model behind it.

Models, versions and what is deployed are Vertex's own state, which Pulumi's provider has no resource for: `…-deploy` uploads
the store's model and deploys it on the machines that the stack file names. The endpoint stands empty, at no price, until then.
"""

from __future__ import annotations

import hashlib
from typing import Any

import pulumi
import pulumi_gcp as gcp

from fleet.catalog.machines import Machine, gke_name
from fleet.spec_services import AlarmWhen, EndpointSpec, ServicePurchase, TrainingSpec
from infra.clouds.gcp.network import GcpNetwork
from infra.clouds.gcp.services.rights import Metric, in_project, may_act_as, project, service_account
from infra.clouds.gcp.services.workflow import make_workflow
from infra.clouds.services import ServiceArgs

_USER = "roles/aiplatform.user"
_POLL_S = 60


def machine_spec(row: Machine) -> dict[str, Any]:
    """https://cloud.google.com/vertex-ai/docs/reference/rest/v1/MachineSpec"""
    found: dict[str, Any] = {"machineType": row.name}
    if name := gke_name(row):
        kind = name.upper().replace("-", "_")
        found |= {"acceleratorType": kind, "acceleratorCount": row.accelerators}
    return found


class VertexTraining(pulumi.ComponentResource):
    """A custom job as a workflow starts it; Vertex sets `AIP_MODEL_DIR` to where the model goes.

    Attributes:
        address: the account that its jobs have.
    """

    address: pulumi.Output[str]
    # Of whoever starts its jobs; Vertex's roles are of a project.
    project_roles = (_USER,)

    def __init__(
        self, name: str, args: ServiceArgs[TrainingSpec, GcpNetwork], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("accelfleet:gcp:VertexTraining", name, {}, opts)
        self._args = args
        self._account, _ = service_account(self, name, args)
        in_project(self, name, self._account, "roles/logging.logWriter")
        self._project = project(self).project_id
        self.address = self._account.email
        self.register_outputs({"address": self.address})

    def lets_in(self, name: str, caller: gcp.serviceaccount.Account, parent: pulumi.Resource) -> list[pulumi.Resource]:
        """To start jobs that have this account."""
        return [may_act_as(parent, name, caller, self._account)]

    def steps(self, key: str) -> list[dict[str, Any]]:
        """The steps of a workflow that start the job and wait for its end; there is no connector that waits.

        https://cloud.google.com/workflows/docs/reference/googleapis/aiplatform/Overview
        """
        job = "googleapis.aiplatform.v1.projects.locations.customJobs"
        here, state = {"region": self._args.region}, f"{key.replace('-', '_')}_job"
        parent = pulumi.Output.format("projects/{0}/locations/{1}", self._project, self._args.region)
        ended = ["JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED"]
        failed = " or ".join(f'{state}.state == "{word}"' for word in ended)
        wait, look = f"{key}-wait", f"{key}-look"
        return [
            {key: {"call": f"{job}.create", "args": {"parent": parent, **here, "body": self._body()}, "result": state}},
            {wait: {"call": "sys.sleep", "args": {"seconds": _POLL_S}}},
            {look: {"call": f"{job}.get", "args": {"name": f"${{{state}.name}}", **here}, "result": state}},
            {
                f"{key}-check": {
                    "switch": [
                        {"condition": f"${{{failed}}}", "raise": f"${{{state}.error.message}}"},
                        {"condition": f'${{{state}.state != "JOB_STATE_SUCCEEDED"}}', "next": wait},
                    ]
                }
            },
        ]

    def _body(self) -> dict[str, Any]:
        args, spec = self._args, self._args.spec
        assert args.machine is not None, "a training runs on a machine"
        pool: dict[str, Any] = {
            "machineSpec": machine_spec(args.machine),
            "replicaCount": 1,
            "diskSpec": {"bootDiskType": "pd-ssd", "bootDiskSizeGb": max(100, spec.disk_gib)},
            "containerSpec": {
                "imageUri": spec.image,
                "env": [{"name": key, "value": value} for key, value in args.environment.items()],
            },
        }
        # The first worker is the one that the others look for.
        pools = [pool] if spec.nodes == 1 else [pool, {**pool, "replicaCount": spec.nodes - 1}]
        strategy = "SPOT" if spec.purchase is ServicePurchase.SPOT else "STANDARD"
        return {
            "displayName": args.named(limit=128),
            "labels": args.tags,
            "jobSpec": {
                "workerPoolSpecs": pools,
                "serviceAccount": self.address,
                "baseOutputDirectory": {
                    "outputUriPrefix": pulumi.Output.concat(args.stores[spec.model].url, "/", args.named())
                },
                "scheduling": {
                    "strategy": strategy,
                    "timeout": f"{spec.hours * 3600}s",
                    "restartJobOnWorkerRestart": True,
                },
            },
        }


class VertexEndpoint(pulumi.ComponentResource):
    """An endpoint, and `…-deploy`, the workflow that puts the store's model behind it.

    Attributes:
        address: the endpoint's id.
    """

    address: pulumi.Output[str]

    def __init__(
        self, name: str, args: ServiceArgs[EndpointSpec, GcpNetwork], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("accelfleet:gcp:VertexEndpoint", name, {}, opts)
        endpoint = gcp.vertex.AiEndpoint(
            f"{name}-endpoint",
            # Vertex wants up to ten digits; its own would not be found again.
            name=str(10**9 + int(hashlib.sha256(args.name.encode()).hexdigest(), 16) % (9 * 10**9)),
            display_name=args.named(limit=128),
            location=args.region,
            region=args.region,
            dedicated_endpoint_enabled=True,
            labels=args.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self.address = endpoint.name
        serves, _ = service_account(self, name, args)
        deploys, _ = service_account(self, f"{name}-deploy", args, "deploy")
        rights = [*in_project(self, f"{name}-deploy", deploys, _USER), may_act_as(self, name, deploys, serves)]
        make_workflow(
            self,
            f"{name}-deploy",
            physical=args.named("deploy", limit=64),
            args=args,
            account=deploys,
            steps=_deploy(args, endpoint, serves, project(self).project_id),
            after=rights,
        )
        of = pulumi.Output.format('resource.label.endpoint_id="{0}"', endpoint.name)
        kind = 'resource.type="aiplatform.googleapis.com/Endpoint" AND '
        what = 'metric.type="aiplatform.googleapis.com/prediction/online/error_count" AND '
        self.metrics = {AlarmWhen.ERRORS: Metric(pulumi.Output.concat(kind, what, of), "ALIGN_SUM")}
        self.register_outputs({"address": self.address})


def _deploy(
    args: ServiceArgs[EndpointSpec, GcpNetwork],
    endpoint: gcp.vertex.AiEndpoint,
    account: gcp.serviceaccount.Account,
    mine: pulumi.Output[str],
) -> list[dict[str, Any]]:
    assert args.machine is not None, "an endpoint runs on machines"
    spec, api = args.spec, "googleapis.aiplatform.v1.projects.locations"
    where = pulumi.Output.format("projects/{0}/locations/{1}", mine, args.region)
    source = pulumi.Output.concat(args.stores[spec.model].url, "/", spec.path.strip("/"))
    model = {
        "displayName": args.named(limit=128),
        "artifactUri": source,
        "containerSpec": {
            "imageUri": spec.image,
            "healthRoute": "/ping",
            "predictRoute": "/invocations",
            "ports": [{"containerPort": 8080}],
        },
        "labels": args.tags,
    }
    deployed = {
        "model": "${uploaded.model}",
        "displayName": args.named(limit=128),
        "serviceAccount": account.email,
        "dedicatedResources": {
            "machineSpec": machine_spec(args.machine),
            "minReplicaCount": spec.machines,
            "maxReplicaCount": spec.machines,
        },
    }
    target = pulumi.Output.concat(where, "/endpoints/", endpoint.name)
    return [
        {
            "upload": {
                "call": f"{api}.models.upload",
                "args": {"parent": where, "region": args.region, "body": {"model": model}},
                "result": "uploaded",
            }
        },
        {
            "deploy": {
                "call": f"{api}.endpoints.deployModel",
                "args": {
                    "endpoint": target,
                    "region": args.region,
                    # Zero is the model being deployed.
                    "body": {"deployedModel": deployed, "trafficSplit": {"0": 100}},
                },
            }
        },
    ]
