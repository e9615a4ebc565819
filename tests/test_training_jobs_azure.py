"""What projects/training_jobs sends to Azure Machine Learning, against the API's own types: azure-native's, which are made of
Azure's descriptions. In the main environment, since that SDK is there alone."""

from __future__ import annotations

import typing
from dataclasses import replace
from typing import Any

import pulumi_azure_native.machinelearningservices as ml
import pytest
from pulumi._types import input_type_types

from fleet.catalog.clouds import Cloud
from projects.training_jobs import azureml
from projects.training_jobs.job import Job

JOB = Job(
    cloud=Cloud.AZURE,
    name="tune",
    region="eastus",
    machine="Standard_NC24ads_A100_v4",
    image="acme.azurecr.io/train:1.0",
    command=("python", "train.py"),
    output="azureml://datastores/training/paths/tune",
    identity="00000000-0000-0000-0000-000000000001",
    environment={"EPOCHS": "3"},
)
WORKSPACE = azureml.Workspace(subscription="s", group="g", name="w")
# Where the type alone does not say which of several a value is.
KINDS = {
    ("distribution", "PyTorch"): ml.PyTorchArgs,
    ("identity", "Managed"): ml.ManagedIdentityArgs,
    ("outputs", "uri_folder"): ml.UriFolderJobOutputArgs,
}


def wrong(value: dict[str, Any], args: type, where: str) -> list[str]:
    """Fields that the API's type has not, at any depth."""
    types = input_type_types(args)  # by the API's names
    found = [f"{where}.{key}" for key in value if key not in types]
    for key, one in value.items():
        if key not in types:
            continue
        inner = types[key]
        nested = one.values() if key == "outputs" else [one]
        for each in nested:
            if isinstance(each, dict) and key != "environmentVariables":
                word = next((each[w] for w in ("distributionType", "identityType", "jobOutputType") if w in each), None)
                found += wrong(each, KINDS.get((key, word)) or plain(inner), f"{where}.{key}")
    return found


def plain(kind: Any) -> type:
    """The one class of an annotation, whatever wraps it."""
    classes = [one for one in _leaves(kind) if isinstance(one, type) and one.__name__.endswith("Args")]
    assert classes, kind
    return classes[0]


def _leaves(kind: Any) -> list[Any]:
    inside = typing.get_args(kind)
    return [leaf for one in inside for leaf in _leaves(one)] if inside else [kind]


@pytest.mark.parametrize("spot", [True, False])
def test_the_bodies_have_fields_of_the_api_alone(spot: bool) -> None:
    job = replace(JOB, spot=spot, replicas=2)
    assert wrong(azureml.cluster_request(job)["properties"], ml.AmlComputeArgs, "compute") == []
    assert wrong(azureml.request(job, WORKSPACE, "e")["properties"], ml.CommandJobArgs, "job") == []
    assert wrong(azureml.environment_request(job)["properties"], ml.EnvironmentVersionPropertiesArgs, "environment") == []


def test_a_field_that_the_api_has_not_is_found_at_any_depth() -> None:
    body = azureml.request(JOB, WORKSPACE, "e")["properties"]
    body["limits"]["hours"] = 4
    body["image"] = JOB.image
    assert sorted(wrong(body, ml.CommandJobArgs, "job")) == ["job.image", "job.limits.hours"]


def test_the_words_are_of_the_apis_enumerations() -> None:
    compute = azureml.cluster_request(JOB)["properties"]["properties"]
    assert compute["vmPriority"] in {one.value for one in ml.VmPriority}
    assert compute["remoteLoginPortPublicAccess"] in {one.value for one in ml.RemoteLoginPortPublicAccess}
    output = azureml.request(JOB, WORKSPACE, "e")["properties"]["outputs"]["model"]
    assert output["mode"] in {one.value for one in ml.OutputDeliveryMode}
