"""What the simulated driver publishes, and what an autoscaler makes of a claim: without a cluster."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from fleet.catalog.accelerators import Family
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import machine
from fleet.catalog.sharing import Sharing, SharingMode
from fleet.contract import AcceleratorPool
from sandbox.cluster import autoscaler, claims
from sandbox.cluster.pool import POOL
from tests.accelerator_pools import INF2, L4, L4_ON_GKE, ON_OFFER, T4_ON_AKS, pool_of
from tests.sandbox.test_nodes import as_the_cloud_makes_it

T4S = pool_of(machine(Cloud.AWS, "g4dn.12xlarge"), dra=True)
NVIDIA = [m for m in ON_OFFER if m.accelerator and m.accelerator.family is Family.NVIDIA]


class Templates:
    """An API server with one ResourceClaimTemplate."""

    def __init__(self, pool: AcceleratorPool, count: int) -> None:
        claim = pool.placement(count).claim
        assert claim is not None
        self._template = {"metadata": {"namespace": "default", "name": "t"}, "spec": {"spec": claim.spec}}

    def items(self, path: str) -> list[dict[str, Any]]:
        assert path == "/apis/resource.k8s.io/v1/resourceclaimtemplates"
        return [self._template]


def pod(pool: AcceleratorPool, count: int, **spec: Any) -> dict[str, Any]:
    placed = pool.placement(count)
    claimed = {"resourceClaims": [{"name": "a", "resourceClaimTemplateName": "t"}], "containers": [{"name": "c"}]}
    made = {"nodeSelector": placed.node_selector, "tolerations": placed.tolerations, **claimed, **spec}
    return {"metadata": {"namespace": "default", "name": "p", "uid": "u"}, "spec": made, "status": {}}


def standing(pool: AcceleratorPool, devices: int) -> dict[str, Any]:
    return {"metadata": {"name": "n", "annotations": {POOL: pool.physical_name}}, "devices": {"gpu.nvidia.com": devices}}


@pytest.mark.parametrize("hardware", NVIDIA, ids=lambda m: f"{m.cloud}-{m.name}-{m.accelerator.name}")
def test_every_gpu_is_described_and_has_the_memory_that_a_claim_asks_for(hardware: Any) -> None:
    pool = pool_of(hardware, dra=True)
    found = claims.devices(as_the_cloud_makes_it(pool), "node")
    assert len(found) == pool.per_node == len({d["attributes"]["uuid"]["string"] for d in found})
    for device in found:
        assert {"type", "uuid", "productName", "architecture", "cudaComputeCapability"} <= device["attributes"].keys()
    claim = pool.placement(1).claim
    assert claim is not None
    (selector,) = claim.selectors
    asked = autoscaler.quantity(selector.partition("quantity('")[2].partition("'")[0])
    seen = autoscaler.quantity(found[0]["capacity"]["memory"]["value"])
    assert asked <= seen < autoscaler.quantity(f"{pool.accelerator.memory_gib}Gi")


def test_what_the_driver_does_not_hand_out_it_does_not_publish() -> None:
    assert claims.devices(as_the_cloud_makes_it(pool_of(INF2)), "node") == []
    cut = replace(as_the_cloud_makes_it(T4S), sharing=Sharing(SharingMode.TIME_SLICING, 4))
    assert claims.devices(cut, "node") == []
    assert claims.devices(replace(as_the_cloud_makes_it(T4S), hardware=None), "node") == []


def test_an_autoscaler_counts_what_a_pod_claims() -> None:
    pods = [pod(T4S, 2), pod(T4S, 2, nodeName="n"), {"spec": {"containers": []}, "metadata": {"namespace": "default"}}]
    claims.count(Templates(T4S, 2), pods)  # type: ignore[arg-type]
    assert [autoscaler.requests(one).get("gpu.nvidia.com") for one in pods] == [Decimal(2), None, None]


@pytest.mark.parametrize("hardware", [L4, T4_ON_AKS, L4_ON_GKE], ids=lambda m: str(m.cloud))
def test_only_gkes_autoscaler_expects_devices_of_a_pool_that_is_empty(hardware: Any) -> None:
    pool = pool_of(hardware, dra=True)
    nodes, waiting = as_the_cloud_makes_it(pool), pod(pool, 1)
    claims.count(Templates(pool, 1), [waiting])  # type: ignore[arg-type]
    assert autoscaler.fits(waiting, nodes, []) == (hardware.cloud is Cloud.GCP)
    assert autoscaler.fits(waiting, nodes, [standing(pool, 1)])
    if hardware.cloud is not Cloud.GCP:
        assert not autoscaler.fits(waiting, nodes, [standing(pool, 0)]), "its driver does not run"
    counted = as_the_cloud_makes_it(replace(pool, dra=False))
    assert not autoscaler.fits(waiting, counted, []), "nobody publishes the devices of a counted pool"
