"""A capacity ladder: each rung a pool of its own in the cloud, bought as its words say, and tried in their order."""

from __future__ import annotations

import json

import pytest

from fleet.load import load_stack
from fleet.plan import pools, rung_names
from fleet.spec import ClusterSpec, PoolSpec
from infra.kubernetes.cluster_autoscaler import priorities
from infra.kubernetes.model_serving import chart_values
from infra.platform import deploy as deploy_platform
from infra.stack import Stack
from tests.infra.test_kubernetes import model
from tests.mocked_engine import set_accounts

CR = "cr-0123456789abcdef0"
GROUP = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/capacityReservationGroups/gpus"
FILE = """
owner: ml-platform
environment: dev
clusters:
  main:
    cloud: {cloud}
    region: {region}
    api: {{allowed_cidrs: [203.0.113.0/24]}}
    pools:
      train:
        accelerator: {accelerator}
        nodes: {{min: 0, max: 4}}
        capacity:
{rungs}
"""
STACKS = {
    "aws": (
        "us-east-1",
        "nvidia-a100-40gb",
        (
            f"{{purchase: reservation, reservation: {CR}, zone: us-east-1b, nodes: 2}}",
            f"{{purchase: capacity-block, reservation: {CR[:-1]}1, zone: us-east-1a, ends: 2099-01-31T12:30:00+01:00}}",
            "{purchase: spot}",
            "{purchase: on-demand}",
        ),
    ),
    "gcp": (
        "us-central1",
        "nvidia-l4",
        (
            "{purchase: reservation, reservation: inference, zone: us-central1-a, nodes: 1}",
            "{purchase: flex-start, hours: 24}",
            "{purchase: spot}",
            "{purchase: on-demand}",
        ),
    ),
    "azure": (
        "eastus",
        "nvidia-a100-80gb",
        (f"{{purchase: reservation, reservation: {GROUP}, nodes: 3}}", "{purchase: spot}", "{purchase: on-demand}"),
    ),
}


@pytest.fixture
def spec(tmp_path):
    def read(cloud):
        region, accelerator, rungs = STACKS[cloud]
        lines = "\n".join(f"          - {rung}" for rung in rungs)
        file = tmp_path / f"{cloud}-prod.yaml"
        file.write_text(FILE.format(cloud=cloud, region=region, accelerator=accelerator, rungs=lines))
        return load_stack(file)

    return read


def made(deploy, spec, cloud):
    """What the platform makes of the stack, by type; its cloud's pools by their names in the cloud."""
    stack = Stack(f"{cloud}-prod", spec(cloud))
    set_accounts()
    return deploy(lambda: deploy_platform(stack))


def by_name(recorded, type_, key):
    return {inputs[key]: inputs for inputs in recorded.of(type_).values() if inputs[key].startswith("train")}


def test_pain_13_eks_buys_each_rung_as_it_says(deploy, spec):
    recorded = made(deploy, spec, "aws")
    groups = by_name(recorded, "aws:eks/nodeGroup:NodeGroup", "nodeGroupName")
    assert {name: g["capacityType"] for name, g in groups.items()} == {
        "train-rs": "ON_DEMAND",
        "train-cb": "CAPACITY_BLOCK",
        "train-sp": "SPOT",
        "train-od": "ON_DEMAND",
    }
    templates = {t["name"].partition("-train-")[2]: t for t in recorded.of("aws:ec2/launchTemplate:LaunchTemplate").values()}
    targets = {
        rung: (t.get("capacityReservationSpecification") or {})
        .get("capacityReservationTarget", {})
        .get("capacityReservationId")
        for rung, t in templates.items()
        if rung
    }
    assert targets == {"rs": CR, "cb": f"{CR[:-1]}1", "sp": None, "od": None}
    assert templates["cb"]["instanceMarketOptions"] == {"marketType": "capacity-block"}
    # EKS refuses a machine that is named in both.
    assert (templates["cb"]["instanceType"], groups["train-cb"].get("instanceTypes")) == ("p4d.24xlarge", None)
    assert (templates["rs"].get("instanceType"), groups["train-rs"]["instanceTypes"]) == (None, ["p4d.24xlarge"])
    assert [len(groups[f"train-{rung}"]["subnetIds"]) for rung in ("rs", "cb", "sp")] == [1, 1, 2]
    (end,) = recorded.of("aws:autoscaling/schedule:Schedule").values()
    # EC2 begins to take the machines back at 11:00.
    assert (end["startTime"], end["maxSize"], end["desiredCapacity"]) == ("2099-01-31T10:45:00Z", 0, 0)


