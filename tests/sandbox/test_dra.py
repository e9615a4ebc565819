"""Claimed GPUs against a real scheduler: NVIDIA's driver publishes, pods claim, and no device is anybody's twice.

The driver's chart is the sandbox's stand-in for it, with the values that infra gives the real one.
"""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

import sandbox.cluster
from fleet.catalog import dra
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import machine
from fleet.contract import AcceleratorPool
from fleet.spec import ClusterSpec
from fleet.workspace import ROOT
from infra.kubernetes import dra_driver, gke_driver
from infra.kubernetes.model_serving import CHART, chart_values
from infra.kubernetes.tenancy import accelerator_quota
from sandbox import toolchain
from sandbox.cluster import ClusterSim
from sandbox.cluster.api import Object, is_ready
from sandbox.control_plane import ControlPlane
from tests import waiting
from tests.accelerator_pools import L4, L4_ON_GKE, pool_of
from tests.infra.test_kubernetes import model
from tests.sandbox.test_nodes import as_the_cloud_makes_it, refusal

until = partial(waiting.until, seconds=60)
pytestmark = pytest.mark.sandbox
RESOURCE = f"/apis/{dra.API}"
DRIVER_CHART = ROOT / "sandbox" / "charts" / "dra-driver-nvidia-gpu"
NOT_TO_BE_HAD = "cannot allocate all claims"
T4S = pool_of(machine(Cloud.AWS, "g4dn.12xlarge"), "t4s", physical_name="t4s", dra=True)
# No driver runs there.
BARE = pool_of(L4, "bare", physical_name="bare", dra=True)
ON_GKE = pool_of(L4_ON_GKE, "on-gke", physical_name="on-gke", dra=True)
ON_AKS = pool_of(machine(Cloud.AZURE, "Standard_NC4as_T4_v3"), "onaks", physical_name="onaks", dra=True)


