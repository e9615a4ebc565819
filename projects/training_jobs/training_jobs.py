# ---
# jupyter:
#   jupytext:
#     formats: py:percent,ipynb
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # One training job on SageMaker, Vertex AI and Azure Machine Learning
#
# The same job — an image, a machine of the catalogue, spot, checkpoints — in each service's own words: boto3's
# `create_training_job`, Vertex AI's `customJobs.create`, Azure's `jobs` of a workspace. Here they go to emulators on loopback,
# so that the calls are real and nothing is billed. What differs is worth knowing:
#
# | | SageMaker | Vertex AI | Azure ML |
# |---|---|---|---|
# | spot is said by | the job | the job's scheduling | the cluster |
# | the image is in | the job | each worker pool | an environment |
# | a machine is called | `ml.` + EC2's name | Compute Engine's name + accelerator | the VM's size |
# | time limit | seconds, two of them | seconds, as text | ISO 8601 |

# %%
import json

import boto3
import google.oauth2.credentials
import requests
from google.auth.transport.requests import AuthorizedSession

from fleet.catalog.clouds import Cloud
from projects.table import Cell, Table, show
from projects.training_jobs import azureml, emulated, sagemaker, vertex
from projects.training_jobs.job import Job, wait

# %% [markdown]
# ## The job
#
# A fine-tuning on one spot L4, A10G or A100, for four hours at most. To run it on a real account, give the clients below the
# account's own credentials and no endpoint; README.md has the lines.

# %%
COMMAND = ("python", "-m", "train", "--checkpoints", "auto", "--resume")
JOBS = (
    Job(cloud=Cloud.AWS, name="digits-tune", region="us-east-1", machine="g5.xlarge", command=COMMAND,
        image="123456789012.dkr.ecr.us-east-1.amazonaws.com/train:1.0", output="s3://acme-training/digits",
        identity="arn:aws:iam::123456789012:role/training"),
    Job(cloud=Cloud.GCP, name="digits-tune", region="us-central1", machine="g2-standard-8", command=COMMAND,
        image="us-central1-docker.pkg.dev/acme/ml/train:1.0", output="gs://acme-training/digits",
        identity="training@acme.iam.gserviceaccount.com"),
    Job(cloud=Cloud.AZURE, name="digits-tune", region="eastus", machine="Standard_NC24ads_A100_v4", command=COMMAND,
        image="acme.azurecr.io/train:1.0", output="azureml://datastores/training/paths/digits",
        identity="00000000-0000-0000-0000-000000000001"),
)  # fmt: skip


# %% [markdown]
# ## Each service


# %%
def on_sagemaker(job: Job) -> tuple[str, str, int]:
    """What a job is called there, how it ended, and the bytes of its request."""
    with emulated.sagemaker() as url:
        client = boto3.client(
            "sagemaker",
            region_name=job.region,
            endpoint_url=url,
            aws_access_key_id="none",
            aws_secret_access_key="none",  # noqa: S106
        )
        arn = sagemaker.submit(job, client)
        return arn, wait(lambda: sagemaker.state(job.name, client), sagemaker.ENDS, every_s=0), _size(sagemaker.request(job))


def on_vertex(job: Job) -> tuple[str, str, int]:
    with emulated.vertex() as seen:
        session = AuthorizedSession(google.oauth2.credentials.Credentials("none"))  # type: ignore[no-untyped-call]
        name = vertex.submit(job, "acme", session, seen.url)
        return name, wait(lambda: vertex.state(name, session, seen.url), vertex.ENDS, every_s=0), _size(vertex.request(job))


def on_azureml(job: Job) -> tuple[str, str, int]:
    workspace = azureml.Workspace(subscription="00000000-0000-0000-0000-000000000000", group="ml", name="acme")
    with emulated.azure(azureml.API) as seen:
        session = requests.Session()
        session.headers["Authorization"] = "Bearer none"
        job_id = azureml.submit(job, workspace, session, seen.url)
        ended = wait(lambda: azureml.state(job_id, session, seen.url), azureml.ENDS, every_s=0)
        return job_id, ended, sum(_size(body) for body in seen.bodies.values())


def _size(body: object) -> int:
    return len(json.dumps(body))


SERVICES = {Cloud.AWS: on_sagemaker, Cloud.GCP: on_vertex, Cloud.AZURE: on_azureml}


# %%
def row(job: Job) -> tuple[Cell, ...]:
    name, ended, size = SERVICES[job.cloud](job)
    accelerator = job.row.accelerator
    assert accelerator is not None
    what = f"{job.row.accelerators} x {accelerator.name}"
    usd = ["not priced" if one is None else f"{one:.2f}" for one in (job.usd_hour, job.max_usd)]
    return str(job.cloud), job.row.name, what, job.region, "spot" if job.spot else "on-demand", *usd, size, ended, name[-40:]


def run() -> Table:
    return Table(
        "Training jobs, on emulated services",
        ("cloud", "machine", "accelerators", "region", "purchase", "USD/h", "USD at most", "bytes asked", "ended", "name"),
        tuple(row(job) for job in JOBS),
        (
            "USD: list price of the bare machines; each service's own surcharge is not in it.",
            "Emulated: moto for SageMaker; loopback servers for Vertex AI (checked by its discovery document) and Azure ML.",
        ),
    )


# %%
if __name__ == "__main__":
    table = run()
    show(table)
