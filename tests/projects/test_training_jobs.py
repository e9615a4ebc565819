"""Training jobs as the services get them: moto plays SageMaker, loopback servers the other two."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import boto3
import google.oauth2.credentials
import pytest
import requests
from google.auth.transport.requests import AuthorizedSession

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import machines
from projects.table import Table
from projects.training_jobs import azureml, emulated, sagemaker, vertex
from projects.training_jobs.job import wait
from projects.training_jobs.training_jobs import JOBS

ON_AWS, ON_GCP, ON_AZURE = JOBS
WORKSPACE = azureml.Workspace(subscription="s", group="g", name="w")


def session() -> requests.Session:
    made = requests.Session()
    made.headers["Authorization"] = "Bearer none"
    return made


def test_the_notebook_submits_all_three_and_sees_them_end(executed: Callable[[str], dict[str, Any]]) -> None:
    table: Table = executed("training_jobs")["table"]
    assert table.column("ended") == ("Completed", "JOB_STATE_SUCCEEDED", "Completed")
    assert table.column("USD/h")[2] == "not priced", "no source has Azure's spot price"


def test_sagemaker_gets_spot_with_checkpoints_and_a_longer_wait() -> None:
    with emulated.sagemaker() as url:
        client = boto3.client(
            "sagemaker", region_name="us-east-1", endpoint_url=url, aws_access_key_id="none", aws_secret_access_key="none"
        )
        assert sagemaker.submit(ON_AWS, client).endswith(":training-job/digits-tune")
        found = client.describe_training_job(TrainingJobName="digits-tune")
        with pytest.raises(ValueError, match=r"SageMaker trains on no ml\.dl1\.24xlarge"):
            sagemaker.submit(replace(ON_AWS, machine="dl1.24xlarge"), client)
    assert found["EnableManagedSpotTraining"] is True
    assert found["CheckpointConfig"] == {"S3Uri": "s3://acme-training/digits/checkpoints", "LocalPath": "/opt/ml/checkpoints"}
    assert found["StoppingCondition"] == {"MaxRuntimeInSeconds": 14400, "MaxWaitTimeInSeconds": 28800}
    assert found["ResourceConfig"]["InstanceType"] == "ml.g5.xlarge"
    assert "MaxWaitTimeInSeconds" not in sagemaker.request(replace(ON_AWS, spot=False))["StoppingCondition"]


def test_vertex_gets_one_primary_replica_and_the_rest_in_a_second_pool() -> None:
    four = replace(ON_GCP, replicas=4)
    with emulated.vertex() as seen:
        authorized = AuthorizedSession(google.oauth2.credentials.Credentials("none"))  # type: ignore[no-untyped-call]
        name = vertex.submit(four, "acme", authorized, seen.url)
        (body,) = seen.bodies.values()
    assert name == "projects/acme/locations/us-central1/customJobs/1"
    assert [pool["replicaCount"] for pool in body["jobSpec"]["workerPoolSpecs"]] == ["1", "3"]
    assert body["jobSpec"]["scheduling"]["strategy"] == "SPOT"
    assert vertex.request(replace(ON_GCP, spot=False))["jobSpec"]["scheduling"]["strategy"] == "STANDARD"


GOOGLES = [row for row in machines() if row.cloud is Cloud.GCP and row.accelerator]


@pytest.mark.parametrize("row", GOOGLES, ids=[f"{row.name} {row.accelerator.name}" for row in GOOGLES if row.accelerator])
def test_vertex_has_a_word_for_every_accelerator_of_the_catalogue(row: Any) -> None:
    made = vertex.request(replace(ON_GCP, machine=row.name, accelerator=row.accelerator.name))
    emulated.check(made, {"$ref": "GoogleCloudAiplatformV1CustomJob"}, "customJob")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda body: body["jobSpec"].update(budget=1), "customJob.jobSpec has no field budget"),
        (lambda body: body["jobSpec"]["scheduling"].update(strategy="CHEAP"), "'CHEAP' is none of"),
        (lambda body: body["jobSpec"]["workerPoolSpecs"][0].update(replicaCount=1), "replicaCount is no string"),
    ],
)
def test_the_emulator_refuses_what_google_would(change: Callable[[Any], None], said: str) -> None:
    body = json.loads(json.dumps(vertex.request(ON_GCP)))
    change(body)
    with pytest.raises(emulated.RefusedError, match=said):
        emulated.check(body, {"$ref": "GoogleCloudAiplatformV1CustomJob"}, "customJob")


def test_azure_gets_a_cluster_of_low_priority_that_shrinks_to_nothing() -> None:
    with emulated.azure(azureml.API) as seen:
        azureml.submit(ON_AZURE, WORKSPACE, session(), seen.url)
        cluster, environment, job = seen.bodies.values()
    assert cluster["properties"]["properties"]["vmPriority"] == "LowPriority"
    assert cluster["properties"]["properties"]["scaleSettings"]["minNodeCount"] == 0
    assert environment["properties"]["image"] == ON_AZURE.image
    assert job["properties"]["computeId"].endswith("/computes/nc24ads-a100-v4-lp")
    assert job["properties"]["command"] == "python -m train --checkpoints auto --resume"


def test_azure_refuses_a_job_without_a_token_or_its_cluster() -> None:
    with emulated.azure(azureml.API) as seen:
        with pytest.raises(requests.HTTPError, match="400"):
            azureml.submit(ON_AZURE, WORKSPACE, requests.Session(), seen.url)
        body = azureml.request(ON_AZURE, WORKSPACE, "e")
        answer = session().put(f"{seen.url}{WORKSPACE.id}/jobs/j", params={"api-version": azureml.API}, json=body, timeout=10)
    assert (answer.status_code, "no compute" in answer.text) == (400, True)


AZURES = sorted({row.name for row in machines() if row.cloud is Cloud.AZURE and row.accelerator})


def test_every_azure_machine_has_a_cluster_name_of_its_own_that_azure_takes() -> None:
    names = [azureml.cluster(replace(ON_AZURE, machine=name, spot=spot)) for name in AZURES for spot in (True, False)]
    assert len(set(names)) == len(names)
    assert all(2 <= len(name) <= 24 for name in names)


def test_a_machine_without_accelerators_is_refused() -> None:
    with pytest.raises(ValueError, match="no machine with accelerators on aws"):
        _ = replace(ON_AWS, machine="m7i.xlarge").row


def test_waiting_ends_with_the_state_or_with_its_time() -> None:
    states = iter(["InProgress", "InProgress", "Completed"])
    assert wait(lambda: next(states), sagemaker.ENDS, every_s=0) == "Completed"
    with pytest.raises(TimeoutError, match="still InProgress"):
        wait(lambda: "InProgress", sagemaker.ENDS, every_s=0, at_most_s=0)
