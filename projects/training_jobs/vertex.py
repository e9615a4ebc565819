"""Google Vertex AI: a CustomJob on spot machines, by its REST API through google-auth.

No google-cloud-aiplatform: it is one POST, and that package brings a hundred megabytes for it.
https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.customJobs
"""

from __future__ import annotations

from typing import Any

from fleet.catalog.accelerators import Family
from projects.training_jobs.job import Job

ENDS = frozenset({"JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED"})
SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
# Vertex's words for the catalogue's accelerators; TPUs are named by their machine alone.
GPUS = {
    "nvidia-t4": "NVIDIA_TESLA_T4",
    "nvidia-l4": "NVIDIA_L4",
    "nvidia-a100-40gb": "NVIDIA_TESLA_A100",
    "nvidia-a100-80gb": "NVIDIA_A100_80GB",
    "nvidia-h100-80gb": "NVIDIA_H100_80GB",
    "nvidia-h200-141gb": "NVIDIA_H200_141GB",
    "nvidia-b200": "NVIDIA_B200",
    "nvidia-rtx-pro-6000": "NVIDIA_RTX_PRO_6000",
}


def request(job: Job) -> dict[str, Any]:
    """The body: a CustomJob.

    Raises:
        ValueError: Vertex has no word for the accelerator.
    """
    return {
        "displayName": job.name,
        "jobSpec": {
            "workerPoolSpecs": [_pool(job, 1), *([_pool(job, job.replicas - 1)] if job.replicas > 1 else [])],
            "scheduling": {
                "timeout": f"{job.max_hours * 3600}s",
                "strategy": "SPOT" if job.spot else "STANDARD",
                # A worker that was taken away starts again, and with it the job from its checkpoint.
                "restartJobOnWorkerRestart": job.spot,
            },
            "serviceAccount": job.identity,
            # AIP_MODEL_DIR and AIP_CHECKPOINT_DIR point below it.
            "baseOutputDirectory": {"outputUriPrefix": job.output},
        },
    }


def _pool(job: Job, replicas: int) -> dict[str, Any]:
    # The first of a job's pools is its primary replica, alone; the others follow in the second.
    accelerator = job.row.accelerator
    assert accelerator is not None
    kind: dict[str, Any] = {"machineType": job.row.name}
    if accelerator.family is not Family.TPU:
        if accelerator.name not in GPUS:
            raise ValueError(f"Vertex AI has no word for {accelerator.name}; it has {', '.join(GPUS)}")
        kind |= {"acceleratorType": GPUS[accelerator.name], "acceleratorCount": job.row.accelerators}
    return {
        "machineSpec": kind,
        "replicaCount": str(replicas),
        "containerSpec": {
            "imageUri": job.image,
            "command": list(job.command[:1]),
            "args": list(job.command[1:]),
            "env": [{"name": key, "value": value} for key, value in job.environment.items()],
        },
    }


def submit(job: Job, project: str, session: Any, endpoint: str = "") -> str:
    """Start it; its resource name.

    Args:
        session: `AuthorizedSession(google.auth.default(SCOPES)[0])`.
        endpoint: the region's own where it is left out.
    """
    host = endpoint or f"https://{job.region}-aiplatform.googleapis.com"
    answer = session.post(f"{host}/v1/projects/{project}/locations/{job.region}/customJobs", json=request(job), timeout=60)
    answer.raise_for_status()
    return str(answer.json()["name"])


def state(name: str, session: Any, endpoint: str = "") -> str:
    region = name.split("/")[3]
    answer = session.get(f"{endpoint or f'https://{region}-aiplatform.googleapis.com'}/v1/{name}", timeout=60)
    answer.raise_for_status()
    return str(answer.json()["state"])
