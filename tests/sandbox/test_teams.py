"""Teams on a real API server and scheduler: the objects that infra makes, and what they refuse, default and push out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from fleet.contract import AcceleratorPool
from fleet.load import load_stack
from fleet.plan import pools
from infra.kubernetes.tenancy import Tenancy
from sandbox.cluster import ClusterSim
from sandbox.cluster.api import ApiError, Object, is_ready
from sandbox.control_plane import ControlPlane
from tests import waiting
from tests.infra.test_kubernetes import in_cluster
from tests.mocked_engine import deploy
from tests.sandbox.test_nodes import as_the_cloud_makes_it, refusal

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
    pools:
      l4: {accelerator: nvidia-l4, nodes: {max: 4}}
      tpu: {accelerator: tpu-v5e, topology: 1x1, nodes: {max: 1}}
    teams:
      search: {accelerators: {nvidia-l4: 1}, priority: high}
      ads: {accelerators: {nvidia-l4: 2}, priority: low}
      lab: {accelerators: {nvidia-l4: 1}}
"""
# Nodes that stand; the pool may grow to as many as the teams were promised.
STANDING = 2
COLLECTIONS = {
    "PriorityClass": "/apis/scheduling.k8s.io/v1/priorityclasses",
    "Namespace": "/api/v1/namespaces",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "ResourceQuota": "/api/v1/namespaces/{}/resourcequotas",
    "LimitRange": "/api/v1/namespaces/{}/limitranges",
}


class Teams:
    """A cluster with two L4 nodes and the stack's teams, made of what the program registers."""

    def __init__(self, plane: ControlPlane, file: Any) -> None:
        file.write_text(STACK)
        spec = load_stack(file).clusters["main"]
        planned = pools("teams", "main", spec)
        self.pool = planned["l4"]
        self.sim = ClusterSim(plane, lambda _pool, _size: None)
        self.api = self.sim.api
        made = deploy(in_cluster(lambda opts: Tenancy("main", spec, list(planned.values()), opts)))
        for one in made.resources:
            if one.custom and one.inputs.get("kind") in COLLECTIONS:
                where = COLLECTIONS[one.inputs["kind"]].format(one.inputs["metadata"].get("namespace"))
                # On the engine's wire every number is a float.
                body = json.loads(json.dumps(one.inputs), parse_float=lambda number: int(float(number)))
                self.api.call("POST", where, body)
        self.sim.set_pool(replace(as_the_cloud_makes_it(self.pool), size=STANDING, max_nodes=STANDING))
        assert until(lambda: all(self.counted(team) for team in spec.teams)), "the quotas' controller counts nothing"

    def counted(self, team: str) -> bool:
        """Whether the team's quotas are in force, and its pods have a service account."""
        quotas = self.api.call("GET", f"/api/v1/namespaces/team-{team}/resourcequotas")["items"]
        accounts = self.api.call("GET", f"/api/v1/namespaces/team-{team}/serviceaccounts")["items"]
        return len(quotas) == 2 and all(q.get("status", {}).get("used") for q in quotas) and bool(accounts)

    def ask(self, team: str, name: str, **changes: Any) -> Object:
        """Ask for a pod of the team's with one L4, or with what `changes` to its spec say; returns what was admitted."""
        spec = {**restricted(self.pool), **changes}
        return self.api.call("POST", f"/api/v1/namespaces/team-{team}/pods", {"metadata": {"name": name}, "spec": spec})

    def run(self, team: str, name: str, **changes: Any) -> Object:
        """As `ask`, and again while the quota refuses: what admits pods learns of a freed share after the quota's status."""
        admitted: list[Object] = []

        def tried() -> bool:
            with suppress(ApiError):
                admitted.append(self.ask(team, name, **changes))
            return bool(admitted)

        assert until(tried), f"team {team} gets no room for {name}"
        return admitted[0]

    def pods(self, team: str) -> dict[str, Object]:
        return {p["metadata"]["name"]: p for p in self.api.call("GET", f"/api/v1/namespaces/team-{team}/pods")["items"]}

    def runs(self, team: str, name: str) -> bool:
        pod = self.pods(team).get(name)
        return pod is not None and is_ready(pod)

    def clear(self) -> None:
        for team in ("search", "ads", "lab"):
            for name in self.pods(team):
                self.api.call("DELETE", f"/api/v1/namespaces/team-{team}/pods/{name}", gracePeriodSeconds="0")
        assert until(lambda: not any(self.pods(team) for team in ("search", "ads", "lab")))
        assert until(lambda: all(self.used(team) == "0" for team in ("search", "ads", "lab")))

    def used(self, team: str) -> str:
        quota = self.api.call("GET", f"/api/v1/namespaces/team-{team}/resourcequotas/accelerators")
        return str(quota["status"]["used"]["requests.nvidia.com/gpu"])


