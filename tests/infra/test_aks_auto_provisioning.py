"""`provisioning: auto` on AKS: what the program asks of Azure and of the cluster, whose Karpenter Azure runs."""

from __future__ import annotations

import pytest

from fleet.catalog import aks_auto
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import machines
from fleet.load import StackErrors, load_stack
from fleet.plan import pools
from fleet.spec import ClusterSpec
from infra.kubernetes.node_pool import AKS, node_pool
from infra.platform import deploy as deploy_platform
from infra.stack import Stack

CLUSTER = "azure-native:containerservice:ManagedCluster"
NODE_CLASS = "kubernetes:karpenter.azure.com/v1beta1:AKSNodeClass"
NODE_POOL = "kubernetes:karpenter.sh/v1:NodePool"
FILE = """
owner: ml-platform
environment: dev
clusters:
  main:
    cloud: azure
    region: eastus
    network: {zones: 2, nat: per-zone}
    api: {allowed_cidrs: [203.0.113.0/24]}
    provisioning: PROVISIONING
    system_pool: {nodes: {min: SYSTEM, max: 3}}
    pools:
      t4: {accelerator: nvidia-t4, purchase: spot, fallback: on-demand, nodes: {max: 4}, labels: {example.com/tier: web}}
      a100: {accelerator: nvidia-a100-80gb, per_node: 2, zones: ['2'], nodes: {max: 3}, numa: best-effort}
    models:
      chat: {pool: t4}
"""


@pytest.fixture
def spec(tmp_path):
    def read(provisioning="auto", system=1):
        (tmp_path / "trial.yaml").write_text(FILE.replace("PROVISIONING", provisioning).replace("SYSTEM", str(system)))
        return load_stack(tmp_path / "trial.yaml")

    return read


@pytest.fixture
def made(deploy, spec):
    def run(**changes):
        stack = Stack("trial", spec(**changes))
        return deploy(lambda: deploy_platform(stack))

    return run


def objects(recorded, type_):
    return {inputs["metadata"]["name"]: inputs["spec"] for inputs in recorded.of(type_).values()}


def rungs(spec):
    return [rung for pool in pools("trial", "main", spec.clusters["main"]).values() for rung in pool.rungs]


def requirements(spec):
    return {r["key"]: r["values"] for r in spec["template"]["spec"]["requirements"]}


def test_azure_provisions_nodes_and_neither_autoscaler_nor_pools_of_its_own_stand_beside_it(made):
    recorded = made()
    (cluster,) = recorded.of(CLUSTER).values()
    assert cluster["nodeProvisioningProfile"] == {"mode": "Auto", "defaultNodePools": "None"}
    (system,) = cluster["agentPoolProfiles"]
    assert (system["enableAutoScaling"], system["count"]) == (False, 1)
    assert not {"minCount", "maxCount"} & system.keys()
    assert "autoScalerProfile" not in cluster
    assert recorded.of("azure-native:containerservice:AgentPool") == {}
    assert cluster["networkProfile"]["networkPluginMode"] == "overlay"
    (log,) = recorded.of("azure-native:monitor:DiagnosticSetting").values()
    assert {one["category"] for one in log["logs"]} >= {"karpenter-events"}


def test_groups_are_as_they_were(made):
    recorded = made(provisioning="groups")
    (cluster,) = recorded.of(CLUSTER).values()
    assert "nodeProvisioningProfile" not in cluster
    assert (cluster["agentPoolProfiles"][0]["minCount"], cluster["agentPoolProfiles"][0]["maxCount"]) == (1, 3)
    assert cluster["autoScalerProfile"] == {"expander": "priority"}
    assert len(recorded.of("azure-native:containerservice:AgentPool")) == 3
    assert objects(recorded, NODE_POOL) == {}
    (log,) = recorded.of("azure-native:monitor:DiagnosticSetting").values()
    assert {one["category"] for one in log["logs"]} >= {"cluster-autoscaler"}


