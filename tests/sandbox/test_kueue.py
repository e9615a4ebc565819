"""Teams in Kueue's queues, on the real Kueue: what its share has no room for waits, what is idle is lent and taken back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from fleet.load import load_stack
from fleet.plan import pools
from infra import versions
from infra.kubernetes.tenancy import Tenancy
from sandbox import toolchain
from sandbox.addons.kueue import CONFIG_KEY, CONFIG_MAP, NAMESPACE, Kueue
from sandbox.cluster import ClusterSim
from sandbox.cluster.api import ApiError, Object, is_ready
from sandbox.control_plane import ControlPlane
from tests import waiting
from tests.infra.test_kubernetes import RELEASE, in_cluster
from tests.mocked_engine import deploy
from tests.sandbox.test_nodes import as_the_cloud_makes_it
from tests.sandbox.test_teams import COLLECTIONS as KUBERNETES
from tests.sandbox.test_teams import restricted

until = partial(waiting.until, seconds=60)
pytestmark = pytest.mark.sandbox
STACK = """
owner: ml-platform
environment: dev
clusters:
  main:
    cloud: gcp
    region: us-west1
    api: {private: true}
    queueing: kueue
    pools:
      l4: {accelerator: nvidia-l4, nodes: {max: 3}}
      tpu: {accelerator: tpu-v5e, topology: 1x1, nodes: {max: 1}}
    teams:
      search: {accelerators: {nvidia-l4: 2}, priority: high}
      ads: {accelerators: {nvidia-l4: 1}, borrow: true}
"""
TEAMS = ("search", "ads")
QUEUES = "/apis/kueue.x-k8s.io/v1beta2"
COLLECTIONS = {
    **KUBERNETES,
    "ResourceFlavor": f"{QUEUES}/resourceflavors",
    "ClusterQueue": f"{QUEUES}/clusterqueues",
    "LocalQueue": f"{QUEUES}/namespaces/{{}}/localqueues",
}


class Queued:
    """A cluster with three L4 nodes, Kueue, and the stack's teams and queues, made of what the program registers."""

    def __init__(self, plane: ControlPlane, file: Any) -> None:
        file.write_text(STACK)
        spec = load_stack(file).clusters["main"]
        planned = pools("queued", "main", spec)
        self.pool = planned["l4"]
        self.sim = ClusterSim(plane, lambda _pool, _size: None)
        self.api = self.sim.api
        made = deploy(in_cluster(lambda opts: Tenancy("main", spec, list(planned.values()), opts)))
        self.api.call("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        config = made.one(RELEASE).inputs["values"]["managerConfig"]["controllerManagerConfigYaml"]
        # What the chart makes, and the sandbox's stand-in for it.
        held = {"metadata": {"name": CONFIG_MAP}, "data": {CONFIG_KEY: config}}
        self.api.call("POST", f"/api/v1/namespaces/{NAMESPACE}/configmaps", held)
        secret = {"metadata": {"name": "kueue-webhook-server-cert"}}
        self.api.call("POST", f"/api/v1/namespaces/{NAMESPACE}/secrets", secret)
        self.kueue = Kueue(plane, "", {})
        self.kueue.start()
        for one in made.resources:
            kind, meta = one.inputs.get("kind"), one.inputs.get("metadata") or {}
            if one.custom and kind in COLLECTIONS and meta.get("name") != NAMESPACE:
                # On the engine's wire every number is a float.
                body = json.loads(json.dumps(one.inputs), parse_float=lambda number: int(float(number)))
                self.api.call("POST", COLLECTIONS[kind].format(meta.get("namespace")), body)
        self.sim.set_pool(replace(as_the_cloud_makes_it(self.pool), size=3, max_nodes=3))
        assert until(lambda: all(self.active(team) for team in TEAMS)), "Kueue takes a queue for inactive"
        accounts = "/api/v1/namespaces/team-{}/serviceaccounts"
        assert until(lambda: all(self.api.call("GET", accounts.format(team))["items"] for team in TEAMS))

    def active(self, team: str) -> bool:
        queue = self.api.call("GET", f"{QUEUES}/clusterqueues/{team}")
        return any((c["type"], c["status"]) == ("Active", "True") for c in queue.get("status", {}).get("conditions") or [])

    def ask(self, team: str, name: str, **changes: Any) -> None:
        spec = {**restricted(self.pool), **changes}
        self.api.call("POST", f"/api/v1/namespaces/team-{team}/pods", {"metadata": {"name": name}, "spec": spec})

    def serve(self, team: str, name: str, replicas: int) -> None:
        """A Deployment, as a model is."""
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": restricted(self.pool)}
        del template["spec"]["terminationGracePeriodSeconds"]
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        self.api.call("POST", f"/apis/apps/v1/namespaces/team-{team}/deployments", {"metadata": {"name": name}, "spec": spec})

    def pods(self, team: str) -> dict[str, Object]:
        found = self.api.call("GET", f"/api/v1/namespaces/team-{team}/pods")["items"]
        return {p["metadata"]["name"]: p for p in found if p["metadata"].get("deletionTimestamp") is None}

    def run(self, team: str) -> set[str]:
        return {name for name, pod in self.pods(team).items() if is_ready(pod)}

    def wait(self, team: str) -> set[str]:
        """Pods that Kueue holds back from the scheduler."""
        return {
            name
            for name, pod in self.pods(team).items()
            if {"name": "kueue.x-k8s.io/admission"} in pod["spec"].get("schedulingGates", [])
        }

    def why(self, team: str, pod: str) -> str:
        """What Kueue says of a pod's workload that has no room."""
        for workload in self.api.call("GET", f"{QUEUES}/namespaces/team-{team}/workloads")["items"]:
            if any(owner["name"] == pod for owner in workload["metadata"].get("ownerReferences", [])):
                for condition in workload.get("status", {}).get("conditions") or []:
                    if (condition["type"], condition["status"]) == ("QuotaReserved", "False"):
                        return str(condition["message"])
        return ""

    def end(self, team: str, pod: str) -> None:
        self.api.call("DELETE", f"/api/v1/namespaces/team-{team}/pods/{pod}", gracePeriodSeconds="0")

    def clear(self) -> None:
        for team in TEAMS:
            self.api.call("DELETE", f"/apis/apps/v1/namespaces/team-{team}/deployments")
            self.api.call("DELETE", f"/api/v1/namespaces/team-{team}/pods", gracePeriodSeconds="0")
        assert until(lambda: not any(self.pods(team) for team in TEAMS))
        assert until(lambda: not any(self.api.items(f"{QUEUES}/namespaces/team-{team}/workloads") for team in TEAMS))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Queued]:
    toolchain.ensure(["kueue"])
    directory = tmp_path_factory.mktemp("queued")
    plane = ControlPlane("queued", directory)
    plane.start()
    made = Queued(plane, directory / "queued.yaml")
    yield made
    made.kueue.close()
    made.sim.close()
    plane.stop()


