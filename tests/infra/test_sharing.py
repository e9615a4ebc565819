"""GPUs for several pods: what each cloud is told, what the device plugin is told, and what a pod may ask for."""

from __future__ import annotations

import base64
import json

import pytest

from fleet.catalog.accelerators import ACCELERATORS
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import machine
from fleet.catalog.sharing import MOST_CLIENTS, Sharing, SharingMode, mig, mig_profiles, mig_profiles_on
from infra.kubernetes.model_serving import chart_values
from tests.accelerator_pools import L4, L4_ON_GKE, T4_ON_AKS, pool_of
from tests.infra import test_aws, test_azure, test_gcp
from tests.infra.test_kubernetes import DAEMON_SET, model, plugins, selects

A100_ON = {
    Cloud.AWS: machine(Cloud.AWS, "p4de.24xlarge"),
    Cloud.GCP: machine(Cloud.GCP, "a2-ultragpu-1g"),
    Cloud.AZURE: machine(Cloud.AZURE, "Standard_NC24ads_A100_v4"),
}
SMALL = mig("nvidia-a100-80gb", "1g.10gb")
TURNS = Sharing(SharingMode.TIME_SLICING, 4)
MPS = Sharing(SharingMode.MPS, 4)
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"


def shared(hardware, sharing, name="gpu"):
    return pool_of(hardware, name, sharing=sharing)


@pytest.mark.parametrize("cloud", A100_ON)
@pytest.mark.parametrize("sharing", [SMALL, TURNS, MPS], ids=str)
def test_pain_08_a_pod_asks_for_one_part_under_the_name_that_autoscalers_know(cloud, sharing):
    pool = shared(A100_ON[cloud], sharing)
    placement = pool.placement(1)
    assert (placement.resource, placement.count) == ("nvidia.com/gpu", 1)
    assert pool.slots == pool.per_node * sharing.slots
    assert pool.node_labels["accelfleet.io/sharing"] == str(sharing)
    if cloud is Cloud.AWS:
        tags = pool.autoscaler_tags("c")
        assert tags["k8s.io/cluster-autoscaler/node-template/resources/nvidia.com/gpu"] == str(pool.slots)
    with pytest.raises(ValueError, match="a pod takes one part, not 2"):
        pool.placement(2)


@pytest.mark.parametrize(
    ("sharing", "expected"),
    [
        (SMALL, {"gpuPartitionSize": "1g.10gb"}),
        (TURNS, {"gpuSharingConfig": {"gpuSharingStrategy": "TIME_SHARING", "maxSharedClientsPerGpu": 4}}),
        (MPS, {"gpuSharingConfig": {"gpuSharingStrategy": "MPS", "maxSharedClientsPerGpu": 4}}),
        (None, {}),
    ],
    ids=str,
)
def test_gke_is_told_and_does_the_rest(deploy, sharing, expected):
    pool = test_gcp.pool_of(A100_ON[Cloud.GCP], sharing=sharing)
    made = deploy(lambda: test_gcp.node_pool(pool)).all(test_gcp.NODE_POOL)["main-gpu-nodes"]
    (gpu,) = made.inputs["nodeConfig"]["guestAccelerators"]
    assert {k: v for k, v in gpu.items() if k.startswith("gpu") and k != "gpuDriverInstallationConfig"} == expected
    assert deploy(plugins(pool)).of(DAEMON_SET) == {}


def test_gke_labels_say_how():
    assert shared(A100_ON[Cloud.GCP], SMALL).cloud_labels["cloud.google.com/gke-gpu-partition-size"] == "1g.10gb"
    labels = shared(L4_ON_GKE, MPS).cloud_labels
    assert labels["cloud.google.com/gke-gpu-sharing-strategy"] == "mps"
    assert labels["cloud.google.com/gke-max-shared-clients-per-gpu"] == "4"


@pytest.mark.parametrize(("profile", "name"), [("1g.10gb", "MIG1g"), ("3g.40gb", "MIG3g"), ("7g.80gb", "MIG7g")])
def test_aks_cuts_by_the_number_of_slices(deploy, profile, name):
    pool = shared(A100_ON[Cloud.AZURE], mig("nvidia-a100-80gb", profile))
    made = deploy(test_azure.World(pool=pool)).one(test_azure.POOL)
    assert made.inputs["gpuInstanceProfile"] == name


def test_aks_shares_otherwise_without_knowing(deploy):
    made = deploy(test_azure.World(pool=shared(T4_ON_AKS, TURNS))).one(test_azure.POOL)
    assert "gpuInstanceProfile" not in made.inputs


def test_eks_cuts_every_gpu_at_boot_or_serves_none(deploy):
    template = "aws:ec2/launchTemplate:LaunchTemplate"
    pool = test_aws.pool_of(A100_ON[Cloud.AWS], sharing=mig("nvidia-a100-80gb", "3g.40gb"))
    made = deploy(lambda: test_aws.node_pool(pool)).one(template)
    script = base64.b64decode(made.inputs["userData"]).decode()
    assert "Content-Type: text/x-shellscript" in script
    assert "set -euo pipefail" in script
    assert "nvidia-smi mig -cgi 3g.40gb,3g.40gb -C" in script
    plain = deploy(lambda: test_aws.node_pool(test_aws.pool_of(L4, sharing=TURNS))).one(template)
    assert "userData" not in plain.inputs


