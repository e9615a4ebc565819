"""InfiniBand on AKS: the operator and its policy, nodes side by side, and a NIC for each GPU that a pod takes (pain 12)."""

from __future__ import annotations

import json

import pytest

from fleet.catalog.clouds import Cloud
from fleet.catalog.fabric import INFINIBAND_RESOURCE, node_fabric
from fleet.catalog.machines import machine
from fleet.load import load_stack
from infra.platform import deploy as deploy_platform
from infra.stack import Stack
from tests.accelerator_pools import pool_of
from tests.mocked_engine import set_accounts

GROUP = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/capacityReservationGroups/c"
FILE = """
owner: ml-platform
environment: dev
clusters:
  main:
    cloud: azure
    region: westeurope
    api: {allowed_cidrs: [203.0.113.0/24]}
    pools:
      train:
        accelerator: nvidia-h100-80gb
        fabric: infiniband
        nodes: {min: 0, max: 4}
      held:
        accelerator: nvidia-a100-80gb
        machine: Standard_ND96amsr_A100_v4
        fabric: infiniband
        capacity:
          - {purchase: reservation, reservation: GROUP}
      plain:
        accelerator: nvidia-h100-80gb
""".replace("GROUP", GROUP)


@pytest.fixture
def recorded(deploy, tmp_path):
    file = tmp_path / "azure-gpus.yaml"
    file.write_text(FILE)
    stack = Stack("azure-gpus", load_stack(file))
    set_accounts()
    return deploy(lambda: deploy_platform(stack))


def agent_pools(recorded):
    return {made["agentPoolName"]: made for made in recorded.of("azure-native:containerservice:AgentPool").values()}


def test_pain_12_nodes_are_side_by_side_and_no_placement_group_beside_a_reservation(recorded):
    made = agent_pools(recorded)
    (group,) = recorded.of("azure-native:compute:ProximityPlacementGroup").values()
    assert group["proximityPlacementGroupName"].endswith("-train")
    placed = {name for name, pool in made.items() if "proximityPlacementGroupID" in pool}
    assert placed == {"train"}
    assert [len(made[name]["availabilityZones"]) for name in ("train", "heldrs", "plain")] == [1, 1, 2]


def test_the_policy_is_for_the_fabrics_nodes_and_offers_what_pods_ask_for(recorded):
    (policy,) = recorded.of("kubernetes:mellanox.com/v1alpha1:NicClusterPolicy").values()
    (term,) = policy["spec"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    (need,) = term["matchExpressions"]
    labels = {name: pool["nodeLabels"] for name, pool in agent_pools(recorded).items()}
    assert {name for name, of in labels.items() if of.get(need["key"]) in need["values"]} == {"train", "heldrs"}
    (offered,) = json.loads(policy["spec"]["sriovDevicePlugin"]["config"])["resourceList"]
    assert f"{offered['resourcePrefix']}/{offered['resourceName']}" == INFINIBAND_RESOURCE
    taints = {t for pool in agent_pools(recorded).values() for t in pool["nodeTaints"]}
    tolerated = {f"{t['key']}={t['value']}:{t['effect']}" for t in policy["spec"]["tolerations"]}
    assert taints <= tolerated


def test_the_operator_comes_first_and_looks_for_nics_on_those_nodes_alone(recorded):
    (release,) = [r for r in recorded.of("kubernetes:helm.sh/v3:Release").values() if r["name"] == "network-operator"]
    worker = release["values"]["node-feature-discovery"]["worker"]
    assert worker["nodeSelector"] == {"accelfleet.io/fabric": "infiniband"}
    assert worker["tolerations"]
    (daemon,) = [d for d in recorded.of("kubernetes:apps/v1:DaemonSet").values() if d["metadata"]["name"] == "nvidia-peermem"]
    assert daemon["spec"]["template"]["spec"]["nodeSelector"] == worker["nodeSelector"]


@pytest.mark.parametrize(("count", "nics"), [(8, 8), (4, 4), (1, 1)])
def test_a_pod_asks_for_a_nic_for_each_gpu(count, nics):
    row = machine(Cloud.AZURE, "Standard_ND96isr_H100_v5")
    pool = pool_of(row, fabric=node_fabric(row))
    assert pool.placement(count).extra == {INFINIBAND_RESOURCE: nics}
    assert pool.placement(count).annotations == {}


def test_without_the_fabric_nothing_of_it_is_made(deploy, tmp_path):
    file = tmp_path / "azure-gpus.yaml"
    file.write_text(FILE.replace("        fabric: infiniband\n", ""))
    stack = Stack("azure-gpus", load_stack(file))
    set_accounts()
    recorded = deploy(lambda: deploy_platform(stack))
    assert not recorded.of("azure-native:compute:ProximityPlacementGroup")
    assert not recorded.of("kubernetes:mellanox.com/v1alpha1:NicClusterPolicy")
    assert all("proximityPlacementGroupID" not in pool for pool in agent_pools(recorded).values())
