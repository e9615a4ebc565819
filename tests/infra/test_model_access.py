"""How models are reached and where their weights lie, from the stack file to the chart, against mocks."""

from __future__ import annotations

import pytest

from fleet.load import load_stack
from fleet.spec import ModelSpec
from infra import versions
from infra.kubernetes.model_serving import ModelServingArgs, chart_values
from infra.kubernetes.namespaces import MONITORING
from infra.platform import deploy as deploy_platform
from infra.stack import Stack
from tests.accelerator_pools import L4, pool_of
from tests.mocked_engine import set_accounts

OURS = "registry.example/ml/accelfleet-serving:1.0"
RELEASE = "kubernetes:helm.sh/v3:Release"
STACK = """
owner: ml-platform
environment: dev
clusters:
  main:
    cloud: {cloud}
    region: {region}
    api: {{allowed_cidrs: [203.0.113.0/24]}}
    pools:
      l4: {{accelerator: nvidia-{gpu}, nodes: {{min: 0, max: 3}}}}
      other: {{accelerator: nvidia-{gpu}, nodes: {{min: 0, max: 1}}, purchase: spot}}
    stores: {{weights: {{}}}}
    teams:
      search: {{accelerators: {{nvidia-{gpu}: 2}}}}
    models:
      digits: {{pool: l4, image: "{image}", {digits}}}
      faces: {{pool: l4, team: search, image: "{image}", {faces}}}
"""


def values_of(**changes):
    spec = ModelSpec.model_validate({"pool": "gpu", "image": OURS, **changes})
    url = "s3://weights/digits" if spec.weights and spec.weights.store else None
    return chart_values(ModelServingArgs.of("digits", spec, pool_of(L4), weights_url=url))


@pytest.fixture
def made(deploy, tmp_path):
    """`made(digits, faces) -> Recorder` of a stack with these two models."""

    def run(digits, faces="", cloud="aws"):
        region, gpu = {"aws": ("us-east-1", "l4"), "gcp": ("us-central1", "l4")}[cloud]
        text = STACK.format(cloud=cloud, region=region, gpu=gpu, image=OURS, digits=digits, faces=faces)
        (tmp_path / f"{cloud}-dev.yaml").write_text(text)
        set_accounts()
        stack = Stack(f"{cloud}-dev", load_stack(tmp_path / f"{cloud}-dev.yaml"))
        return deploy(lambda: deploy_platform(stack), stack=f"{cloud}-dev")

    return run


# Weights


def test_each_replica_fetches_its_weights_unless_told_otherwise():
    values = values_of(weights={"store": "weights"})
    assert values["weights"]["cache"] == {"kind": "none"}
    assert "--cache=$(HOME)/models" in values["server"]["args"]


@pytest.mark.parametrize(
    ("cache", "kind", "wanted"),
    [
        ({"claim": "mine"}, "pvc", {"claim": {"name": "mine", "storageClass": ""}}),
        ({"storage_class": "efs"}, "pvc", {"claim": {"name": "", "storageClass": "efs"}}),
        ({"node": True}, "node", {"node": {"path": "/var/lib/accelfleet/weights/models/digits"}}),
    ],
)
def test_what_is_fetched_is_kept_where_the_stack_file_says(cache, kind, wanted):
    values = values_of(weights={"store": "weights", "cache": cache})
    assert values["weights"]["cache"] == {"kind": kind, **wanted}
    assert values["weights"]["url"] == "s3://weights/digits"
    assert "--cache=$(WEIGHTS_CACHE)" in values["server"]["args"]


def test_weights_in_an_image_need_no_store_and_no_credentials():
    values = values_of(weights={"image": "registry.example/digits:1", "size_gib": 2})
    assert values["weights"] == {"sizeGiB": 2, "cache": {"kind": "image", "image": "registry.example/digits:1"}}
    assert values["server"]["args"][0] == "--model=$(WEIGHTS_URL)"
    assert "credentialEndpoints" not in values["networkPolicy"]


