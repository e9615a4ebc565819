"""Weights that lie in the repository: objects of the store, there before the model's first pod looks for them."""

from __future__ import annotations

import pytest

from fleet import weights
from fleet.load import load_stack
from infra.platform import deploy as deploy_platform
from infra.stack import Stack
from tests.mocked_engine import set_accounts

FOLDER = "charts/model-serving/templates"
FILE = """
owner: ml-platform
environment: dev
clusters:
  main:
    cloud: {cloud}
    region: {region}
    api: {{allowed_cidrs: [203.0.113.0/24]}}
    pools:
      l4: {{accelerator: nvidia-l4, nodes: {{min: 0, max: 2}}}}
    stores: {{weights: {{}}}}
    models:
      digits:
        pool: l4
        image: registry.example/accelfleet-serving:1.0
        weights: {{store: weights, path: /digits/, size_gib: 1, files: {folder}}}
"""
OBJECTS = {
    "aws": ("us-east-1", "aws:s3/bucketObjectv2:BucketObjectv2", "key"),
    "gcp": ("us-west1", "gcp:storage/bucketObject:BucketObject", "name"),
}


@pytest.mark.parametrize("cloud", OBJECTS)
def test_files_are_in_the_store_before_the_model_reads_them(deploy, tmp_path, cloud):
    region, type_, key = OBJECTS[cloud]
    (tmp_path / "demo.yaml").write_text(FILE.format(cloud=cloud, region=region, folder=FOLDER))
    set_accounts()
    stack = Stack("demo", load_stack(tmp_path / "demo.yaml"))
    recorded = deploy(lambda: deploy_platform(stack), stack="demo")
    made = recorded.all(type_)
    there = weights.files(FOLDER)
    assert {r.inputs[key] for r in made.values()} == {f"digits/{file.key}" for file in there}
    assert {r.inputs["source"].path for r in made.values()} == {file.path for file in there}
    assert {r.urn for r in made.values()} <= set(recorded.one("accelfleet:kubernetes:ModelServing").dependencies)
    release = recorded.all("kubernetes:helm.sh/v3:Release")["main-digits"]
    assert release.inputs["values"]["weights"]["url"].endswith("/digits")
