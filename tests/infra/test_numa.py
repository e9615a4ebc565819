"""Kubelets that keep a pod by one socket, on each cloud, and replicas that a kubelet gives whole CPUs to."""

from __future__ import annotations

import base64
import email
import json
from dataclasses import replace

import pytest

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import machine
from fleet.catalog.numa import Numa
from fleet.catalog.sharing import mig
from fleet.load import load_stack
from fleet.share import share_of_node
from infra.clouds.aws.user_data import user_data
from infra.kubernetes.model_serving import chart_values
from infra.platform import deploy as deploy_platform
from infra.stack import Stack
from tests.accelerator_pools import ON_OFFER, pool_of
from tests.infra.test_kubernetes import model
from tests.mocked_engine import set_accounts

FILE = """
owner: ml-platform
environment: dev
clusters:
  main:
    cloud: CLOUD
    region: REGION
    api: {allowed_cidrs: [203.0.113.0/24]}
    pools:
      near: {accelerator: nvidia-a100-80gb, machine: MACHINE, numa: POLICY}
      plain: {accelerator: nvidia-a100-80gb, machine: MACHINE}
"""
PLACES = {
    "gcp": ("us-central1", "a2-ultragpu-8g", "best-effort", "best-effort"),
    "azure": ("eastus", "Standard_ND96amsr_A100_v4", "single-node", "single-numa-node"),
}


def deployed(deploy, tmp_path, cloud):
    region, name, policy, word = PLACES[cloud]
    file = tmp_path / f"{cloud}-near.yaml"
    text = FILE.replace("CLOUD", cloud).replace("REGION", region).replace("MACHINE", name).replace("POLICY", policy)
    file.write_text(text)
    stack = Stack(f"{cloud}-near", load_stack(file))
    set_accounts()
    return deploy(lambda: deploy_platform(stack)), word


def test_gke_is_told_of_both_managers(deploy, tmp_path):
    recorded, word = deployed(deploy, tmp_path, "gcp")
    pools = {p["name"]: p["nodeConfig"] for p in recorded.of("gcp:container/nodePool:NodePool").values()}
    assert pools["near"]["kubeletConfig"] == {"cpuManagerPolicy": "static", "topologyManager": {"policy": word}}
    assert "kubeletConfig" not in pools["plain"]


def test_aks_is_told_of_both_managers(deploy, tmp_path):
    recorded, word = deployed(deploy, tmp_path, "azure")
    pools = {p["agentPoolName"]: p for p in recorded.of("azure-native:containerservice:AgentPool").values()}
    assert pools["near"]["kubeletConfig"] == {"cpuManagerPolicy": "static", "topologyManagerPolicy": word}
    assert "kubeletConfig" not in pools["plain"]


def parts(encoded):
    message = email.message_from_bytes(base64.b64decode(encoded))
    return {part.get_content_type(): part.get_payload() for part in message.walk() if not part.is_multipart()}


@pytest.mark.parametrize("numa", Numa)
def test_eks_nodes_are_told_by_nodeadm(numa):
    (kind, text) = next(iter(parts(user_data(None, numa)).items()))
    assert kind == "application/node.eks.aws"
    config = json.loads(text)
    assert (config["apiVersion"], config["kind"]) == ("node.eks.aws/v1alpha1", "NodeConfig")
    assert config["spec"]["kubelet"]["config"] == {
        "cpuManagerPolicy": "static",
        "topologyManagerPolicy": numa.topology_policy,
    }


def test_eks_user_data_has_what_is_asked_for_and_no_more():
    both = parts(user_data(mig("nvidia-a100-40gb", "3g.20gb"), Numa.BEST_EFFORT))
    assert set(both) == {"application/node.eks.aws", "text/x-shellscript"}
    assert "mig -cgi 3g.20gb,3g.20gb" in both["text/x-shellscript"]
    assert set(parts(user_data(mig("nvidia-a100-40gb", "3g.20gb")))) == {"text/x-shellscript"}
    assert user_data() is None


def test_an_eks_pool_carries_it(deploy, tmp_path):
    file = tmp_path / "aws-near.yaml"
    file.write_text(
        FILE.replace("CLOUD", "aws")
        .replace("REGION", "us-east-1")
        .replace("nvidia-a100-80gb", "nvidia-a100-40gb")
        .replace("MACHINE", "p4d.24xlarge")
        .replace("POLICY", "single-node")
    )
    set_accounts()
    recorded = deploy(lambda: deploy_platform(Stack("aws-near", load_stack(file))))
    made = {t["name"].rsplit("-", 1)[1]: t for t in recorded.of("aws:ec2/launchTemplate:LaunchTemplate").values()}
    assert "single-numa-node" in parts(made["near"]["userData"])["application/node.eks.aws"]
    assert "userData" not in made["plain"]


def test_a_replica_there_has_whole_cpus_for_its_own():
    pool = pool_of(machine(Cloud.AWS, "p4d.24xlarge"))
    resources = chart_values(model(pool=replace(pool, numa=Numa.BEST_EFFORT), count=3))["resources"]
    assert resources["cpu"] == resources["cpuLimit"] == "25000m"
    resources = chart_values(model(pool=pool, count=3))["resources"]
    assert (resources["cpu"], resources["cpuLimit"]) == ("25200m", "")


def test_a_model_may_ask_for_less_than_its_share():
    pool = pool_of(machine(Cloud.AWS, "p4d.24xlarge"))
    resources = chart_values(model(pool=pool, count=2, cpus=3, memory_gib=10))["resources"]
    assert (resources["cpu"], resources["memory"]) == ("3000m", "10Gi")


@pytest.mark.parametrize("hardware", ON_OFFER, ids=lambda m: f"{m.cloud}-{m.name}")
def test_replicas_that_fill_a_nodes_accelerators_fit_its_cpu_and_memory(hardware):
    for numa in (None, *([Numa.BEST_EFFORT] if hardware.accelerators > 1 else [])):
        pool = pool_of(hardware, numa=numa)
        for count in pool.counts:
            share, fit = share_of_node(pool, count), pool.slots // count
            assert share.cpu_m * fit < hardware.vcpus * 1000
            assert share.memory_gib * fit < hardware.memory_gib
            assert share.disk_gib * fit < pool.disk_gib