def test_vllm_reads_a_mounted_image_as_it_reads_a_store():
    values = values_of(image="vllm/vllm-openai:v0.11.0", weights={"image": "registry.example/chat:1"})
    assert values["server"]["command"] == ["vllm", "serve"]
    assert values["server"]["args"][0] == "$(WEIGHTS_URL)"
    assert not [argument for argument in values["server"]["args"] if "cache" in argument]


def test_a_model_without_a_store_gets_no_identity(made):
    recorded = made("weights: {image: registry.example/digits:1}", "weights: {store: weights}")
    identities = [name for name in recorded.all("aws:eks/podIdentityAssociation:PodIdentityAssociation") if "identity" in name]
    assert identities
    assert all("faces" in name for name in identities)


def test_directories_of_nodes_are_there_for_the_models_that_keep_weights_in_them(made):
    cache = "weights: {store: weights, path: PATH, cache: {node: true}}"
    recorded = made(cache.replace("PATH", "digits"), cache.replace("PATH", "faces"))
    daemon = recorded.all("kubernetes:apps/v1:DaemonSet")["main-weights"].inputs
    pod = daemon["spec"]["template"]["spec"]
    paths = {volume["hostPath"]["path"] for volume in pod["volumes"]}
    releases = {name: recorded.all(RELEASE)[f"main-{name}"].inputs["values"] for name in ("digits", "faces")}
    assert paths == {values["weights"]["cache"]["node"]["path"] for values in releases.values()}
    assert len(paths) == 2
    assert "/team-search/faces" in " ".join(paths)
    assert all(volume["hostPath"]["type"] == "DirectoryOrCreate" for volume in pod["volumes"])
    (container,) = pod["containers"]
    assert container["image"] == versions.PAUSE_IMAGE
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    terms = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert [term["matchExpressions"][0]["values"] for term in terms] == [["l4"]], "the pool of no such model has none"
    assert daemon["metadata"]["namespace"] == "accelerators"


def test_without_such_a_model_there_is_none(made):
    recorded = made("weights: {store: weights, path: digits, cache: {storage_class: efs}}", "weights: {store: weights}")
    assert "main-weights" not in recorded.all("kubernetes:apps/v1:DaemonSet")


# The way in


def test_a_route_gives_a_part_of_the_requests_to_the_canary(made):
    route = "route: {gateway: public, namespace: gateways, hosts: [digits.example], canary: {model: embed, percent: 10}}"
    recorded = made(f"{route}}}\n      embed: {{pool: l4")
    values = recorded.all(RELEASE)["main-digits"].inputs["values"]
    assert values["route"] == {
        "gateway": {"name": "public", "namespace": "gateways"},
        "hostnames": ["digits.example"],
        "canary": {"service": "embed", "percent": 10},
    }
    assert recorded.all(RELEASE)["main-embed"].inputs["name"] == "embed", "whose Service has that name, at the same port"
    assert "route" not in recorded.all(RELEASE)["main-embed"].inputs["values"]


@pytest.mark.parametrize(("model", "channel"), [("route: {gateway: public}", "CHANNEL_STANDARD"), ("", None)])
def test_gke_brings_the_gateway_api_where_a_model_is_reached_by_it(made, model, channel):
    cluster = made(model, cloud="gcp").one("gcp:container/cluster:Cluster").inputs
    assert cluster.get("gatewayApiConfig") == ({"channel": channel} if channel else None)


# Who looks


def test_a_prometheus_of_yours_is_told_and_let_in():
    values = values_of(pod_monitor={"namespace": "observability", "labels": {"release": "prom"}, "interval_s": 30})
    assert values["podMonitor"] == {"enabled": True, "intervalSeconds": 30, "labels": {"release": "prom"}}
    assert values["networkPolicy"]["fromNamespaces"] == [MONITORING, "observability"]
    assert values_of(pod_monitor={})["networkPolicy"]["fromNamespaces"] == [MONITORING]
    assert "podMonitor" not in values_of()
