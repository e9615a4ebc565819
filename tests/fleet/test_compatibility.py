"""What runs on what: the versions pinned here run together on every cloud, and what does not is named, with the nearest."""

from __future__ import annotations

import csv
from itertools import product

import pytest

from fleet.catalog.accelerators import ACCELERATORS, Family
from fleet.catalog.clouds import PUBLIC, Cloud
from fleet.catalog.compatibility import kubernetes_minors, misfit, of_image, of_nodes, rows
from fleet.catalog.drivers import driver, driver_owner
from fleet.catalog.machines import machines
from fleet.catalog.nodes import brings_device_plugin
from fleet.load import load_stack
from fleet.spec import ModelSpec
from fleet.workspace import ROOT, STACKS
from infra import versions
from tests.accelerator_pools import ON_OFFER

PLUGINS = {Family.NVIDIA: versions.NVIDIA_DEVICE_PLUGIN_IMAGE, Family.NEURON: versions.NEURON_DEVICE_PLUGIN_IMAGE}
DEFAULT_IMAGE = str(ModelSpec.model_fields["image"].default)
PAIRS = sorted({(m.cloud, m.accelerator.name) for m in ON_OFFER if m.accelerator})
MODELS = [
    (cluster, model)
    for stack in sorted(STACKS.glob("*-dev.yaml"))
    if not stack.name.startswith("Pulumi.")
    for cluster in load_stack(stack).clusters.values()
    for model in cluster.models.values()
]


@pytest.mark.parametrize(("cloud", "name"), PAIRS)
def test_the_pinned_versions_run_on_every_node_of_every_cloud(cloud: Cloud, name: str) -> None:
    family = ACCELERATORS[name].family
    parts = of_nodes(cloud, ACCELERATORS[name], versions.KUBERNETES)
    if not brings_device_plugin(cloud, family):
        plugin = of_image(PLUGINS[family])
        assert plugin, "no row speaks of the plugin that is pinned"
        parts |= plugin
    assert misfit(parts, cloud) is None


@pytest.mark.parametrize("cloud", PUBLIC)
def test_the_default_minor_is_on_offer(cloud: Cloud) -> None:
    assert versions.KUBERNETES in kubernetes_minors(cloud)


def test_every_minor_of_eks_has_an_autoscaler_of_the_same() -> None:
    assert set(versions.CLUSTER_AUTOSCALER_IMAGES) == set(kubernetes_minors(Cloud.AWS))
    for minor, image in versions.CLUSTER_AUTOSCALER_IMAGES.items():
        assert image.rpartition(":v")[2].startswith(f"{minor}.")


def test_the_models_of_the_dev_stacks_run_on_their_pools() -> None:
    assert {cluster.cloud for cluster, _ in MODELS} == set(PUBLIC)
    assert {DEFAULT_IMAGE} < {model.image for _, model in MODELS}
    for cluster, model in MODELS:
        minor = cluster.kubernetes or versions.KUBERNETES
        nodes = of_nodes(cluster.cloud, ACCELERATORS[cluster.pools[model.pool].accelerator], minor)
        assert of_image(model.image), f"no row speaks of {model.image}"
        assert misfit({**nodes, **of_image(model.image)}, cluster.cloud) is None


@pytest.mark.parametrize(("cloud", "name"), [pair for pair in PAIRS if ACCELERATORS[pair[1]].family is Family.NVIDIA])
def test_the_default_image_runs_on_every_gpu(cloud: Cloud, name: str) -> None:
    assert misfit({**of_nodes(cloud, ACCELERATORS[name], versions.KUBERNETES), **of_image(DEFAULT_IMAGE)}, cloud) is None


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("vllm/vllm-openai:v0.11.0", {"vllm/vllm-openai": "0.11.0"}),
        ("registry.example.com:5000/mirror/vllm/vllm-openai:v0.11.0", {"vllm/vllm-openai": "0.11.0"}),
        ("vllm/vllm-openai@sha256:" + 64 * "0", {"vllm/vllm-openai": None}),
        ("vllm/vllm-openai:v0.18.0-cu130", {"vllm/vllm-openai": "0.18.0", "cuda": "13.0"}),
        ("registry.example.com:5000/pytorch/pytorch:2.8.0-cuda12.6-cudnn9-runtime", {"cuda": "12.6"}),
        ("ghcr.io/example/server:1.0-sdk2.29.0", {"neuron-sdk": "2.29"}),
        ("nvcr.io/nvidia/tritonserver:25.08-py3", {"tritonserver": "25.08"}),
        ("ghcr.io/example/not-vllm-openai:1", {}),
        ("registry.example.com:5000/server", {}),
        ("ghcr.io/example/focus13:v1-focus130", {}),
    ],
)
def test_an_image_tells_by_its_tag_what_it_is_made_of(image: str, parts: dict[str, str | None]) -> None:
    assert of_image(image) == parts


