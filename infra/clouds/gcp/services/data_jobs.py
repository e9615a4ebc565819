"""Dataflow: the workers' account, their way to each other, and a workflow that launches a flex template as the stack file says.

Dataflow has nothing that stands between jobs, so the bounds (private workers, the account, how many) are in `…-run`: who may
start that may start jobs, of `event.template` with `event.parameters`, and no other ones.
"""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_gcp as gcp

from fleet.spec_services import DataJobsSpec
from infra.clouds.gcp.network import GcpNetwork
from infra.clouds.gcp.services.rights import in_project, may_act_as, project, service_account
from infra.clouds.gcp.services.workflow import make_workflow
from infra.clouds.services import ServiceArgs

_WORKER, _WORKER_VCPUS = "n2-standard-4", 4
# https://cloud.google.com/dataflow/docs/guides/routes-firewall
_PORTS, _TAG = "12345-12346", "dataflow"


class DataflowJobs(pulumi.ComponentResource):
    """Attributes:
    address: the workflow that launches a job. workers: the account that its workers have.
    """

    address: pulumi.Output[str]
    workers: pulumi.Output[str]

    def __init__(
        self, name: str, args: ServiceArgs[DataJobsSpec, GcpNetwork], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("accelfleet:gcp:DataflowJobs", name, {}, opts)
        workers, _ = service_account(self, name, args)
        in_project(self, name, workers, "roles/dataflow.worker")
        gcp.compute.Firewall(
            f"{name}-workers",
            name=args.named("workers"),
            project=args.network.project,
            network=args.network.network_id,
            direction="INGRESS",
            source_tags=[_TAG],
            target_tags=[_TAG],
            allows=[gcp.compute.FirewallAllowArgs(protocol="tcp", ports=[_PORTS])],
            opts=pulumi.ResourceOptions(parent=self),
        )
        runs, _ = service_account(self, f"{name}-run", args, "run")
        granted = in_project(self, f"{name}-run", runs, "roles/dataflow.developer")
        granted.append(may_act_as(self, name, runs, workers))
        workflow = make_workflow(
            self,
            f"{name}-run",
            physical=args.named("run", limit=64),
            args=args,
            account=runs,
            steps=[_launch(args, workers, project(self).project_id)],
            after=granted,
        )
        self.address, self.workers = workflow.id, workers.email
        self.register_outputs({"address": self.address, "workers": self.workers})


def _launch(
    args: ServiceArgs[DataJobsSpec, GcpNetwork], workers: gcp.serviceaccount.Account, mine: pulumi.Output[str]
) -> dict[str, Any]:
    """https://cloud.google.com/dataflow/docs/reference/rest/v1b3/projects.locations.flexTemplates/launch"""
    environment = {
        "serviceAccountEmail": workers.email,
        "subnetwork": pulumi.Output.concat("https://www.googleapis.com/compute/v1/", args.network.subnetwork_id),
        "ipConfiguration": "WORKER_IP_PRIVATE",
        "machineType": _WORKER,
        "maxWorkers": args.spec.vcpus // _WORKER_VCPUS,
        "additionalUserLabels": args.tags,
    }
    body = {
        "launchParameter": {
            "jobName": f'${{"{args.named(limit=40)}-" + string(int(sys.now()))}}',
            "containerSpecGcsPath": "${event.template}",
            "parameters": '${default(map.get(event, "parameters"), {})}',
            "environment": environment,
        }
    }
    call = {"projectId": mine, "location": args.region, "body": body}
    return {"launch": {"call": "googleapis.dataflow.v1b3.projects.locations.flexTemplates.launch", "args": call}}
