"""Teams against mocks: namespaces, quotas, priorities and queues, and what a team's model carries."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from fleet import tenancy
from fleet.catalog.clouds import PUBLIC, Cloud
from fleet.catalog.machines import machine
from fleet.catalog.sharing import Sharing, SharingMode
from fleet.contract import ACCELERATOR_LABEL, POOL_LABEL
from fleet.load import load_stack
from fleet.spec import ClusterSpec, StackSpec
from fleet.workspace import ROOT
from infra import versions
from infra.kubernetes.model_serving import ModelServing, chart_values
from infra.kubernetes.namespaces import pod_security
from infra.kubernetes.queueing import cluster_queue, flavor
from infra.kubernetes.tenancy import Tenancy, Tenant, accelerator_quota
from infra.platform import deploy as platform
from infra.stack import Stack
from tests.accelerator_pools import INF2, L4, pool_of, tolerates
from tests.infra.test_kubernetes import NAMESPACE, POLICY, RELEASE, in_cluster, model
from tests.mocked_engine import set_accounts

A10G = machine(Cloud.AWS, "g5.xlarge")
POOLS = [pool_of(L4, "l4", max_nodes=3), pool_of(A10G, "a10g"), pool_of(INF2, "inf2")]
SEARCH = {"accelerators": {"nvidia-l4": 2}, "priority": "high"}
ADS = {"accelerators": {"nvidia-l4": 1, "nvidia-a10g": 1, "inferentia2": 2}}
QUOTA = "kubernetes:core/v1:ResourceQuota"
LIMITS = "kubernetes:core/v1:LimitRange"
PRIORITY = "kubernetes:scheduling.k8s.io/v1:PriorityClass"
KUEUE = "kubernetes:kueue.x-k8s.io/v1beta2:"


def cluster(queueing="none", **teams):
    teams = teams or {"search": SEARCH, "ads": ADS}
    return ClusterSpec.model_validate({"cloud": "aws", "region": "us-east-1", "teams": teams, "queueing": queueing})


def queued(**changes):
    return cluster("kueue", search=SEARCH, ads={**ADS, **changes})


@pytest.fixture
def made(deploy):
    """`made(cluster) -> Recorder`."""
    return lambda spec, pools=POOLS: deploy(in_cluster(lambda opts: Tenancy("main", spec, pools, opts)))


def by_place(objects):
    return {(o["metadata"]["namespace"], o["metadata"]["name"]): o["spec"] for o in objects.values()}


# What Kubernetes enforces


def test_a_team_has_a_restricted_namespace_that_nothing_enters(made):
    recorded = made(cluster())
    spaces = {n["metadata"]["name"]: n["metadata"]["labels"] for n in recorded.of(NAMESPACE).values()}
    assert set(spaces) == {"team-search", "team-ads"}
    for team in ("search", "ads"):
        assert pod_security("restricted").items() <= spaces[f"team-{team}"].items()
        assert spaces[f"team-{team}"][tenancy.TEAM_LABEL] == team
    policies = by_place(recorded.of(POLICY))
    for team in ("search", "ads"):
        denied = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
        assert policies[f"team-{team}", "default-deny"] == denied


def test_its_pods_may_ask_for_its_share_of_every_resource_and_for_none_of_the_others(made):
    quotas = by_place(made(cluster()).of(QUOTA))
    none = {"requests.nvidia.com/gpu": "2", "requests.aws.amazon.com/neuron": "0"}
    assert quotas["team-search", "accelerators"] == {"hard": none}
    # One resource for L4 and A10G: a quota cannot tell them apart.
    both = {"requests.nvidia.com/gpu": "2", "requests.aws.amazon.com/neuron": "2"}
    assert quotas["team-ads", "accelerators"] == {"hard": both}


def test_a_team_without_a_share_has_none_of_anything():
    nothing = {"requests.nvidia.com/gpu": "0", "requests.aws.amazon.com/neuron": "0"}
    assert accelerator_quota("web", cluster(web={}), POOLS) == nothing


def test_a_quota_on_shared_gpus_counts_parts_as_pods_ask_for_them():
    parts = replace(POOLS[0], sharing=Sharing(SharingMode.TIME_SLICING, 4))
    assert tenancy.capacity([parts]) == {"nvidia-l4": 3 * 4}
    assert accelerator_quota("a", cluster(a={"accelerators": {"nvidia-l4": 12}}), [parts]) == {"requests.nvidia.com/gpu": "12"}


def test_pools_of_one_accelerator_are_one_capacity_and_a_fallback_is_none():
    spot = pool_of(L4, "spot", spot=True, max_nodes=2)
    laddered = replace(spot, fallback=replace(spot, spot=False))
    assert tenancy.capacity([POOLS[0], laddered]) == {"nvidia-l4": 3 + 2}


def test_a_higher_class_goes_first_and_none_falls_below_the_autoscalers_line(made):
    classes = {c["metadata"]["name"]: c for c in made(cluster()).of(PRIORITY).values()}
    assert set(classes) == {"accelfleet-low", "accelfleet-normal", "accelfleet-high"}
    low, normal, high = (classes[f"accelfleet-{rank}"]["value"] for rank in ("low", "normal", "high"))
    # Zero is what a pod has that names no class, -10 where cluster-autoscaler stops to add nodes.
    assert 0 == low < normal < high < 1_000_000_000
    for one in classes.values():
        assert one["preemptionPolicy"] == "PreemptLowerPriority"
        assert not one.get("globalDefault")


@pytest.mark.parametrize(
    ("priority", "allowed"), [("low", ["low"]), ("normal", ["low", "normal"]), ("high", ["low", "normal", "high"])]
)
def test_a_team_has_no_pod_of_a_class_above_its_own(made, priority, allowed):
    quotas = by_place(made(cluster(a={"priority": priority})).of(QUOTA))
    quota = quotas["team-a", "priority"]
    assert quota["hard"] == {"pods": "0"}
    exists, outside = quota["scopeSelector"]["matchExpressions"]
    assert exists == {"scopeName": "PriorityClass", "operator": "Exists"}
    assert (outside["scopeName"], outside["operator"]) == ("PriorityClass", "NotIn")
    assert outside["values"] == [f"accelfleet-{rank}" for rank in allowed]


def test_containers_that_say_nothing_have_requests_and_no_limit_that_would_refuse_others(made):
    (limit,) = by_place(made(cluster(a={})).of(LIMITS))["team-a", "defaults"]["limits"]
    assert limit == {"type": "Container", "defaultRequest": {"cpu": "250m", "memory": "512Mi"}}


# Queues. Kueue itself runs nowhere here: these are its objects as its API describes them.


def test_nothing_of_kueue_is_made_without_it(made):
    recorded = made(cluster())
    assert recorded.of(RELEASE) == {}
    assert not [t for t in recorded.types() if "kueue" in t]


def test_kueue_is_pinned_and_manages_teams_and_nobody_else(made):
    recorded = made(queued())
    release = recorded.one(RELEASE).inputs
    assert (release["chart"], release["version"]) == (versions.KUEUE_CHART, versions.KUEUE_CHART_VERSION)
    config = json.loads(release["values"]["managerConfig"]["controllerManagerConfigYaml"])
    assert config["manageJobsWithoutQueueName"] is True, "a pod without the label would go by the queue"
    (managed,) = config["managedJobsNamespaceSelector"]["matchExpressions"]
    assert managed == {"key": tenancy.TEAM_LABEL, "operator": "Exists"}
    assert {"pod", "deployment"} <= set(config["integrations"]["frameworks"])
    asked = model(POOLS[0])
    requested = {"cpu", "memory", "ephemeral-storage"}
    assert chart_values(asked)["resources"].keys() == {"cpu", "cpuLimit", "memory", "ephemeralStorage"}
    assert requested <= set(config["resources"]["excludeResourcePrefixes"]), "a queue that covers it not would hold it forever"


def test_queues_wait_for_kueue_and_for_their_namespaces(made):
    recorded = made(queued())
    release = recorded.one(RELEASE)
    for one in recorded.all(f"{KUEUE}ResourceFlavor").values():
        assert release in list(recorded.depends_on(one))
    flavors = set(recorded.all(f"{KUEUE}ResourceFlavor"))
    for one in recorded.all(f"{KUEUE}ClusterQueue").values():
        assert {r.name for r in recorded.depends_on(one)} >= flavors
    locals_ = recorded.all(f"{KUEUE}LocalQueue")
    assert {(q.inputs["metadata"]["namespace"], q.inputs["spec"]["clusterQueue"]) for q in locals_.values()} == {
        ("team-search", "search"),
        ("team-ads", "ads"),
    }
    # Kueue takes what names no queue to the one of this name.
    assert {q.inputs["metadata"]["name"] for q in locals_.values()} == {"default"}


def test_a_flavor_is_every_pool_of_an_accelerator_with_all_their_taints(made):
    spot = pool_of(L4, "spot", spot=True)
    spec = flavor([POOLS[0], spot])
    assert spec["nodeLabels"] == {ACCELERATOR_LABEL: "nvidia-l4"}
    for pool in (POOLS[0], spot):
        assert spec["nodeLabels"].items() <= pool.node_labels.items()
        for taint in pool.all_taints:
            assert any(tolerates(t, taint) for t in spec["tolerations"]), taint
    assert len(spec["tolerations"]) == len({json.dumps(t, sort_keys=True) for t in spec["tolerations"]})
    names = {f["metadata"]["name"] for f in made(queued()).of(f"{KUEUE}ResourceFlavor").values()}
    assert names == {"nvidia-l4", "nvidia-a10g", "inferentia2"}


def test_a_flavor_of_a_shared_pool_is_made_like_any_other():
    parts = replace(POOLS[0], sharing=Sharing(SharingMode.TIME_SLICING, 4))
    assert flavor([parts]) == flavor([POOLS[0]])


def test_a_queue_has_the_share_of_each_accelerator_and_borrows_only_where_it_may():
    def quotas(spec, team):
        queue = cluster_queue(team, spec, POOLS)
        assert queue["cohortName"] == "teams"
        assert queue["namespaceSelector"] == {"matchLabels": {tenancy.TEAM_LABEL: team}}
        assert queue["preemption"] == {"reclaimWithinCohort": "Any", "withinClusterQueue": "LowerPriority"}
        found = {}
        for group in queue["resourceGroups"]:
            for one in group["flavors"]:
                (quota,) = one["resources"]
                assert [quota["name"]] == group["coveredResources"], "Kueue wants them in the group's order"
                found[one["name"]] = (quota["nominalQuota"], quota.get("borrowingLimit"))
        # A resource and a flavor may be in one group only.
        covered = [r for group in queue["resourceGroups"] for r in group["coveredResources"]]
        assert len(covered) == len(set(covered))
        return found

    assert quotas(queued(), "search") == {"nvidia-l4": (2, 0), "nvidia-a10g": (0, 0), "inferentia2": (0, 0)}
    assert quotas(queued(borrow=True), "ads") == {"nvidia-l4": (1, None), "nvidia-a10g": (1, None), "inferentia2": (2, None)}


def test_kueues_namespace_is_closed_but_for_its_webhook(made):
    policies = by_place(made(queued()).of(POLICY))
    closed = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert policies["kueue-system", "default-deny"] == closed
    neighbours, webhook = policies["kueue-system", "addon-traffic"]["ingress"]
    assert neighbours == {"from": [{"podSelector": {}}]}
    assert webhook == {"ports": [{"protocol": "TCP", "port": 9443}]}, "from wherever the API server asks"


def test_with_a_queue_the_quota_refuses_only_what_a_team_can_never_have():
    # What waits is a pod already: a quota at the share would refuse what the queue is there to hold.
    assert accelerator_quota("search", queued(), POOLS) == {"requests.aws.amazon.com/neuron": "0"}
    borrower = cluster("kueue", search={**SEARCH, "borrow": True}, ads=ADS)
    assert accelerator_quota("search", borrower, POOLS) == {}


# Models


def test_without_a_team_a_model_is_where_it_was():
    values = chart_values(model(POOLS[0]))
    assert model(POOLS[0]).tenant.namespace == "models"
    assert values["priorityClassName"] == ""
    assert values["nodeSelector"] == POOLS[0].placement(1).node_selector
    assert values["podLabels"] == {}


def test_a_queued_model_names_its_queue_and_its_accelerator(made):
    tenant = Tenant(namespace="team-a", priority_class="accelfleet-low", queue_labels={"kueue.x-k8s.io/queue-name": "default"})
    values = chart_values(model(POOLS[0], tenant=tenant, pod_labels={"azure.workload.identity/use": "true"}))
    assert values["podLabels"] == {"azure.workload.identity/use": "true", **tenant.queue_labels}
    # Without the flavor's label Kueue would be free to give it the A10G's share, and the L4 pool's selector.
    assert values["nodeSelector"] == {POOL_LABEL: "l4", **flavor([POOLS[0]])["nodeLabels"]}


STACK = {
    "owner": "ml-platform",
    "environment": "dev",
    "clusters": {
        "main": {
            "cloud": "aws",
            "region": "us-east-1",
            "api": {"private": True},
            "pools": {"l4": {"accelerator": "nvidia-l4", "nodes": {"max": 3}}},
            "stores": {"weights": {}},
            "teams": {"search": {"accelerators": {"nvidia-l4": 1}, "priority": "high"}},
            "models": {
                "chat": {"pool": "l4", "team": "search", "weights": {"store": "weights"}},
                "embed": {"pool": "l4", "weights": {"store": "weights"}},
            },
        }
    },
}


def on_platform(deploy, raw):
    def program():
        set_accounts()
        platform(Stack("test", StackSpec.model_validate(raw)))

    return deploy(program)


def told_of_namespaces(recorded):
    """All that the cloud's identity of each model is made of, as one text: each cloud has its own field for a namespace."""
    made = {name: [r for r in recorded.resources if r.name == f"main-{name}-identity"] for name in ("chat", "embed")}
    return {name: json.dumps([r.inputs for one in found for r in recorded.children(one)]) for name, found in made.items()}