@pytest.mark.parametrize(
    ("part", "version", "driver_version", "nearest"),
    [
        ("cuda", "13.0", "575.57.08", "cuda 12"),
        ("cuda", "12.9", "515", "cuda 11"),
        ("cuda", "11.8", "440.33", None),
        ("neuron-sdk", "2.33", "2.27", "neuron-sdk 2.29"),
    ],
)
def test_what_a_driver_does_not_run_is_named_with_the_nearest_that_it_does(
    part: str, version: str, driver_version: str, nearest: str | None
) -> None:
    host = "nvidia-driver" if part == "cuda" else "neuron-driver"
    found = misfit({host: driver_version, part: version}, Cloud.AWS)
    assert found is not None
    assert (found.part, found.has, found.nearest) == (f"{part} {version}", f"{host} {driver_version}", nearest)
    assert found.needs.startswith(f"{host} ")
    if nearest:
        kind, fine = nearest.split()
        assert misfit({host: driver_version, kind: fine}, Cloud.AWS) is None


def test_a_bound_is_inside_below_one_is_not() -> None:
    assert misfit({"cuda": "13.0", "nvidia-driver": "580"}, Cloud.AWS) is None
    assert misfit({"inferentia1": None, "neuron-driver": "2.24.13"}, Cloud.AWS) is None
    late = misfit({"inferentia1": None, "neuron-driver": "2.25"}, Cloud.AWS)
    assert late is not None
    assert late.needs == "neuron-driver below 2.25"


def test_only_the_clouds_own_rows_count() -> None:
    parts = {"nvidia-rtx-pro-6000": None, "nvidia-driver": "580", "kubernetes": "1.33"}
    assert misfit(parts, Cloud.AWS) is None
    found = misfit(parts, Cloud.GCP)
    assert found is not None
    assert found.nearest == "kubernetes 1.34"


@pytest.mark.parametrize("version", ["99.1", "14.0"])
def test_the_unknown_is_not_refused(version: str) -> None:
    assert misfit({"cuda": version, "nvidia-driver": "580"}, Cloud.AWS) is None
    assert misfit({"cuda": "13.0", "nvidia-driver": None}, Cloud.AWS) is None
    assert misfit(of_image("ghcr.io/example/server:1.0"), Cloud.AWS) is None


def test_every_row_leads_somewhere() -> None:
    with (ROOT / "fleet/catalog/data/drivers.csv").open(newline="") as file:
        drivers = {row["driver"] for row in csv.DictReader(file)}
    on_nodes = {*drivers, "kubernetes", "tpu", "neuron-core"}
    needing = {row.part for row in rows() if row.relation == "needs"}
    for row in rows():
        assert row.relation in ("needs", "brings")
        assert row.other in (on_nodes if row.relation == "needs" else on_nodes | needing), row
        assert row.cloud in ("", *Cloud)


def test_pain_4_every_machine_has_its_driver_by_one_and_the_cloud_is_told_so() -> None:
    for cloud, family in product(Cloud, Family):
        driver_owner(cloud, family)  # several would be an error
    for row in ON_OFFER:
        assert row.accelerator is not None
        found = driver(row.cloud, row.accelerator)
        assert found is not None
        assert found.owner == driver_owner(row.cloud, row.accelerator.family) == "cloud"
        assert bool(found.setting) == (row.accelerator.family is not Family.TPU)


def test_a_driver_is_of_its_accelerator_and_minor_before_its_familys() -> None:
    t4, a10, l4 = (ACCELERATORS[f"nvidia-{name}"] for name in ("t4", "a10", "l4"))
    of_t4, of_a10 = driver(Cloud.AZURE, t4), driver(Cloud.AZURE, a10)
    assert of_t4 is not None and of_a10 is not None
    assert of_t4.version != of_a10.version
    old, new = driver(Cloud.GCP, l4, "1.35"), driver(Cloud.GCP, l4, "1.36")
    assert old is not None and new is not None
    assert (old.version, new.version) == (None, "580.173.02")
    assert driver(Cloud.AZURE, ACCELERATORS["inferentia2"]) is None


def test_a_machine_of_every_accelerator_row_of_drivers_exists() -> None:
    with (ROOT / "fleet/catalog/data/drivers.csv").open(newline="") as file:
        named = {(row["cloud"], row["accelerator"]) for row in csv.DictReader(file) if row["accelerator"]}
    assert named <= {(m.cloud, m.accelerator.name) for m in machines() if m.accelerator}