class Cluster:
    """One control plane with NVIDIA's driver for some pools, and one node of each."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.sim = ClusterSim(plane, lambda _pool, _size: None)
        self.api = self.sim.api
        self._names = (f"pod-{number}" for number in itertools.count())
        self.api.call("POST", "/api/v1/namespaces", {"metadata": {"name": dra_driver.NAMESPACE}})
        self.run_driver(T4S, ON_AKS)
        for pool in (T4S, BARE):
            self.sim.set_pool(as_the_cloud_makes_it(pool))

    def helm(self, *words: Any) -> None:
        where = ["--kubeconfig", self.plane.directory / "kubeconfig"]
        done = subprocess.run([toolchain.path("helm"), *words, *where], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def run_driver(self, *pools: AcceleratorPool) -> None:
        """Have the driver on the nodes of these pools and of no other."""
        file = self.plane.directory / "driver.json"
        file.write_text(json.dumps(dra_driver.values(pools)))
        self.helm("upgrade", "--install", "driver", DRIVER_CHART, "-n", dra_driver.NAMESPACE, "--values", file, "--wait")

    def run(self, pool: AcceleratorPool, count: int = 1, namespace: str = "default", **changes: Any) -> str:
        """A pod that claims so many devices of the pool, by the contract but for the `changes` to its claim."""
        name, placed = next(self._names), pool.placement(count)
        assert placed.claim is not None
        spec = {"spec": replace(placed.claim, **changes).spec}
        template = {"metadata": {"name": name}, "spec": spec}
        self.api.call("POST", f"{RESOURCE}/namespaces/{namespace}/resourceclaimtemplates", template)
        claim = "accelerators"
        pod = {
            "nodeSelector": placed.node_selector,
            "tolerations": placed.tolerations,
            "terminationGracePeriodSeconds": 1,
            "resourceClaims": [{"name": claim, "resourceClaimTemplateName": name}],
            "containers": [{"name": "c", "image": "model:1", "resources": {"claims": [{"name": claim}]}}],
        }
        self.api.call("POST", f"/api/v1/namespaces/{namespace}/pods", {"metadata": {"name": name}, "spec": pod})
        return name

    def pod(self, name: str) -> Object:
        return self.api.call("GET", f"/api/v1/namespaces/default/pods/{name}")

    def runs(self, *names: str) -> bool:
        return until(lambda: all(is_ready(self.pod(name)) for name in names))

    def waits(self, name: str) -> str:
        """The scheduler's words on a pod that it found no node for."""
        assert until(lambda: refusal(self.pod(name)) is not None), self.pod(name)["status"]
        return refusal(self.pod(name)) or ""

    def end(self, *names: str) -> None:
        for name in names:
            self.api.call("DELETE", f"/api/v1/namespaces/default/pods/{name}", gracePeriodSeconds="0")

    def claims(self, pod: str) -> list[Object]:
        found = self.api.call("GET", f"{RESOURCE}/namespaces/default/resourceclaims")["items"]
        return [c for c in found if any(o["name"] == pod for o in c["metadata"].get("ownerReferences") or [])]

    def held(self, pod: str) -> set[tuple[str, str]]:
        """Pool and device of what a pod's claims were allocated."""
        results = [r for c in self.claims(pod) for r in c["status"]["allocation"]["devices"]["results"]]
        assert {r["driver"] for r in results} == {"gpu.nvidia.com"}
        return {(r["pool"], r["device"]) for r in results}

    def published(self, pool: AcceleratorPool) -> list[Object]:
        """Devices in the slices of the pool's nodes."""
        nodes = self.sim.nodes(pool.physical_name)
        slices = self.api.call("GET", f"{RESOURCE}/resourceslices")["items"]
        return [device for s in slices if s["spec"]["nodeName"] in nodes for device in s["spec"]["devices"]]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    plane = ControlPlane("dra", tmp_path_factory.mktemp("dra"))
    plane.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sandbox.cluster, "_IDLE_S", 10.0)
            made = Cluster(plane)
            yield made
            made.sim.close()
    finally:
        plane.stop()


def test_a_node_publishes_its_gpus_as_the_driver_describes_them(cluster: Cluster) -> None:
    assert until(lambda: len(cluster.published(T4S)) == 4)
    found = cluster.published(T4S)
    assert [device["name"] for device in found] == ["gpu-0", "gpu-1", "gpu-2", "gpu-3"]
    assert len({device["attributes"]["uuid"]["string"] for device in found}) == 4
    first = found[0]
    assert first["attributes"]["productName"] == {"string": "Tesla T4"}
    assert first["attributes"]["architecture"] == {"string": "Turing"}
    assert first["attributes"]["type"] == {"string": "gpu"}
    assert first["capacity"]["memory"]["value"] == "15Gi"
    assert cluster.published(BARE) == [], "no driver, no slice"


def test_a_pod_with_a_claim_runs_and_its_device_is_reserved_for_it(cluster: Cluster) -> None:
    name = cluster.run(T4S)
    assert cluster.runs(name), cluster.pod(name)["status"]
    (claim,) = cluster.claims(name)
    assert len(cluster.held(name)) == 1
    assert [holder["name"] for holder in claim["status"]["reservedFor"]] == [name]
    assert cluster.pod(name)["spec"]["nodeName"] in cluster.sim.nodes("t4s")
    cluster.end(name)


def test_no_two_pods_have_one_device_and_one_more_than_there_are_waits_for_one(cluster: Cluster) -> None:
    names = [cluster.run(T4S), cluster.run(T4S), cluster.run(T4S, 2)]
    assert cluster.runs(*names)
    held = [cluster.held(name) for name in names]
    assert [len(devices) for devices in held] == [1, 1, 2]
    assert len(set.union(*held)) == 4, "nobody shares"
    more = cluster.run(T4S)
    assert NOT_TO_BE_HAD in cluster.waits(more)
    cluster.end(names[0])
    assert cluster.runs(more), "what a pod gives back is there for the next"
    assert cluster.held(more) == held[0]
    assert until(lambda: cluster.claims(names[0]) == []), "its claim goes with it"
    cluster.end(more, *names[1:])
    assert until(lambda: not any(cluster.claims(name) for name in (more, *names)))


