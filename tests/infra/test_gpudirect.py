"""GPUDirect on GKE: further networks, their objects, NCCL's plugin, and all NICs for a pod that fills its node (pain 12)."""

from __future__ import annotations

import json
from ipaddress import IPv4Network

import pytest

from fleet.catalog.clouds import Cloud
from fleet.catalog.fabric import GKE_NETWORK_RESOURCES, GPUDIRECT_RANGE, node_fabric
from fleet.catalog.machines import machine
from fleet.load import load_stack
from infra.kubernetes.model_serving import chart_values
from infra.platform import deploy as deploy_platform
from infra.stack import Stack
from tests.accelerator_pools import pool_of
from tests.infra.test_kubernetes import model
from tests.mocked_engine import set_accounts

FILE = """
owner: ml-platform
environment: dev
clusters:
  main:
    cloud: gcp
    region: us-central1
    api: {allowed_cidrs: [203.0.113.0/24]}
    pools:
      train:
        accelerator: ACCELERATOR
        machine: MACHINE
        fabric: gpudirect
        nodes: {min: 0, max: 4}
        capacity:
          - {purchase: reservation, reservation: training, zone: us-central1-ZONE}
          - {purchase: spot}
      plain:
        accelerator: nvidia-l4
"""
MACHINES = {
    "a3-highgpu-8g": ("nvidia-h100-80gb", "a", "tcpx", 4),
    "a3-megagpu-8g": ("nvidia-h100-80gb", "a", "tcpxo", 8),
    "a3-ultragpu-8g": ("nvidia-h200-141gb", "b", "rdma", 9),
    "a4-highgpu-8g": ("nvidia-b200", "b", "rdma", 9),
}


@pytest.fixture
def deployed(deploy, tmp_path):
    def run(name, text=FILE):
        accelerator, zone, _, _ = MACHINES[name]
        file = tmp_path / "gcp-gpus.yaml"
        file.write_text(text.replace("ACCELERATOR", accelerator).replace("MACHINE", name).replace("ZONE", zone))
        stack = Stack("gcp-gpus", load_stack(file))
        set_accounts()
        return deploy(lambda: deploy_platform(stack))

    return run


def of_kind(recorded, kind):
    objects = recorded.of(f"kubernetes:networking.gke.io/v1:{kind}").values()
    return {made["metadata"]["name"]: made["spec"] for made in objects}


def named(recorded, kind):
    return {made["name"]: made for made in recorded.of(kind).values()}


@pytest.mark.parametrize("name", MACHINES)
def test_pain_12_every_nic_has_a_subnet_and_every_rung_is_in_it(deployed, name):
    recorded = deployed(name)
    pools = named(recorded, "gcp:container/nodePool:NodePool")
    networks, subnets = named(recorded, "gcp:compute/network:Network"), named(recorded, "gcp:compute/subnetwork:Subnetwork")
    rungs = [pools[rung] for rung in ("train-rs", "train-sp")]
    attached = [rung["networkConfig"]["additionalNodeNetworkConfigs"] for rung in rungs]
    assert attached[0] == attached[1]
    assert len(attached[0]) == MACHINES[name][3]
    ranges = [IPv4Network(subnets[a["subnetwork"]]["ipCidrRange"]) for a in attached[0]]
    assert len(set(ranges)) == len(ranges)
    assert all(each.subnet_of(GPUDIRECT_RANGE) for each in ranges)
    assert {each["network"] for each in attached[0]} < set(networks)
    assert all(rung["nodeConfig"]["gvnic"] == {"enabled": True} for rung in rungs)
    assert all(rung["networkConfig"]["enablePrivateNodes"] for rung in rungs)
    assert "networkConfig" not in pools["plain"]
    assert "gvnic" not in pools["plain"]["nodeConfig"]
    (cluster,) = recorded.of("gcp:container/cluster:Cluster").values()
    assert cluster["enableMultiNetworking"] is True
    assert cluster["datapathProvider"] == "ADVANCED_DATAPATH"


@pytest.mark.parametrize("name", MACHINES)
def test_vpcs_are_of_their_protocols_size_and_profile(deployed, name):
    recorded = deployed(name)
    rdma = MACHINES[name][2] == "rdma"
    extra = {n: v for n, v in named(recorded, "gcp:compute/network:Network").items() if "-train-" in n}
    assert {v["mtu"] for v in extra.values()} == {8896 if rdma else 8244}
    profiles = {n: v["networkProfile"] for n, v in extra.items() if "networkProfile" in v}
    if rdma:
        ((where, profile),) = profiles.items()
        assert profile.endswith("/global/networkProfiles/us-central1-b-vpc-roce")
        assert len(extra) == 2
    else:
        assert not profiles
        where = None
        assert len(extra) == MACHINES[name][3]
    # A VPC of the profile takes no firewall rule; any other is shut without one.
    inside = {f["name"] for f in recorded.of("gcp:compute/firewall:Firewall").values()}
    assert inside == set(extra) - {where}


