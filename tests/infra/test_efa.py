"""Elastic Fabric Adapters: all of a machine's, side by side, let through, and asked for by pods that fill a node (pain 12)."""

from __future__ import annotations

import pytest

from fleet.catalog.clouds import Cloud
from fleet.catalog.fabric import EFA_RESOURCE, node_fabric
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
    cloud: aws
    region: us-east-1
    api: {allowed_cidrs: [203.0.113.0/24]}
    pools:
      train:
        accelerator: nvidia-a100-40gb
        fabric: efa
        nodes: {min: 0, max: 4}
        capacity:
          - {purchase: reservation, reservation: cr-0123456789abcdef0, zone: us-east-1b}
          - {purchase: on-demand}
      plain:
        accelerator: nvidia-a100-40gb
"""


@pytest.fixture
def recorded(deploy, tmp_path):
    file = tmp_path / "aws-prod.yaml"
    file.write_text(FILE)
    stack = Stack("aws-prod", load_stack(file))
    set_accounts()
    return deploy(lambda: deploy_platform(stack))


def templates(recorded):
    made = recorded.of("aws:ec2/launchTemplate:LaunchTemplate").values()
    return {key: t for t in made for key in ("train-rs", "train-od", "plain") if t["name"].endswith(key)}


def test_pain_12_every_card_has_its_adapter_and_the_clusters_group(recorded):
    found = templates(recorded)
    for rung in ("train-rs", "train-od"):
        interfaces = found[rung]["networkInterfaces"]
        assert [int(i["networkCardIndex"]) for i in interfaces] == [0, 1, 2, 3]
        assert [int(i["deviceIndex"]) for i in interfaces] == [0, 1, 1, 1]
        assert [i["interfaceType"] for i in interfaces] == ["efa", "efa-only", "efa-only", "efa-only"]
        assert all(len(i["securityGroups"]) == 1 for i in interfaces)
    assert "networkInterfaces" not in found["plain"]


def test_pain_12_no_placement_group_beside_a_reservation(recorded):
    (group,) = recorded.of("aws:ec2/placementGroup:PlacementGroup").values()
    assert group["strategy"] == "cluster"
    found = templates(recorded)
    assert found["train-od"]["placement"] == {"groupName": group["name"]}
    assert "placement" not in found["train-rs"]
    assert "placement" not in found["plain"]


def test_pain_12_the_group_lets_its_own_out(recorded):
    rules = [
        r for r in recorded.of("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule").values() if r["ipProtocol"] == "-1"
    ]
    (rule,) = [r for r in rules if r.get("referencedSecurityGroupId")]
    assert rule["referencedSecurityGroupId"] == rule["securityGroupId"]


def test_its_nodes_are_in_one_zone_and_tell_the_autoscaler(recorded):
    groups = {g["nodeGroupName"]: g for g in recorded.of("aws:eks/nodeGroup:NodeGroup").values()}
    assert [len(groups[name]["subnetIds"]) for name in ("train-rs", "train-od", "plain")] == [1, 1, 2]
    tags = [t["tag"] for t in recorded.of("aws:autoscaling/tag:Tag").values()]
    (adapters,) = {t["value"] for t in tags if t["key"].endswith(f"node-template/resources/{EFA_RESOURCE}")}
    assert adapters == "4"


def test_its_plugin_runs_where_the_adapters_are(recorded):
    (daemon,) = [
        d for d in recorded.of("kubernetes:apps/v1:DaemonSet").values() if d["metadata"]["name"] == "efa-device-plugin"
    ]
    pod = daemon["spec"]["template"]["spec"]
    groups = {g["nodeGroupName"]: g["labels"] for g in recorded.of("aws:eks/nodeGroup:NodeGroup").values()}
    on = {name for name, labels in groups.items() if pod["nodeSelector"].items() <= (labels or {}).items()}
    assert on == {"train-rs", "train-od"}
    assert pod["containers"][0]["securityContext"]["allowPrivilegeEscalation"] is False


@pytest.mark.parametrize(("count", "adapters"), [(8, 4), (4, 2), (2, 1), (1, None)])
def test_a_pod_asks_for_its_share_of_adapters(count, adapters):
    row = machine(Cloud.AWS, "p4d.24xlarge")
    pool = pool_of(row, fabric=node_fabric(row))
    assert pool.placement(count).extra == ({EFA_RESOURCE: adapters} if adapters else {})
    assert chart_values(model(pool=pool, count=count))["extraResources"] == pool.placement(count).extra


def test_without_the_fabric_nothing_of_it_is_made(deploy, tmp_path):
    file = tmp_path / "aws-prod.yaml"
    file.write_text(FILE.replace("        fabric: efa\n", ""))
    stack = Stack("aws-prod", load_stack(file))
    set_accounts()
    recorded = deploy(lambda: deploy_platform(stack))
    assert not recorded.of("aws:ec2/placementGroup:PlacementGroup")
    assert all("networkInterfaces" not in t for t in templates(recorded).values())
