"""A pool that falls back from spot to on-demand: two pools in the cloud, one for its pods (pain 6)."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import machine
from fleet.load import load_stack
from fleet.plan import pools
from fleet.workspace import STACKS
from infra.kubernetes.cluster_autoscaler import priorities
from infra.kubernetes.model_serving import chart_values
from infra.platform import deploy as deploy_platform
from infra.stack import Stack
from tests.accelerator_pools import pool_of, tolerates
from tests.infra.test_kubernetes import model
from tests.mocked_engine import set_accounts

MACHINES = {Cloud.AWS: "g6.xlarge", Cloud.GCP: "g2-standard-4", Cloud.AZURE: "Standard_NC4as_T4_v3"}
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
POOLS = {
    "aws-dev": ("aws:eks/nodeGroup:NodeGroup", "nodeGroupName", {"l4-spot": "SPOT", "l4-spot-od": "ON_DEMAND"}, "capacityType"),
    "azure-dev": (
        "azure-native:containerservice:AgentPool",
        "agentPoolName",
        {"a100spot": "Spot", "a100spotod": "Regular"},
        "scaleSetPriority",
    ),
}


def laddered(cloud):
    first = pool_of(machine(cloud, MACHINES[cloud]), name="gpu", physical_name="gpu", spot=True)
    return replace(first, fallback=replace(first, physical_name="gpu-od", spot=False, min_nodes=0, start_nodes=0))


def platform(name):
    stack = Stack(name, load_stack(STACKS / f"{name}.yaml"))
    set_accounts()
    return lambda: deploy_platform(stack)


@pytest.mark.parametrize("cloud", MACHINES)
def test_pain_06_a_pod_may_run_on_either_and_goes_to_spot_first(cloud):
    pool = laddered(cloud)
    placement = pool.placement(1)
    for rung in pool.rungs:
        labels = rung.node_labels | rung.cloud_labels
        assert placement.node_selector.items() <= labels.items()
        for taint in rung.all_taints:
            assert any(tolerates(t, taint) for t in placement.tolerations), f"{taint} keeps pods off {rung.physical_name}"
    preferred = [r.physical_name for r in pool.rungs if placement.prefer[0].items() <= r.node_labels.items()]
    assert preferred == ["gpu"]


def test_without_a_fallback_nothing_is_preferred_and_no_table_made():
    alone = replace(laddered(Cloud.AWS), fallback=None)
    assert alone.placement(1).prefer == ()
    assert priorities([alone]) == ""


@pytest.mark.parametrize(
    ("cloud", "groups"), [(Cloud.AWS, "eks-{}-0ec4f5a2-9b1c-77d0-1f2e-5a6b7c8d9e0f"), (Cloud.AZURE, "aks-{}-12345678-vmss")]
)
def test_the_first_rung_has_the_higher_priority_and_every_other_group_one(cloud, groups):
    table = {int(k): v for k, v in json.loads(priorities([laddered(cloud)])).items()}

    def priority(name):
        return max(p for p, patterns in table.items() if any(re.match(x, groups.format(name)) for x in patterns))

    assert priority("gpu") > priority("gpu-od") > priority("system") == 1


def test_gke_needs_no_table():
    assert priorities([laddered(Cloud.GCP)]) == ""


@pytest.mark.parametrize("stack", POOLS)
def test_a_stack_file_makes_both_pools_and_tells_the_autoscaler(deploy, stack):
    type_, key, wanted, purchase = POOLS[stack]
    recorded = deploy(platform(stack))
    made = {inputs[key]: inputs for inputs in recorded.of(type_).values()}
    assert {name: made[name][purchase] for name in wanted} == wanted
    (table,) = [c for c in recorded.of(CONFIG_MAP).values() if c["metadata"]["name"].endswith("priority-expander")]
    assert table["metadata"]["namespace"] == "kube-system"
    assert sorted(json.loads(table["data"]["priorities"])) == ["1", "10", "20"]
    if stack == "aws-dev":
        (autoscaler,) = [
            d for d in recorded.of("kubernetes:apps/v1:Deployment").values() if d["metadata"]["name"] == "cluster-autoscaler"
        ]
        assert "--expander=priority,least-waste" in autoscaler["spec"]["template"]["spec"]["containers"][0]["args"]
    else:
        (cluster,) = recorded.of("azure-native:containerservice:ManagedCluster").values()
        assert cluster["autoScalerProfile"] == {"expander": "priority"}


def test_the_second_pool_stands_at_zero_until_it_is_needed():
    cluster = load_stack(STACKS / "aws-dev.yaml").clusters["main"]
    pool = pools("aws-dev", "main", cluster)["l4-spot"]
    first, second = pool.rungs
    assert (first.spot, second.spot) == (True, False)
    assert (second.min_nodes, second.start_nodes, second.max_nodes) == (0, 0, first.max_nodes)
    assert (first.machine, first.sharing, first.disk_gib) == (second.machine, second.sharing, second.disk_gib)


@pytest.mark.parametrize(("cloud", "seconds"), [(Cloud.AWS, 115), (Cloud.GCP, 15), (Cloud.AZURE, 25)])
def test_a_pod_on_spot_ends_within_its_clouds_notice(cloud, seconds):
    pool = laddered(cloud)
    assert chart_values(model(pool=pool))["terminationGracePeriodSeconds"] == seconds
    assert chart_values(model(pool=pool.fallback))["terminationGracePeriodSeconds"] == 120