@pytest.fixture
def queued(cluster: Queued) -> Iterator[Queued]:
    """The cluster, without a pod of any team's afterwards."""
    yield cluster
    cluster.clear()


def test_the_program_is_of_the_charts_version() -> None:
    assert toolchain.TOOLS["kueue"].version == versions.KUEUE_CHART_VERSION


def test_over_its_share_a_pod_waits_and_comes_in_when_another_ends(queued: Queued) -> None:
    queued.ask("search", "one")
    queued.ask("search", "two")
    assert until(lambda: queued.run("search") == {"one", "two"}), queued.pods("search")
    queued.ask("search", "three")
    assert until(lambda: queued.why("search", "three") != "")
    # The third node is idle, and the other team's to lend; this one does not borrow.
    assert "nvidia.com/gpu" in queued.why("search", "three")
    assert queued.wait("search") == {"three"}
    queued.end("search", "one")
    assert until(lambda: queued.run("search") == {"two", "three"}), queued.why("search", "three")


def test_what_is_idle_is_lent_and_taken_back_when_its_team_wants_it(queued: Queued) -> None:
    queued.serve("ads", "model", 3)
    assert until(lambda: len(queued.run("ads")) == 3), "a share of one, and two that are the other team's"
    queued.ask("search", "one")
    assert until(lambda: queued.run("search") == {"one"} and len(queued.run("ads")) == 2), queued.why("search", "one")
    queued.ask("search", "two")
    assert until(lambda: queued.run("search") == {"one", "two"} and len(queued.run("ads")) == 1)
    assert until(lambda: len(queued.wait("ads")) == 2), "what was pushed out waits, and is not lost"
    queued.end("search", "one")
    queued.end("search", "two")
    assert until(lambda: len(queued.run("ads")) == 3), "and comes back on what is idle again"


def test_inside_a_team_the_higher_priority_goes_first(queued: Queued) -> None:
    for name in ("one", "two"):
        queued.ask("search", name, priorityClassName="accelfleet-low")
    assert until(lambda: queued.run("search") == {"one", "two"})
    queued.ask("search", "equal", priorityClassName="accelfleet-low")
    assert until(lambda: queued.why("search", "equal") != "")
    assert queued.run("search") == {"one", "two"}, "an equal waits"
    queued.ask("search", "urgent", priorityClassName="accelfleet-high")
    assert until(lambda: "urgent" in queued.run("search")), queued.why("search", "urgent")
    assert len(queued.run("search") & {"one", "two"}) == 1, "one goes for one, and no more"
    assert queued.wait("search") == {"equal"}


def test_a_queue_that_kueue_finds_wrong_is_refused(queued: Queued) -> None:
    """By its webhook, which the API server asks: a flavor in two groups."""
    spec = queued.api.call("GET", f"{QUEUES}/clusterqueues/search")["spec"]
    one, other = spec["resourceGroups"]
    other["flavors"][0]["name"] = one["flavors"][0]["name"]
    wrong = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "ClusterQueue", "metadata": {"name": "twice"}, "spec": spec}
    with pytest.raises(ApiError, match=r"vclusterqueue\.kb\.io.*Duplicate value"):
        queued.api.call("POST", f"{QUEUES}/clusterqueues", wrong)