def test_a_rung_is_a_node_pool_of_its_contract(made, spec):
    found = objects(made(), NODE_POOL)
    assert set(found) == {"t4", "t4od", "a100", "system-more"}
    for rung in rungs(spec()):
        one = found[rung.physical_name.replace("-", "")]
        template = one["template"]
        assert template["metadata"]["labels"] == {**rung.node_labels, "kubernetes.azure.com/ebpf-dataplane": "cilium"}
        assert template["spec"]["taints"] == [{"key": t.key, "value": t.value, "effect": t.effect} for t in rung.all_taints]
        asked = requirements(one)
        assert asked["node.kubernetes.io/instance-type"] == [rung.machine.name]
        # As Azure labels nodes: the zone with its region.
        assert asked["topology.kubernetes.io/zone"] == [f"eastus-{zone}" for zone in rung.zones]
        assert asked["karpenter.sh/capacity-type"] == [rung.purchase]
        assert one["limits"] == {"nodes": str(rung.max_nodes), "nvidia.com/gpu": str(rung.max_nodes * rung.per_node)}
    # Spot is tried first, and its nodes carry the taint that AKS puts on a spot pool.
    assert (found["t4"]["weight"], found["t4od"]["weight"]) == (20, 10)
    assert {"key": "kubernetes.azure.com/scalesetpriority", "value": "spot", "effect": "NoSchedule"} in (
        found["t4"]["template"]["spec"]["taints"]
    )


def test_nodes_come_when_cilium_runs_and_go_when_they_are_empty(made):
    for one in objects(made(), NODE_POOL).values():
        assert [taint["key"] for taint in one["template"]["spec"]["startupTaints"]] == ["node.cilium.io/agent-not-ready"]
        assert one["disruption"]["consolidationPolicy"] == "WhenEmpty"
        assert {"nodes": "1", "reasons": ["Drifted", "Underutilized"]} in one["disruption"]["budgets"]


def test_a_rungs_class_has_its_disk_subnet_tags_and_kubelet(made, spec):
    recorded = made()
    classes = objects(recorded, NODE_CLASS)
    for rung in rungs(spec()):
        one = classes[rung.physical_name.replace("-", "")]
        assert (one["imageFamily"], one["osDiskSizeGB"]) == ("Ubuntu", rung.disk_gib)
        assert one["tags"]["accelfleet-cluster"] == "main"
    # A pool of one zone leaves by that zone's own gateway.
    assert classes["a100"]["vnetSubnetID"] != classes["t4"]["vnetSubnetID"]
    assert classes["a100"]["kubelet"] == {"cpuManagerPolicy": "static", "topologyManagerPolicy": "best-effort"}
    assert "kubelet" not in classes["t4"]


def test_pods_are_moved_for_money_only_where_the_stack_file_says_so():
    rung = {"accelerator": "nvidia-t4", "purchase": "spot", "fallback": "on-demand", "nodes": {"max": 2}}

    def policies(**more):
        raw = {"cloud": "azure", "region": "eastus", "provisioning": "auto", "pools": {"t4": {**rung, **more}}}
        (pool,) = pools("s", "main", ClusterSpec.model_validate(raw)).values()
        return [node_pool(one, 10, AKS)["disruption"]["consolidationPolicy"] for one in pool.rungs]

    assert policies() == ["WhenEmpty", "WhenEmpty"]
    assert policies(climb=True) == ["WhenEmptyOrUnderutilized", "WhenEmptyOrUnderutilized"]


def test_what_the_system_pool_may_grow_by_is_a_node_pool(made):
    more = objects(made(), NODE_POOL)["system-more"]
    assert more["limits"] == {"nodes": "2"}
    assert requirements(more)["node.kubernetes.io/instance-type"] == ["Standard_D4s_v5"]
    assert "taints" not in more["template"]["spec"]
    assert "system-more" not in objects(made(system=3), NODE_POOL)


def test_a_model_waits_for_its_pools_objects(made):
    recorded = made()
    chat = recorded.all("accelfleet:kubernetes:ModelServing")["main-chat"]
    found = recorded.all(NODE_POOL)
    assert [name for name in ("main-t4-t4", "main-t4-t4od") if found[name] not in recorded.depends_on(chat)] == []
    for name, one in found.items():
        assert recorded.all(NODE_CLASS)[name] in list(recorded.depends_on(one)), "a node of no class cannot be made"


def test_every_azure_machine_of_the_catalogue_is_one_that_azure_brings_a_driver_for():
    ours = {row.name for row in machines() if row.cloud is Cloud.AZURE and row.accelerator}
    assert ours
    assert {name for name in ours if not aks_auto.makes(name)} == set()


def test_one_that_it_does_not_make_is_refused_with_those_that_it_does(spec, monkeypatch):
    monkeypatch.setattr(aks_auto, "SIZES", aks_auto.SIZES - {"standard_nc4as_t4_v3"})
    with pytest.raises(StackErrors) as raised:
        spec()
    (error,) = raised.value.errors
    assert error.path == "clusters.main.pools.t4.accelerator"
    assert "makes no Standard_NC4as_T4_v3" in error.message
    assert error.allowed == "Standard_NC64as_T4_v3"
    assert spec(provisioning="groups").clusters["main"].pools["t4"]
