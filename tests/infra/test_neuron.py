"""Parts of Neuron nodes: devices side by side by Neuron's own scheduler, and single cores, counted by the device plugin."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from fleet.catalog import neuron
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import machine
from fleet.load import load_stack
from infra import versions
from infra.kubernetes.device_plugins import DevicePlugins
from infra.kubernetes.model_serving import chart_values
from infra.kubernetes.neuron_scheduler import configuration
from infra.platform import deploy as deploy_platform
from infra.stack import Stack
from tests.accelerator_pools import pool_of
from tests.infra.test_kubernetes import in_cluster, model
from tests.mocked_engine import set_accounts

INF2_48 = machine(Cloud.AWS, "inf2.48xlarge")
TRN1_32 = machine(Cloud.AWS, "trn1.32xlarge")
IMAGE = "public.ecr.aws/neuron/pytorch-inference-vllm-neuronx:0.9.1-neuronx-py311-sdk2.26.0-ubuntu22.04"
FILE = """
owner: ml-platform
environment: dev
clusters:
  main:
    cloud: aws
    region: us-east-1
    kubernetes: "1.35"
    api: {allowed_cidrs: [203.0.113.0/24]}
    stores: {weights: {}}
    pools:
      inf2: {accelerator: inferentia2, machine: inf2.48xlarge, WAY}
    models:
      chat: {pool: inf2, accelerators: COUNT, image: IMAGE, weights: {store: weights, size_gib: 16}}
"""


@pytest.fixture
def deployed(deploy, tmp_path):
    def run(way, count):
        file = tmp_path / "neuron.yaml"
        file.write_text(FILE.replace("WAY", way).replace("COUNT", str(count)).replace("IMAGE", IMAGE))
        stack = Stack("neuron", load_stack(file))
        set_accounts()
        return deploy(lambda: deploy_platform(stack))

    return run


def named(recorded, kind):
    return {made["metadata"]["name"]: made for made in recorded.of(f"kubernetes:{kind}").values()}


def released(recorded):
    return next(r["values"] for r in recorded.of("kubernetes:helm.sh/v3:Release").values() if r["name"] == "chat")


def test_pods_of_the_pool_are_the_second_schedulers(deployed):
    recorded = deployed("neuron_scheduler: true", 8)
    made = named(recorded, "apps/v1:Deployment")
    (container,) = made[neuron.SCHEDULER]["spec"]["template"]["spec"]["containers"]
    assert container["image"].endswith(":v1.35.0"), "a scheduler of another minor reads other objects than the API server has"
    values = released(recorded)
    assert values["schedulerName"] == neuron.SCHEDULER
    assert values["accelerator"] == {"resource": "aws.amazon.com/neuron", "count": 8}
    config = json.loads(named(recorded, "core/v1:ConfigMap")[neuron.SCHEDULER]["data"]["config.yaml"])
    assert [profile["schedulerName"] for profile in config["profiles"]] == [neuron.SCHEDULER]


def test_the_extender_is_where_the_scheduler_asks_and_without_it_nothing_is_placed(deployed):
    recorded = deployed("neuron_scheduler: true", 4)
    (extender,) = configuration()["extenders"]
    name, _, rest = extender["urlPrefix"].removeprefix("http://").partition(".")
    port = int(rest.rpartition(":")[2])
    service = named(recorded, "core/v1:Service")[name]
    assert service["metadata"]["namespace"] == rest.partition(".")[0]
    assert service["spec"]["ports"] == [{"port": port, "targetPort": port}]
    deployment = named(recorded, "apps/v1:Deployment")[name]
    assert service["spec"]["selector"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert {"name": "PORT", "value": str(port)} in container["env"]
    # The device plugin writes what the extender reads: they are of one release.
    assert container["image"].rpartition(":")[2] == versions.NEURON_DEVICE_PLUGIN_IMAGE.rpartition(":")[2]
    assert not extender["ignorable"]
    assert {r["name"] for r in extender["managedResources"]} == {"aws.amazon.com/neuron", neuron.CORE_RESOURCE}


def test_the_second_scheduler_may_do_what_kubernetes_own_may(deployed):
    bound = named(deployed("neuron_scheduler: true", 8), "rbac.authorization.k8s.io/v1:ClusterRoleBinding").values()
    roles = {b["roleRef"]["name"] for b in bound if b["subjects"][0]["name"] == neuron.SCHEDULER}
    assert {"system:kube-scheduler", "system:volume-scheduler"} < roles


def test_without_it_there_is_no_second_scheduler(deployed):
    recorded = deployed("nodes: {max: 2}", 12)
    assert neuron.SCHEDULER not in named(recorded, "apps/v1:Deployment")
    assert released(recorded)["schedulerName"] == ""


@pytest.mark.parametrize("minor", sorted(versions.KUBE_SCHEDULER_IMAGES))
def test_every_minor_has_a_scheduler_of_its_own(minor):
    assert versions.KUBE_SCHEDULER_IMAGES[minor].endswith(f"kube-scheduler:v{minor}.0")


@pytest.mark.parametrize(
    ("hardware", "fine", "not_fine"), [(INF2_48, (1, 2, 5, 11, 12), (13,)), (TRN1_32, (1, 4, 8, 16), (2, 6, 12))]
)
def test_neuron_devices_are_neighbours_in_a_ring_by_any_number_and_in_a_torus_by_few(hardware, fine, not_fine):
    pool = pool_of(hardware, neuron_scheduler=True)
    for count in fine:
        assert (pool.placement(count).count, pool.placement(count).scheduler) == (count, neuron.SCHEDULER)
    for count in not_fine:
        with pytest.raises(ValueError, match=f"not {count}|asks for {count}"):
            pool.placement(count)


def test_a_core_is_asked_for_by_its_own_name_and_so_the_autoscaler_is_told(deployed):
    values = released(deployed("sharing: {cores: true}", 1))
    assert values["accelerator"] == {"resource": neuron.CORE_RESOURCE, "count": 1}
    assert values["schedulerName"] == "", "one core has no neighbours"
    pool = pool_of(INF2_48, sharing=neuron.cores("inferentia2"))
    tag = f"k8s.io/cluster-autoscaler/node-template/resources/{neuron.CORE_RESOURCE}"
    assert pool.autoscaler_tags("c")[tag] == "24"
    with pytest.raises(ValueError, match="takes one part, not 2"):
        pool.placement(2)


def test_replicas_on_cores_share_the_node_by_cores():
    whole, cut = pool_of(INF2_48), pool_of(INF2_48, sharing=neuron.cores("inferentia2"))
    by_device, by_core = (chart_values(model(pool=pool))["resources"]["cpu"] for pool in (whole, cut))
    assert int(by_device.removesuffix("m")) == 2 * int(by_core.removesuffix("m"))


def test_one_device_plugin_counts_devices_and_cores(deploy):
    pools = [
        pool_of(INF2_48, name="whole"),
        replace(pool_of(INF2_48, name="cut"), physical_name="cut", sharing=neuron.cores("inferentia2")),
    ]
    recorded = deploy(in_cluster(lambda opts: DevicePlugins("plugins", pools, opts=opts)))
    (daemon_set,) = recorded.of("kubernetes:apps/v1:DaemonSet").values()
    (container,) = daemon_set["spec"]["template"]["spec"]["containers"]
    assert {env["name"] for env in container["env"]} == {"KUBECONFIG", "NODE_NAME"}
    assert not recorded.of("kubernetes:core/v1:ConfigMap")