def restricted(pool: AcceleratorPool) -> Object:
    """A pod's spec for one accelerator of the pool, under Pod Security *restricted*."""
    placed = pool.placement(1)
    safe = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "c", "image": "model:1", "securityContext": safe, "resources": {"limits": {placed.resource: "1"}}}
    return {
        "nodeSelector": placed.node_selector,
        "tolerations": placed.tolerations,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
    }


def asking(pool: AcceleratorPool, **resources: Any) -> list[Object]:
    (container,) = restricted(pool)["containers"]
    return [{**container, "resources": resources}]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Teams]:
    directory = tmp_path_factory.mktemp("teams")
    plane = ControlPlane("teams", directory)
    plane.start()
    made = Teams(plane, directory / "teams.yaml")
    yield made
    made.sim.close()
    plane.stop()


@pytest.fixture
def teams(cluster: Teams) -> Iterator[Teams]:
    """The cluster, without a pod of any team's before and after."""
    yield cluster
    cluster.clear()


def words(refused: Callable[[], Any]) -> str:
    with pytest.raises(ApiError) as raised:
        refused()
    assert raised.value.status == 403
    return str(raised.value)


def test_over_its_quota_a_team_is_refused_in_the_api_servers_words(teams: Teams) -> None:
    teams.run("ads", "one")
    teams.run("ads", "two")
    said = words(lambda: teams.ask("ads", "three"))
    assert "exceeded quota: accelerators, requested: requests.nvidia.com/gpu=1" in said
    assert "used: requests.nvidia.com/gpu=2, limited: requests.nvidia.com/gpu=2" in said
    # Another team's share is not touched by it, and what ends gives its place back.
    teams.run("lab", "one")
    teams.api.call("DELETE", "/api/v1/namespaces/team-ads/pods/one", gracePeriodSeconds="0")
    assert until(lambda: teams.used("ads") == "1")
    teams.run("ads", "three")


def test_two_in_one_pod_count_twice(teams: Teams) -> None:
    two = asking(teams.pool, limits={"nvidia.com/gpu": "2"})
    assert "requested: requests.nvidia.com/gpu=2" in words(lambda: teams.ask("search", "both", containers=two))


def test_what_a_team_has_no_share_of_it_gets_none_of(teams: Teams) -> None:
    chip = asking(teams.pool, limits={"google.com/tpu": "1"})
    said = words(lambda: teams.ask("search", "chip", containers=chip))
    assert "requested: requests.google.com/tpu=1, used: requests.google.com/tpu=0, limited: requests.google.com/tpu=0" in said


def test_a_higher_team_pushes_out_a_lower_ones_pod_on_a_full_pool(teams: Teams) -> None:
    teams.run("ads", "one", priorityClassName="accelfleet-low")
    teams.run("ads", "two", priorityClassName="accelfleet-low")
    assert until(lambda: teams.runs("ads", "one") and teams.runs("ads", "two"))
    teams.run("search", "urgent", priorityClassName="accelfleet-high")
    assert until(lambda: teams.runs("search", "urgent")), teams.pods("search")["urgent"]["status"]
    left = teams.pods("ads")
    assert len(left) == 1, "one goes for one, and no more"
    assert all(is_ready(pod) for pod in left.values())


def test_among_equals_who_comes_later_waits(teams: Teams) -> None:
    teams.run("lab", "one", priorityClassName="accelfleet-low")
    teams.run("ads", "one", priorityClassName="accelfleet-low")
    assert until(lambda: teams.runs("lab", "one") and teams.runs("ads", "one"))
    # It names no class, which is the lowest, too.
    teams.run("ads", "two")
    assert until(lambda: refusal(teams.pods("ads")["two"]) is not None)
    assert "Insufficient nvidia.com/gpu" in (refusal(teams.pods("ads")["two"]) or "")
    assert teams.runs("lab", "one")
    assert teams.runs("ads", "one")


@pytest.mark.parametrize("above", ["accelfleet-normal", "accelfleet-high", "system-cluster-critical"])
def test_no_pod_climbs_above_its_teams_priority(teams: Teams, above: str) -> None:
    said = words(lambda: teams.ask("ads", "climber", priorityClassName=above))
    assert "exceeded quota: priority, requested: pods=1, used: pods=0, limited: pods=0" in said


def test_a_lower_class_is_anybodys(teams: Teams) -> None:
    assert teams.run("search", "modest", priorityClassName="accelfleet-low")["spec"]["priority"] == 0
    assert teams.run("lab", "usual", priorityClassName="accelfleet-normal")["spec"]["priority"] == 1000


def test_a_container_that_says_nothing_gets_requests_and_one_that_does_keeps_its_own(teams: Teams) -> None:
    silent = teams.run("lab", "silent", containers=asking(teams.pool))
    assert silent["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "250m", "memory": "512Mi"}}
    clear = teams.run("lab", "clear", containers=asking(teams.pool, requests={"cpu": "2", "memory": "8Gi"}))
    assert clear["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "2", "memory": "8Gi"}}


def test_a_teams_namespace_takes_restricted_pods_only(teams: Teams) -> None:
    assert 'violates PodSecurity "restricted' in words(lambda: teams.ask("lab", "root", securityContext={}))
