"""`provisioning: auto` on GKE: what the program asks of GKE and of the cluster, so that it makes a pool's nodes by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleet.contract import COMPUTE_CLASS
from fleet.load import load_stack
from fleet.plan import pools
from infra.clouds.gcp.provisioning import limits
from infra.kubernetes.compute_class import order
from infra.platform import deploy as deploy_platform
from infra.stack import Stack
from tests.accelerator_pools import tolerates
from tests.mocked_engine import set_accounts

CLASS = "kubernetes:cloud.google.com/v1:ComputeClass"
FILE = """
owner: ml-platform
environment: dev
clusters:
  main:
    cloud: gcp
    region: us-central1
    api: {allowed_cidrs: [203.0.113.0/24]}
    provisioning: auto
    system_pool: {machine: e2-standard-4, nodes: {min: 1, max: 3}}
    pools:
      l4:
        accelerator: nvidia-l4
        machine: g2-standard-8
        nodes: {max: 4}
        labels: {example.com/tier: web}
        capacity:
          - {purchase: reservation, reservation: RESERVED, zone: us-central1-a}
          - {purchase: flex-start, hours: 24, wait_minutes: 30}
          - {purchase: spot}
          - {purchase: on-demand}
      cheap: {accelerator: nvidia-l4, machine: g2-standard-8, purchase: spot, nodes: {max: 2}}
      tpu: {accelerator: tpu-v5e, topology: 2x4, nodes: {max: 1}}
    models:
      chat: {pool: l4}
"""


@pytest.fixture
def spec(tmp_path):
    def read(reservation="inference"):
        (tmp_path / "trial.yaml").write_text(FILE.replace("RESERVED", reservation))
        return load_stack(tmp_path / "trial.yaml")

    return read


@pytest.fixture
def made(deploy, spec):
    stack = Stack("trial", spec())
    set_accounts()
    return deploy(lambda: deploy_platform(stack))


@pytest.fixture
def planned(spec):
    return pools("trial", "main", spec().clusters["main"])


def test_gke_is_given_no_pool_but_the_system_pool(made):
    (pool,) = made.of("gcp:container/nodePool:NodePool").values()
    assert pool["name"] == "cluster-system"


def test_every_pool_is_a_class_even_of_one_rung(made):
    found = {i["metadata"]["name"]: i["spec"] for i in made.of(CLASS).values()}
    assert set(found) == {"l4", "cheap", "tpu"}
    for spec in found.values():
        assert spec["nodePoolAutoCreation"] == {"enabled": True}
        assert spec["whenUnsatisfiable"] == "DoNotScaleUp"
        # Not the project's default account, which may do much.
        assert spec["nodePoolConfig"]["serviceAccount"].startswith("trial-main")


def test_pain_13_the_ladder_is_the_order_of_rules_that_buy_as_it_says(planned):
    reserved, flex, spot, on_demand = order(planned["l4"])["priorities"]
    gpu = {"type": "nvidia-l4", "count": 1, "driverVersion": "default"}
    for rule in (reserved, flex, spot, on_demand):
        assert (rule["machineType"], rule["gpu"]) == ("g2-standard-8", gpu)
    zones = ["us-central1-a"]
    # A reservation has its zones itself, and GKE refuses a rule with both.
    assert reserved["reservations"] == {"affinity": "Specific", "specific": [{"name": "inference", "zones": zones}]}
    assert "location" not in reserved and "spot" not in reserved
    assert (flex["flexStart"], flex["maxRunDurationSeconds"]) == ({"enabled": True}, 86400)
    # Half an hour in the queue, then the next rule has its turn.
    assert flex["capacityCheckWaitTimeSeconds"] == 1800
    assert [rule for rule in (reserved, flex, spot, on_demand) if "capacityCheckWaitTimeSeconds" in rule] == [flex]
    assert (spot["spot"], on_demand["spot"]) == (True, False)
    assert spot["location"]["zones"] == list(planned["l4"].rungs[2].zones)


def test_gke_moves_running_pods_only_where_the_stack_file_says_so(planned):
    assert "activeMigration" not in order(planned["l4"])
    assert order(replace(planned["l4"], climb=True))["activeMigration"] == {"optimizeRulePriority": True}


def test_another_projects_reservation_is_named_with_its_project(spec):
    shared = pools("trial", "main", spec("projects/hq/reservations/inference").clusters["main"])
    (named,) = order(shared["l4"])["priorities"][0]["reservations"]["specific"]
    assert (named["name"], named["project"]) == ("inference", "hq")


def test_a_tpu_pool_is_its_slice(planned):
    (rule,) = order(planned["tpu"])["priorities"]
    assert rule["tpu"] == {"type": "tpu-v5-lite-podslice", "count": 8, "topology": "2x4"}
    assert "gpu" not in rule


def test_a_rules_labels_and_gkes_own_are_those_that_pods_select(planned):
    for pool in planned.values():
        placement = pool.placement(pool.per_node)
        for rung, rule in zip(pool.rungs, order(pool)["priorities"], strict=True):
            # The class's own label is GKE's to put on.
            labels = rule["nodeLabels"] | rung.cloud_labels | {COMPUTE_CLASS: pool.compute_class}
            assert COMPUTE_CLASS not in rule["nodeLabels"]
            assert placement.node_selector.items() <= labels.items()
            assert "cloud.google.com/gke-nodepool" not in labels, "its name is GKE's to choose"
            assert not any(key.startswith("karpenter.sh/") for key in labels)
            assert all(any(tolerates(t, taint) for t in placement.tolerations) for taint in rung.all_taints)
        assert placement.node_selector[COMPUTE_CLASS] == pool.name
    assert order(planned["l4"])["priorities"][0]["nodeLabels"]["example.com/tier"] == "web"


def test_what_gke_may_make_is_bounded_by_all_pools_at_their_largest(made, planned):
    # Four nodes of l4 on whatever rungs, two of cheap, one slice, three of the system pool.
    expected = {
        "cpu": 3 * 4 + 6 * 8 + planned["tpu"].machine.vcpus,
        "memory": 3 * 16 + 6 * 32 + planned["tpu"].machine.memory_gib,
        "nvidia-l4": 6,
        "tpu-v5-lite-podslice": 8,
    }
    assert limits(list(planned.values()), "e2-standard-4", 3) == expected
    (cluster,) = made.of("gcp:container/cluster:Cluster").values()
    found = cluster["clusterAutoscaling"]
    assert found["enabled"] is True
    assert {limit["resourceType"]: limit["maximum"] for limit in found["resourceLimits"]} == expected
    assert found["autoProvisioningDefaults"]["serviceAccount"].startswith("trial-main")
    assert found["autoProvisioningDefaults"]["shieldedInstanceConfig"]["enableSecureBoot"] is True
    # Accelerators are scarce: one node goes before its successor comes.
    upgrades = found["autoProvisioningDefaults"]["upgradeSettings"]
    assert (upgrades["maxSurge"], upgrades["maxUnavailable"]) == (0, 1)


def test_models_wait_for_their_pools_class(made):
    (chat,) = [r for r in made.resources if r.type == "accelfleet:kubernetes:ModelServing"]
    (made_class,) = [r for r in made.resources if r.type == CLASS and r.inputs["metadata"]["name"] == "l4"]
    assert made_class.urn in chat.dependencies
