"""The real Karpenter on the sandbox's AWS and a real scheduler: nodes come for pods, go when idle, and are bought as told."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import psutil
import pytest

from fleet.catalog.fabric import EFA_RESOURCE, node_fabric
from fleet.contract import AcceleratorPool, Terms
from infra import versions
from sandbox.cloud.errors import CloudError
from sandbox.cloud.server import _exhaust, _quota, _reclaim, _reserve, _resize, _status
from tests import waiting
from tests.accelerator_pools import pool_of
from tests.sandbox.karpenter_cluster import CLAIMS, NAME, REGION, TEMPLATE, ZONES, Trial, hardware, serving
from tests.sandbox.test_spot import device_plugin
from tests.watching import watching

until = partial(waiting.until, seconds=180)
pytestmark = pytest.mark.sandbox
MOST = 3
WHERE = {"cloud": "aws", "cluster": NAME}


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    with serving(tmp_path_factory.mktemp("karpenter")) as world:
        yield Trial(world)


def laddered(machine: str, name: str, **changes: Any) -> AcceleratorPool:
    """A spot pool with its fallback. Each test has a machine of its own: Karpenter remembers for minutes what was refused."""
    first = pool_of(hardware(machine), auto=True, name=name, spot=True, zones=ZONES, max_nodes=MOST, **changes)
    return replace(first, fallback=replace(first, physical_name=f"{name}-od", spot=False))


def refused(trial: Trial, pool: str) -> str:
    (cluster,) = _status(trial.world, {})["clusters"]
    return str(next((p["refused"] for p in cluster["pools"] if p["name"] == pool), trial.sim.instances.refused(pool)))


def end(trial: Trial, pool: AcceleratorPool) -> None:
    """Nothing is left of a pool once its pods and its NodePools are gone."""
    trial.undeploy(pool.name)
    trial.withdraw(pool)
    assert until(lambda: not any(trial.sim.instances.count(rung.physical_name) for rung in pool.rungs)), trial.log()[-2000:]
    assert until(lambda: not any(trial.sim.nodes(rung.physical_name) for rung in pool.rungs))


def test_pods_make_nodes_from_none_up_to_the_limit_and_idle_ones_go(trial: Trial) -> None:
    pool = trial.offer(
        pool_of(hardware("g6.xlarge"), auto=True, name="l4", zones=ZONES, max_nodes=MOST, extra_labels={"tier": "web"})
    )
    standing: set[str] = set()
    most = [0]

    def count(change: str, node: dict[str, Any]) -> None:
        if node["metadata"]["labels"].get("accelfleet.io/pool") == "l4":
            (standing.discard if change == "DELETED" else standing.add)(node["metadata"]["name"])
            most[0] = max(most[0], len(standing))

    with watching(trial.plane, "/api/v1/nodes", count):
        trial.deploy(pool, MOST + 2, "l4")
        # What would fit but tolerates nothing gets no node, and no place on one.
        trial.deploy(pool, 1, "stray", tolerations=[])
        assert until(lambda: trial.ready("l4") == MOST), (trial.pods("l4"), trial.log()[-3000:])
        for node in trial.nodes("l4"):
            labels, taints = node["metadata"]["labels"], node["spec"]["taints"]
            assert (pool.node_labels | pool.cloud_labels).items() <= labels.items()
            assert (labels["tier"], labels["karpenter.sh/registered"]) == ("web", "true")
            assert {(t["key"], t.get("value", ""), t["effect"]) for t in taints} == {
                (t.key, t.value, t.effect) for t in pool.all_taints
            }
            assert node["status"]["allocatable"][pool.resource] == str(pool.slots)
        assert {i["instanceType"] for i in trial.instances()} == {pool.machine.name}
        assert all(i["availabilityZone"] in ZONES and not i["spot"] for i in trial.instances())
        (template,) = {i["launchTemplateData"]["IamInstanceProfile"]["Name"] for i in trial.instances()}
        assert template == "nodes"
        assert not any(p["spec"].get("nodeName") for p in trial.pods("stray"))
        with pytest.raises(CloudError, match="Karpenter makes the nodes of l4"):
            _resize(trial.world, {**WHERE, "pool": "l4", "size": 1})
        trial.scale(1, "l4")
        assert until(lambda: trial.sim.instances.count("l4") == 1), "idle nodes cost money"
        trial.scale(0, "l4")
        assert until(lambda: trial.sim.nodes("l4") == []), "the last one too"
    assert most == [MOST]
    assert trial.instances() == []
    assert until(lambda: trial.api.call("GET", CLAIMS)["items"] == [])
    trial.undeploy("stray")
    end(trial, pool)
    assert until(lambda: trial.world.records.all("aws", TEMPLATE) == []), "its launch templates go with its class"


def test_pain_06_where_there_is_no_spot_karpenter_goes_on_to_the_next_rung(trial: Trial) -> None:
    pool = trial.offer(laddered("g5.xlarge", "a10g"))
    _exhaust(trial.world, {**WHERE, "pool": "a10g", "exhausted": True})
    trial.deploy(pool, 2, "a10g")
    assert until(lambda: trial.ready("a10g") == 2), trial.log()[-3000:]
    assert (trial.sim.nodes("a10g"), len(trial.sim.nodes("a10g-od"))) == ([], 2)
    assert "InsufficientInstanceCapacity" in refused(trial, "a10g")
    assert {n["metadata"]["labels"]["accelfleet.io/purchase"] for n in trial.nodes("a10g-od")} == {"on-demand"}
    _exhaust(trial.world, {**WHERE, "pool": "a10g", "exhausted": False})
    with pytest.raises(CloudError, match="no pool nowhere"):
        _exhaust(trial.world, {**WHERE, "pool": "nowhere", "exhausted": True})
    end(trial, pool)


def test_pain_06_what_a_quota_of_spot_refuses_the_next_rung_takes(trial: Trial) -> None:
    pool = trial.offer(laddered("g6e.xlarge", "l40s"))
    row = pool.machine
    _quota(trial.world, {"cloud": "aws", "region": REGION, "quota": row.spot_quota, "limit": row.vcpus})
    try:
        trial.deploy(pool, 2, "l40s")
        assert until(lambda: trial.ready("l40s") == 2), trial.log()[-3000:]
        assert [len(trial.sim.nodes(rung.physical_name)) for rung in pool.rungs] == [1, 1]
        assert "MaxSpotInstanceCountExceeded" in refused(trial, "l40s")
    finally:
        _quota(trial.world, {"cloud": "aws", "region": REGION, "quota": row.spot_quota, "limit": None})
    end(trial, pool)


def test_pain_16_a_warning_drains_a_node_as_its_pods_budget_allows(trial: Trial) -> None:
    pool = trial.offer(laddered("g4dn.xlarge", "t4"))
    budget = {"metadata": {"name": "t4"}, "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "t4"}}}}
    trial.api.call("POST", "/apis/policy/v1/namespaces/default/poddisruptionbudgets", budget)
    trial.deploy(pool, 2, "t4")
    assert until(lambda: trial.ready("t4") == 2), trial.log()[-3000:]
    assert len(trial.sim.nodes("t4")) == 2, "as spot"
    before = set(trial.sim.nodes("t4"))
    least = [2]
    ready: dict[str, bool] = {}

    def count(change: str, pod: dict[str, Any]) -> None:
        conditions = {c["type"]: c["status"] for c in pod["status"].get("conditions") or []}
        alive = change != "DELETED" and not pod["metadata"].get("deletionTimestamp")
        ready[pod["metadata"]["name"]] = alive and conditions.get("Ready") == "True"
        if len(ready) >= 2:
            least[0] = min(least[0], sum(ready.values()))

    with watching(trial.plane, "/api/v1/namespaces/default/pods?labelSelector=app%3Dt4", count):
        taken = _reclaim(trial.world, {**WHERE, "pool": "t4", "count": 2, "notice_s": 120})
        assert set(taken) == before
        assert until(lambda: trial.ready("t4") == 2), trial.log()[-3000:]
    assert least[0] >= 1, "the budget holds: one of two at a time"
    assert not before & {pod["spec"]["nodeName"] for pod in trial.pods("t4")}
    assert "initiating delete from interruption message" in trial.log()
    with pytest.raises(CloudError, match="no spot pool"):
        _reclaim(trial.world, {**WHERE, "pool": "t4-od", "count": 1, "notice_s": 0})
    end(trial, pool)


def test_pain_16_a_machine_that_just_ends_is_replaced(trial: Trial) -> None:
    pool = trial.offer(laddered("g6.2xlarge", "gone"))
    trial.deploy(pool, 1, "gone")
    assert until(lambda: trial.ready("gone") == 1), trial.log()[-3000:]
    (taken,) = _reclaim(trial.world, {**WHERE, "pool": "gone", "count": 1})
    assert until(lambda: trial.ready("gone") == 1 and trial.pods("gone")[0]["spec"]["nodeName"] != taken), trial.log()[-3000:]
    end(trial, pool)


def test_pain_13_what_is_reserved_comes_first_and_no_more_of_it_than_there_is(trial: Trial) -> None:
    cr = "cr-0123456789abcdef0"
    _reserve(trial.world, {"id": cr, "machine": "g5.2xlarge", "zone": ZONES[1], "count": 1})
    last = pool_of(hardware("g5.2xlarge"), auto=True, name="held", zones=ZONES, max_nodes=MOST, physical_name="held-od")
    first = replace(last, physical_name="held-rs", terms=Terms("reservation", cr), zones=ZONES[1:], max_nodes=2, fallback=last)
    trial.offer(first)
    trial.deploy(first, 2, "held")
    assert until(lambda: trial.ready("held") == 2), trial.log()[-3000:]
    assert [len(trial.sim.nodes(rung.physical_name)) for rung in first.rungs] == [1, 1]
    (node,) = trial.nodes("held-rs")
    labels = node["metadata"]["labels"]
    assert (first.node_labels | first.cloud_labels).items() <= labels.items()
    assert labels["karpenter.sh/capacity-type"] == "reserved"
    assert labels["topology.kubernetes.io/zone"] == ZONES[1]
    assert {i["reservation"] for i in trial.instances()} == {cr, None}
    end(trial, first)


def test_nodes_side_by_side_have_their_adapters(trial: Trial) -> None:
    trial.make("aws:ec2/placementGroup:PlacementGroup", name="side", strategy="cluster")
    adapters = device_plugin()
    adapters["metadata"]["name"] = "adapters"
    adapters["spec"]["template"]["spec"]["containers"][0]["image"] = versions.EFA_DEVICE_PLUGIN_IMAGE
    trial.api.call("POST", "/apis/apps/v1/namespaces/default/daemonsets", adapters)
    wide = pool_of(hardware("g6.12xlarge"), auto=True, name="wide", zones=ZONES[:1])
    pool = trial.offer(replace(wide, fabric=node_fabric(wide.machine)), placement_group="side")
    trial.deploy(pool, 1, "wide", count=pool.per_node)
    assert until(lambda: trial.ready("wide") == 1), trial.log()[-3000:]
    (node,) = trial.nodes("wide")
    assert node["status"]["allocatable"][EFA_RESOURCE] == "1"
    (instance,) = trial.instances()
    interfaces = instance["launchTemplateData"]["NetworkInterfaces"]
    assert [i["InterfaceType"] for i in interfaces] == ["interface", "efa-only"]
    assert instance["launchTemplateData"]["Placement"]["GroupId"].startswith("pg-")
    end(trial, pool)


def test_a_program_that_ended_is_started_again_and_goes_on(trial: Trial) -> None:
    (program,) = [
        process
        for process in psutil.Process().children(recursive=True)
        if process.name() == "karpenter" and process.is_running()
    ]
    os.kill(program.pid, signal.SIGKILL)
    pool = trial.offer(pool_of(hardware("g4dn.12xlarge"), auto=True, name="again", zones=ZONES))
    trial.deploy(pool, 1, "again")
    assert until(lambda: trial.ready("again") == 1), trial.log()[-3000:]
    end(trial, pool)