def test_pain_13_gke_buys_each_rung_as_it_says_and_is_told_their_order(deploy, spec):
    recorded = made(deploy, spec, "gcp")
    found = by_name(recorded, "gcp:container/nodePool:NodePool", "name")
    config = {name: pool["nodeConfig"] for name, pool in found.items()}
    assert config["train-rs"]["reservationAffinity"] == {
        "consumeReservationType": "SPECIFIC_RESERVATION",
        "key": "compute.googleapis.com/reservation-name",
        "values": ["inference"],
    }
    flex = config["train-fs"]
    assert (flex["flexStart"], flex["maxRunDuration"]) == (True, "86400s")
    assert flex["reservationAffinity"] == {"consumeReservationType": "NO_RESERVATION"}
    assert found["train-fs"]["management"]["autoRepair"] is False
    assert all(pool["management"]["autoRepair"] for name, pool in found.items() if name != "train-fs")
    assert config["train-sp"]["spot"]
    assert not config["train-od"].get("spot")
    assert found["train-rs"]["nodeLocations"] == ["us-central1-a"]
    (order,) = recorded.of("kubernetes:cloud.google.com/v1:ComputeClass").values()
    assert order["metadata"]["name"] == "train"
    assert [rule["nodepools"] for rule in order["spec"]["priorities"]] == [
        ["train-rs"],
        ["train-fs"],
        ["train-sp"],
        ["train-od"],
    ]
    for pool in config.values():
        assert pool["labels"]["cloud.google.com/compute-class"] == "train"
        taint = {"key": "cloud.google.com/compute-class", "value": "train", "effect": "NO_SCHEDULE"}
        assert taint in pool["taints"]


def test_pain_13_aks_buys_each_rung_as_it_says(deploy, spec):
    recorded = made(deploy, spec, "azure")
    found = by_name(recorded, "azure-native:containerservice:AgentPool", "agentPoolName")
    assert {name: p["scaleSetPriority"] for name, p in found.items()} == {
        "trainrs": "Regular",
        "trainsp": "Spot",
        "trainod": "Regular",
    }
    assert {name: p.get("capacityReservationGroupID") for name, p in found.items()} == {
        "trainrs": GROUP,
        "trainsp": None,
        "trainod": None,
    }
    assert {name: p["maxCount"] for name, p in found.items()} == {"trainrs": 3, "trainsp": 4, "trainod": 4}


@pytest.mark.parametrize("cloud", STACKS)
def test_pods_go_up_the_ladder_and_tolerate_all_of_it(spec, cloud):
    stack = spec(cloud)
    pool = pools("s", "main", stack.clusters["main"])["train"]
    wanted = chart_values(model(pool=pool))["preferNodes"]
    purchases = [rung.purchase for rung in pool.rungs]
    assert wanted == [{"accelfleet.io/purchase": how} for how in purchases[:-1]]
    placement = pool.placement(1)
    tolerated = {(t["key"], t["value"]) for t in placement.tolerations}
    for rung in pool.rungs:
        assert placement.node_selector.items() <= (rung.node_labels | rung.cloud_labels).items()
        assert {(t.key, t.value) for t in rung.all_taints} <= tolerated
    table = json.loads(priorities([pool]) or "{}")
    ranks = [rank for rank, groups in sorted(table.items(), key=lambda row: -int(row[0])) if groups != [".*"]]
    assert len(ranks) == (0 if cloud == "gcp" else len(pool.rungs))


def test_flex_start_stands_at_nothing_until_pods_ask():
    pool = {"accelerator": "nvidia-l4", "nodes": {"max": 3, "start": 2}}
    for purchase, start in (("flex-start", 0), ("spot", 2)):
        ladder = {**pool, "capacity": [{"purchase": purchase}, {"purchase": "on-demand"}]}
        cluster = ClusterSpec.model_validate({"cloud": "gcp", "region": "us-central1", "pools": {"p": ladder}})
        assert [rung.start_nodes for rung in pools("s", "main", cluster)["p"].rungs] == [start, 0]


def test_a_rung_put_in_renames_no_other():
    rungs = [{"purchase": "spot"}, {"purchase": "on-demand"}]
    before = rung_names("l4", PoolSpec.model_validate({"accelerator": "nvidia-l4", "capacity": rungs}))
    more = [{"purchase": "reservation", "reservation": r} for r in ("a", "b")]
    after = rung_names("l4", PoolSpec.model_validate({"accelerator": "nvidia-l4", "capacity": [*more, *rungs]}))
    assert before == ["l4-sp", "l4-od"]
    assert after == ["l4-rs", "l4-rs2", *before]