def test_each_node_gets_the_plugin_of_its_way_and_no_other(deploy):
    pools = [
        shared(L4, None, "whole"),
        shared(L4, TURNS, "turns"),
        shared(L4, Sharing(SharingMode.TIME_SLICING, 8), "more"),
        shared(L4, MPS, "mps"),
        shared(A100_ON[Cloud.AWS], SMALL, "mig"),
    ]
    recorded = deploy(plugins(*pools))
    daemons = {d["metadata"]["name"]: d for d in recorded.of(DAEMON_SET).values()}
    plugin_of = {
        "whole": "nvidia-device-plugin",
        "turns": "nvidia-device-plugin-time-slicing-4",
        "more": "nvidia-device-plugin-time-slicing-8",
        "mps": "nvidia-device-plugin-mps-4",
        "mig": "nvidia-device-plugin-mig",
    }
    assert daemons.keys() == {*plugin_of.values(), "nvidia-control-mps-4"}
    for pool in pools:
        chosen = {name for name, daemon in daemons.items() if runs_on(daemon, pool.node_labels)}
        assert chosen - {"nvidia-control-mps-4"} == {plugin_of[pool.name]}
    assert runs_on(daemons["nvidia-control-mps-4"], pools[3].node_labels)
    assert not runs_on(daemons["nvidia-control-mps-4"], pools[1].node_labels)


def runs_on(daemon, labels):
    term = daemon["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
    (only,) = term["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    absent = [e["key"] for e in only["matchExpressions"] if e["operator"] == "DoesNotExist"]
    return selects(daemon, labels) and not any(key in labels for key in absent)


@pytest.mark.parametrize(("sharing", "kind"), [(TURNS, "timeSlicing"), (MPS, "mps")], ids=str)
def test_the_plugin_reads_how_often_a_gpu_counts(deploy, sharing, kind):
    recorded = deploy(plugins(shared(L4, sharing)))
    (config,) = recorded.of(CONFIG_MAP).values()
    said = json.loads(config["data"]["config.yaml"])["sharing"][kind]
    assert said["resources"] == [{"name": "nvidia.com/gpu", "replicas": 4}]
    assert said.get("failRequestsGreaterThanOne", sharing is MPS) is True
    for daemon in recorded.of(DAEMON_SET).values():
        pod = daemon["spec"]["template"]["spec"]
        volumes = {v["name"]: v for v in pod["volumes"]}
        assert volumes["config"]["configMap"]["name"] == config["metadata"]["name"]
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            assert {m["name"] for m in container["volumeMounts"]} <= volumes.keys()


def test_mig_needs_no_configuration_and_the_right_to_see_the_parts(deploy):
    recorded = deploy(plugins(shared(A100_ON[Cloud.AWS], SMALL)))
    assert recorded.of(CONFIG_MAP) == {}
    (container,) = recorded.one(DAEMON_SET).inputs["spec"]["template"]["spec"]["containers"]
    assert {"name": "MIG_STRATEGY", "value": "single"} in container["env"]
    assert container["securityContext"]["capabilities"]["add"] == ["SYS_ADMIN"]


@pytest.mark.parametrize("accelerator", [name for name in ACCELERATORS if mig_profiles(name)])
def test_mig_profiles_fit_the_gpu_they_are_cut_from(accelerator):
    memory = ACCELERATORS[accelerator].memory_gib
    for profile, instances in mig_profiles(accelerator).items():
        slices, size = profile.removesuffix("gb").split("g.")
        assert int(size) * instances <= memory + instances, "sizes are rounded up by less than one each"
        assert int(slices) * instances <= 8
        assert mig(accelerator, profile).slots == instances <= MOST_CLIENTS


def test_only_gpus_with_mig_have_profiles():
    assert not mig_profiles("nvidia-l4")
    assert not mig_profiles("tpu-v5e")
    with pytest.raises(LookupError, match="no MIG profile"):
        mig("nvidia-l4", "1g.5gb")


def test_a_cloud_offers_the_profiles_that_it_can_cut():
    assert list(mig_profiles_on(Cloud.AZURE, "nvidia-a100-80gb")) == ["1g.10gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"]
    assert "4g.40gb" not in mig_profiles_on(Cloud.GCP, "nvidia-a100-80gb")
    assert "4g.96gb" in mig_profiles_on(Cloud.GCP, "nvidia-rtx-pro-6000")
    assert mig_profiles_on(Cloud.AWS, "nvidia-a100-80gb") == mig_profiles("nvidia-a100-80gb")


@pytest.mark.parametrize("sharing", [None, SMALL, TURNS, MPS], ids=str)
def test_the_pods_that_fill_a_nodes_parts_fit_on_it(sharing):
    pool = shared(A100_ON[Cloud.GCP], sharing)
    values = chart_values(model(pool=pool, count=1))
    asked = values["resources"]
    assert int(asked["cpu"].removesuffix("m")) * pool.slots <= pool.machine.vcpus * 1000
    assert int(asked["memory"].removesuffix("Gi")) * pool.slots <= pool.machine.memory_gib
    assert int(asked["ephemeralStorage"].removesuffix("Gi")) * pool.slots <= pool.disk_gib


@pytest.mark.parametrize(("sharing", "part"), [(None, None), (SMALL, None), (TURNS, "0.22"), (MPS, "0.22")], ids=str)
def test_servers_on_one_gpu_share_its_memory(sharing, part):
    values = chart_values(model(pool=shared(A100_ON[Cloud.GCP], sharing), count=1, weights_url="gs://b/m"))
    told = [a for a in values["server"]["args"] if a.startswith("--gpu-memory-utilization")]
    assert told == ([f"--gpu-memory-utilization={part}"] if part else [])