def test_without_a_driver_a_claim_waits(cluster: Cluster) -> None:
    name = cluster.run(BARE)
    assert NOT_TO_BE_HAD in cluster.waits(name)
    cluster.end(name)


def test_a_claim_on_more_memory_than_there_is_waits(cluster: Cluster) -> None:
    (wanted,) = T4S.placement(1).claim.selectors  # type: ignore[union-attr]
    assert "14Gi" in wanted
    name = cluster.run(T4S, selectors=(wanted.replace("14Gi", "80Gi"),))
    assert NOT_TO_BE_HAD in cluster.waits(name)
    cluster.end(name)


def test_a_claim_can_go_by_any_attribute(cluster: Cluster) -> None:
    selector = "device.attributes['gpu.nvidia.com'].architecture == '{}'"
    right, wrong = (cluster.run(T4S, selectors=(selector.format(word),)) for word in ("Turing", "Hopper"))
    assert cluster.runs(right)
    assert NOT_TO_BE_HAD in cluster.waits(wrong)
    cluster.end(right, wrong)


def test_the_models_chart_claims_what_the_contract_says(cluster: Cluster, tmp_path: Any) -> None:
    cluster.api.call("POST", "/api/v1/namespaces", {"metadata": {"name": "models"}})
    file = tmp_path / "values.json"
    file.write_text(json.dumps(chart_values(model(T4S, count=2))))
    cluster.helm("install", "chat", CHART, "-n", "models", "--values", file, "--wait", "--timeout", "2m")
    (claim,) = cluster.api.call("GET", f"{RESOURCE}/namespaces/models/resourceclaims")["items"]
    assert len(claim["status"]["allocation"]["devices"]["results"]) == 2
    cluster.helm("uninstall", "chat", "-n", "models")


def test_claims_beyond_a_teams_share_are_refused_and_its_pod_waits(cluster: Cluster) -> None:
    team = ClusterSpec.model_validate(
        {"cloud": "aws", "region": "us-east-1", "teams": {"ads": {"accelerators": {"nvidia-t4": 1}}}}
    )
    cluster.api.call("POST", "/api/v1/namespaces", {"metadata": {"name": "team-ads"}})
    quota = {"metadata": {"name": "accelerators"}, "spec": {"hard": accelerator_quota("ads", team, [T4S])}}
    cluster.api.call("POST", "/api/v1/namespaces/team-ads/resourcequotas", quota)

    def used() -> dict[str, str]:
        found = cluster.api.call("GET", "/api/v1/namespaces/team-ads/resourcequotas/accelerators")
        return dict(found.get("status", {}).get("used") or {})

    def ready(name: str) -> bool:
        return is_ready(cluster.api.call("GET", f"/api/v1/namespaces/team-ads/pods/{name}"))

    assert until(lambda: set(used().values()) == {"0"})
    first = cluster.run(T4S, namespace="team-ads")
    assert until(lambda: ready(first))
    # The DeviceClass bears the extended resource's name, and so a claim counts as both.
    assert until(lambda: set(used().values()) == {"1"}), used()
    second = cluster.run(T4S, namespace="team-ads")

    def said() -> str:
        events = cluster.api.call("GET", "/api/v1/namespaces/team-ads/events")["items"]
        return " ".join(e["message"] for e in events if e["involvedObject"]["name"] == second)

    assert until(lambda: "exceeded quota: accelerators" in said()), said()
    assert not ready(second)
    cluster.api.call("DELETE", f"/api/v1/namespaces/team-ads/pods/{first}", gracePeriodSeconds="0")
    assert until(lambda: ready(second)), "the share is free again"
    cluster.api.call("DELETE", f"/api/v1/namespaces/team-ads/pods/{second}", gracePeriodSeconds="0")