def test_pain_12_no_placement_policy_beside_a_reservation(deployed):
    pools = named(deployed("a4-highgpu-8g"), "gcp:container/nodePool:NodePool")
    assert "placementPolicy" not in pools["train-rs"]
    assert pools["train-sp"]["placementPolicy"] == {"type": "COMPACT"}
    assert "placementPolicy" not in pools["plain"]


@pytest.mark.parametrize("name", MACHINES)
def test_the_objects_name_what_is_there(deployed, name):
    recorded = deployed(name)
    params, objects = of_kind(recorded, "GKENetworkParamSet"), of_kind(recorded, "Network")
    attached = named(recorded, "gcp:container/nodePool:NodePool")["train-rs"]["networkConfig"]["additionalNodeNetworkConfigs"]
    vpcs, subnets = named(recorded, "gcp:compute/network:Network"), named(recorded, "gcp:compute/subnetwork:Subnetwork")
    assert set(params) == set(objects)
    assert sorted(p["vpcSubnet"] for p in params.values()) == sorted(a["subnetwork"] for a in attached)
    assert {p["vpc"] for p in params.values()} <= set(vpcs)
    assert {p["vpcSubnet"] for p in params.values()} <= set(subnets)
    for called, made in objects.items():
        assert made == {
            "type": "Device",
            "parametersRef": {"group": "networking.gke.io", "kind": "GKENetworkParamSet", "name": called},
        }
    modes = {called: p["deviceMode"] for called, p in params.items()}
    assert {called for called, mode in modes.items() if mode == "RDMA"} == {c for c in modes if "rdma" in c}


@pytest.mark.parametrize("name", MACHINES)
def test_the_plugins_installer_is_its_protocols_and_on_no_other_node(deployed, name):
    recorded = deployed(name)
    protocol = MACHINES[name][2]
    daemons = {
        d["metadata"]["name"]: d["spec"]["template"]["spec"] for d in recorded.of("kubernetes:apps/v1:DaemonSet").values()
    }
    installers = {key: pod for key, pod in daemons.items() if key.startswith("nccl-")}
    assert set(installers) == {f"nccl-{protocol}-installer"}
    assert (f"device-injector-{protocol}" in daemons) == (protocol != "rdma")
    pools = named(recorded, "gcp:container/nodePool:NodePool")
    for pod in installers.values():
        on = {n for n, p in pools.items() if pod["nodeSelector"].items() <= (p["nodeConfig"].get("labels") or {}).items()}
        assert on == {"train-rs", "train-sp"}
        mounted = {m["name"] for c in pod["initContainers"] for m in c.get("volumeMounts") or []}
        assert mounted == {v["name"] for v in pod["volumes"]}
        assert all("privileged" not in c["securityContext"] for c in pod["containers"])
    (namespace,) = [n for n in recorded.of("kubernetes:core/v1:Namespace").values() if n["metadata"]["name"] == "accelerators"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "privileged"


@pytest.mark.parametrize(("name", "gpus"), [("a3-highgpu-8g", 4), ("a3-megagpu-8g", 8), ("a4-highgpu-8g", 8)])
def test_a_pod_that_fills_its_node_has_every_gpus_nic_and_any_other_none(name, gpus):
    row = machine(Cloud.GCP, name)
    pool = pool_of(row, name="train", fabric=node_fabric(row))
    part, whole = pool.placement(4), pool.placement(8)
    assert (part.extra, part.annotations) == ({}, {})
    values = chart_values(model(pool=pool, count=8))
    assert values["extraResources"] == whole.extra
    interfaces = json.loads(values["podAnnotations"]["networking.gke.io/interfaces"])
    assert [i["interfaceName"] for i in interfaces] == [f"eth{i}" for i in range(gpus + 1)]
    assert interfaces[0]["network"] == "default"
    assert {GKE_NETWORK_RESOURCES + i["network"]: 1 for i in interfaces[1:]} == whole.extra


def test_without_the_fabric_nothing_of_it_is_made(deployed):
    recorded = deployed("a4-highgpu-8g", FILE.replace("        fabric: gpudirect\n", ""))
    assert not of_kind(recorded, "Network")
    assert len(recorded.of("gcp:compute/network:Network")) == 1
    (cluster,) = recorded.of("gcp:container/cluster:Cluster").values()
    assert "enableMultiNetworking" not in cluster