@pytest.mark.parametrize("cloud", PUBLIC)
def test_a_models_identity_is_in_its_teams_namespace(deploy, cloud):
    region, accelerator = {
        Cloud.AWS: ("us-east-1", "nvidia-l4"),
        Cloud.GCP: ("us-west1", "nvidia-l4"),
        Cloud.AZURE: ("westeurope", "nvidia-t4"),
    }[cloud]
    raw = json.loads(json.dumps(STACK).replace("nvidia-l4", accelerator).replace("us-east-1", region))
    raw["clusters"]["main"]["cloud"] = str(cloud)
    recorded = on_platform(deploy, raw)
    releases = {r["name"]: r for r in recorded.of(RELEASE).values()}
    assert releases["chat"]["namespace"] == "team-search"
    assert releases["embed"]["namespace"] == "models"
    assert releases["chat"]["values"]["priorityClassName"] == "accelfleet-high"
    assert releases["embed"]["values"]["priorityClassName"] == ""
    told = told_of_namespaces(recorded)
    assert "team-search" in told["chat"]
    assert "team-search" not in told["embed"]


def test_a_teams_model_waits_for_its_quota_and_its_queue(deploy):
    raw = json.loads(json.dumps(STACK))
    raw["clusters"]["main"]["queueing"] = "kueue"
    recorded = on_platform(deploy, raw)
    served = recorded.all("accelfleet:kubernetes:ModelServing")
    waits = {(r.type, r.inputs.get("metadata", {}).get("name")) for r in recorded.depends_on(served["main-chat"])}
    own = {(NAMESPACE, "team-search"), (QUOTA, "accelerators"), (QUOTA, "priority"), (LIMITS, "defaults")}
    assert own | {(PRIORITY, "accelfleet-high"), (f"{KUEUE}LocalQueue", "default")} <= waits
    releases = {r["name"]: r for r in recorded.of(RELEASE).values()}
    assert releases["chat"]["values"]["podLabels"]["kueue.x-k8s.io/queue-name"] == "default"
    others = {r.type for r in recorded.depends_on(served["main-embed"])}
    assert not {QUOTA, PRIORITY, f"{KUEUE}LocalQueue"} & others, "it has no team"
    assert releases["embed"]["values"]["podLabels"] == {}


def test_a_stack_without_teams_makes_none_of_it(deploy):
    raw = json.loads(json.dumps(STACK))
    del raw["clusters"]["main"]["teams"], raw["clusters"]["main"]["models"]["chat"]["team"]
    recorded = on_platform(deploy, raw)
    assert not {QUOTA, LIMITS, PRIORITY} & recorded.types()


def test_a_model_that_changes_its_team_lets_go_of_its_accelerators_first(deploy):
    served = deploy(in_cluster(lambda opts: ModelServing("main-chat", model(POOLS[0]), opts))).one(RELEASE)
    assert served.delete_before_replace


def test_the_pages_example_is_sound_and_deploys(deploy, tmp_path):
    page = (ROOT / "docs" / "teams.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    file = tmp_path / "teams.yaml"
    file.write_text(example)
    spec = load_stack(file)
    assert {"teams", "queueing"} <= spec.clusters["main"].model_fields_set
    recorded = on_platform(deploy, spec.model_dump(mode="json"))
    assert {r["namespace"] for r in recorded.of(RELEASE).values()} == {"team-search", "team-ads", "kueue-system"}
