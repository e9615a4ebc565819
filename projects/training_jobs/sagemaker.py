"""Amazon SageMaker: CreateTrainingJob with managed spot and checkpoints, by boto3.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html
"""

from __future__ import annotations

from typing import Any

from projects.training_jobs.job import Job

ENDS = frozenset({"Completed", "Failed", "Stopped"})
DISK_GIB = 100


def request(job: Job) -> dict[str, Any]:
    """The call's arguments."""
    seconds = job.max_hours * 3600
    stopping = {"MaxRuntimeInSeconds": seconds}
    if job.spot:
        # Both count while it runs; the longer one also while it waits for a machine.
        stopping["MaxWaitTimeInSeconds"] = 2 * seconds
    return {
        "TrainingJobName": job.name,
        "RoleArn": job.identity,
        "AlgorithmSpecification": {
            "TrainingImage": job.image,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": list(job.command[:1]),
            **({"ContainerArguments": list(job.command[1:])} if job.command[1:] else {}),
        },
        "ResourceConfig": {
            "InstanceType": f"ml.{job.row.name}",
            "InstanceCount": job.replicas,
            "VolumeSizeInGB": DISK_GIB,
        },
        "OutputDataConfig": {"S3OutputPath": f"{job.output}/model"},
        "CheckpointConfig": {"S3Uri": f"{job.output}/checkpoints", "LocalPath": "/opt/ml/checkpoints"},
        "StoppingCondition": stopping,
        "EnableManagedSpotTraining": job.spot,
        "EnableInterContainerTrafficEncryption": job.replicas > 1,
        "Environment": dict(job.environment),
    }


def submit(job: Job, client: Any) -> str:
    """Start it; its ARN.

    Args:
        client: `boto3.client("sagemaker", region_name=job.region)`.

    Raises:
        ValueError: SageMaker has no such instance.
    """
    asked = request(job)
    kind = asked["ResourceConfig"]["InstanceType"]
    known = client.meta.service_model.shape_for("TrainingInstanceType").enum
    if kind not in known:
        raise ValueError(f"SageMaker trains on no {kind}; of that family it has {_family(kind, known) or 'nothing'}")
    return str(client.create_training_job(**asked)["TrainingJobArn"])


def state(name: str, client: Any) -> str:
    return str(client.describe_training_job(TrainingJobName=name)["TrainingJobStatus"])


def _family(kind: str, known: list[str]) -> str:
    return ", ".join(one for one in known if one.split(".")[1] == kind.split(".")[1])
