"""Azure Machine Learning: a command job on a cluster of low-priority machines, by the resource manager's REST API.

Spot is a property of the cluster and not of the job, so the cluster is made first; it shrinks to nothing when idle.
https://learn.microsoft.com/rest/api/azureml/jobs/create-or-update, …/compute/create-or-update
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from projects.training_jobs.job import Job

API = "2024-10-01"
ARM = "https://management.azure.com"
ENDS = frozenset({"Completed", "Failed", "Canceled"})


@dataclass(frozen=True, kw_only=True)
class Workspace:
    subscription: str
    group: str
    name: str

    @property
    def id(self) -> str:
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{self.name}"
        )


def cluster_request(job: Job) -> dict[str, Any]:
    """The body of the cluster: no node at rest, as many as the job's replicas."""
    return {
        "location": job.region,
        "properties": {
            "computeType": "AmlCompute",
            "disableLocalAuth": True,
            "properties": {
                "vmSize": job.row.name,
                "vmPriority": "LowPriority" if job.spot else "Dedicated",
                "enableNodePublicIp": False,
                "remoteLoginPortPublicAccess": "Disabled",
                "scaleSettings": {
                    "minNodeCount": 0,
                    "maxNodeCount": job.replicas,
                    "nodeIdleTimeBeforeScaleDown": "PT2M",
                },
            },
        },
    }


def request(job: Job, workspace: Workspace, environment: str) -> dict[str, Any]:
    """The body of the job.

    Args:
        environment: `…/environments/NAME/versions/1`, which holds the image's name: jobs name no image themselves.
    """
    return {
        "properties": {
            "jobType": "Command",
            "displayName": job.name,
            "command": shlex.join(job.command),
            "environmentId": environment,
            "computeId": f"{workspace.id}/computes/{cluster(job)}",
            "environmentVariables": dict(job.environment),
            "resources": {"instanceCount": job.replicas},
            "distribution": {"distributionType": "PyTorch", "processCountPerInstance": job.row.accelerators},
            "limits": {"jobLimitsType": "Command", "timeout": f"PT{job.max_hours}H"},
            "outputs": {"model": {"jobOutputType": "uri_folder", "mode": "ReadWriteMount", "uri": job.output}},
            "identity": {"identityType": "Managed", "clientId": job.identity},
        }
    }


def environment_request(job: Job) -> dict[str, Any]:
    return {"properties": {"image": job.image, "osType": "Linux"}}


def cluster(job: Job) -> str:
    """Of one machine type and purchase each; names have 24 characters."""
    size = job.row.name.removeprefix("Standard_").lower().replace("_", "-")
    return f"{size[:20]}-{'lp' if job.spot else 'od'}"


def submit(job: Job, workspace: Workspace, session: Any, endpoint: str = ARM) -> str:
    """Make the cluster and the environment if they are not there, and start the job; its ID.

    Args:
        session: a requests.Session whose Authorization is `Bearer …` of `az account get-access-token`.
    """
    environment = f"{workspace.id}/environments/{job.name}/versions/1"
    _put(session, endpoint, f"{workspace.id}/computes/{cluster(job)}", cluster_request(job))
    _put(session, endpoint, environment, environment_request(job))
    made = _put(session, endpoint, f"{workspace.id}/jobs/{job.name}", request(job, workspace, environment))
    return str(made["id"])


def state(job_id: str, session: Any, endpoint: str = ARM) -> str:
    answer = session.get(f"{endpoint}{job_id}", params={"api-version": API}, timeout=60)
    answer.raise_for_status()
    return str(answer.json()["properties"]["status"])


def _put(session: Any, endpoint: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = session.put(f"{endpoint}{path}", params={"api-version": API}, json=body, timeout=60)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found