def test_slices_go_with_the_driver_and_with_the_node(cluster: Cluster) -> None:
    cluster.sim.set_pool(as_the_cloud_makes_it(ON_AKS))
    assert until(lambda: len(cluster.published(ON_AKS)) == 1)
    (node,) = cluster.sim.nodes("onaks")
    cluster.sim.remove_pool("onaks")

    def left() -> list[str]:
        return [s["spec"]["nodeName"] for s in cluster.api.call("GET", f"{RESOURCE}/resourceslices")["items"]]

    assert until(lambda: node not in left())
    assert left() == cluster.sim.nodes("t4s"), "the others stay"
    plugin = "dra-driver-nvidia-gpu-kubelet-plugin"
    cluster.api.call("DELETE", f"/apis/apps/v1/namespaces/{dra_driver.NAMESPACE}/daemonsets/{plugin}")
    assert until(lambda: left() == [])
    name = cluster.run(T4S)
    assert NOT_TO_BE_HAD in cluster.waits(name)
    cluster.run_driver(T4S, ON_AKS)
    assert cluster.runs(name)
    cluster.end(name)


# Growth. What a cloud's autoscaler knows of a pool without nodes is the cloud's.


def test_on_gke_claims_bring_the_first_node_and_its_kernel_driver_comes_before_its_slice(cluster: Cluster) -> None:
    nodes = replace(as_the_cloud_makes_it(ON_GKE), plugin_builtin=False, driver_ok=False)
    cluster.sim.set_pool(replace(nodes, min_nodes=0, max_nodes=2, size=0, autoscaled=True))
    cluster.run_driver(T4S, ON_AKS, ON_GKE)
    names = [cluster.run(ON_GKE), cluster.run(ON_GKE)]
    assert until(lambda: len(cluster.sim.nodes("on-gke")) == 2), "a node each: one GPU a node"
    assert not waiting.until(lambda: cluster.published(ON_GKE) != [], seconds=3), "GKE installed no kernel driver"
    labels = {"app": "installer"}
    template = {"metadata": {"labels": labels}, "spec": gke_driver._pod([ON_GKE])}
    daemon = {"metadata": {"name": "installer"}, "spec": {"selector": {"matchLabels": labels}, "template": template}}
    cluster.api.call("POST", f"/apis/apps/v1/namespaces/{dra_driver.NAMESPACE}/daemonsets", daemon)
    assert cluster.runs(*names)
    for node in cluster.sim.nodes("on-gke"):
        offered = cluster.api.call("GET", f"/api/v1/nodes/{node}")["status"]["allocatable"]
        assert "nvidia.com/gpu" not in offered, "GKE's own plugin stayed away"
    cluster.end(*names)
    assert until(lambda: cluster.sim.nodes("on-gke") == []), "idle nodes go"
    cluster.sim.remove_pool("on-gke")


def test_on_aks_no_claim_brings_the_first_node_and_a_standing_one_brings_more(cluster: Cluster) -> None:
    nodes = replace(as_the_cloud_makes_it(ON_AKS), min_nodes=0, max_nodes=2, autoscaled=True)
    cluster.sim.set_pool(replace(nodes, size=0))
    first = cluster.run(ON_AKS)
    assert not waiting.until(lambda: cluster.sim.nodes("onaks") != [], seconds=4), "which is why nodes.min is 1 there"
    cluster.sim.set_pool(replace(nodes, min_nodes=1, size=1))
    assert cluster.runs(first)
    second = cluster.run(ON_AKS)
    assert cluster.runs(second)
    assert len(cluster.sim.nodes("onaks")) == 2
    cluster.end(first, second)
    cluster.sim.remove_pool("onaks")
