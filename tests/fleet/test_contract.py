"""The scheduling contract over the whole catalogue, by the pains of the field that it takes away."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from fleet.catalog.accelerators import Family
from fleet.catalog.clouds import Cloud
from fleet.catalog.drivers import DriverOwner, driver_owner
from fleet.catalog.machines import Machine, gke_name, machine
from fleet.catalog.nodes import Taint
from fleet.catalog.tpu import TOPOLOGIES, tpu_slice
from fleet.contract import ALLOCATION_LABEL, AcceleratorPool
from fleet.plan import pools
from fleet.spec import ClusterSpec
from tests.accelerator_pools import INF2, L4, L4_ON_GKE, ON_OFFER, T4_ON_AKS, pool_of, tolerates

TAG = "k8s.io/cluster-autoscaler/node-template"
SLICES = [tpu_slice(version, shape) for version, shapes in TOPOLOGIES.items() for shape in shapes]
EVERY_POOL = [pool_of(hardware, spot=spot) for hardware, spot in product(ON_OFFER, (False, True))]
EVERY_POOL += [pool_of(shape.machine, spot=spot, tpu=shape) for shape, spot in product(SLICES, (False, True))]


def shown(pool: AcceleratorPool) -> str:
    return f"{pool.cloud}-{pool.machine.name}-{pool.tpu.topology if pool.tpu else 'x'}-{'spot' if pool.spot else 'od'}"


every_pool = pytest.mark.parametrize("pool", EVERY_POOL, ids=shown)


def labels(pool: AcceleratorPool) -> dict[str, str]:
    return pool.cloud_labels | pool.node_labels


def lands(pod: AcceleratorPool, node: AcceleratorPool) -> bool:
    placement = pod.placement(pod.per_node)
    selected = placement.node_selector.items() <= labels(node).items()
    return selected and all(any(tolerates(t, taint) for t in placement.tolerations) for taint in node.all_taints)


@every_pool
def test_pain_02_a_pod_selects_labels_and_tolerates_taints_that_its_nodes_carry(pool: AcceleratorPool) -> None:
    assert lands(pool, pool)
    for toleration in pool.placement(pool.per_node).tolerations:
        assert any(tolerates(toleration, taint) for taint in pool.all_taints), f"tolerates what is not there: {toleration}"


@every_pool
def test_pain_02_other_pods_stay_off_accelerators_and_off_spot(pool: AcceleratorPool) -> None:
    keys = [taint.key for taint in pool.all_taints]
    assert pool.resource in keys
    assert len(keys) == len(set(keys))
    assert all(taint.effect == "NoSchedule" for taint in pool.all_taints)
    assert any("spot" in taint.value or "spot" in taint.key for taint in pool.all_taints) == pool.spot
    assert not set(pool.node_taints) & set(pool.cloud_taints), "the cloud refuses, or doubles, a taint it adds itself"


def test_pain_02_a_pod_lands_in_its_own_pool_and_in_no_other() -> None:
    hardware = [L4, INF2, L4_ON_GKE, T4_ON_AKS]
    own = [pool_of(h, name=f"p{i}{spot:d}", spot=spot) for (i, h), spot in product(enumerate(hardware), (False, True))]
    assert [(a.name, b.name) for a, b in product(own, own) if lands(a, b)] == [(p.name, p.name) for p in own]


@pytest.mark.parametrize("hardware", [m for m in ON_OFFER if m.cloud is Cloud.AWS], ids=lambda m: m.name)
def test_at_zero_nodes_the_autoscaler_sees_the_same_node_as_the_pod(hardware: Machine) -> None:
    pool = pool_of(hardware, spot=True)
    tags = pool.autoscaler_tags("main")
    head = "k8s.io/cluster-autoscaler/node-template"

    def told(kind: str) -> dict[str, str]:
        return {k.removeprefix(f"{head}/{kind}/"): v for k, v in tags.items() if k.startswith(f"{head}/{kind}/")}

    assert sorted(Taint(key, *value.split(":")) for key, value in told("taint").items()) == list(pool.all_taints)
    assert told("label") == pool.node_labels
    assert told("resources") == {pool.resource: str(hardware.accelerators)}
    assert tags["k8s.io/cluster-autoscaler/main"] == "owned"


# The notice of each cloud: the last of GKE's 30 seconds are for its own pods.
NOTICE_S = {Cloud.AWS: 120, Cloud.GCP: 15, Cloud.AZURE: 30}


@pytest.mark.parametrize("hardware", ON_OFFER, ids=lambda m: f"{m.cloud}-{m.name}")
def test_pain_16_a_pod_that_may_be_on_spot_ends_within_its_clouds_notice(hardware: Machine) -> None:
    spot, steady = pool_of(hardware, spot=True), pool_of(hardware)
    for pool in (spot, replace(spot, fallback=steady), replace(steady, fallback=spot)):
        assert 0 < pool.grace_s <= NOTICE_S[hardware.cloud]
    assert steady.grace_s == 120


@every_pool
def test_pain_03_exactly_one_brings_the_device_plugin(pool: AcceleratorPool) -> None:
    assert pool.needs_device_plugin == (pool.cloud is not Cloud.GCP)


@every_pool
def test_pain_04_exactly_one_brings_the_driver(pool: AcceleratorPool) -> None:
    assert driver_owner(pool.cloud, pool.family) is DriverOwner.CLOUD


@pytest.mark.parametrize("shape", SLICES, ids=lambda s: f"{s.accelerator}-{s.topology}")
def test_pain_09_a_tpu_pod_says_version_and_shape_and_takes_its_host_whole(shape: Any) -> None:
    pool = pool_of(shape.machine, tpu=shape)
    placement = pool.placement(shape.machine.accelerators)
    prefix = "cloud.google.com/gke-tpu-"
    assert placement.node_selector[f"{prefix}topology"] == shape.topology
    assert placement.node_selector[f"{prefix}accelerator"] == gke_name(shape.machine)
    assert (placement.resource, placement.count) == ("google.com/tpu", shape.machine.accelerators)
    if shape.machine.accelerators > 1:
        with pytest.raises(ValueError, match="takes all"):
            pool.placement(1)


@every_pool
def test_a_pod_that_no_node_can_hold_is_refused_with_what_would_do(pool: AcceleratorPool) -> None:
    for count in (0, -1, pool.per_node + 1):
        with pytest.raises(ValueError, match=f"asks for {count} {pool.accelerator.name}.*ask for 1 to {pool.per_node}"):
            pool.placement(count)


@pytest.mark.parametrize("family", [Family.NVIDIA, Family.TPU, Family.NEURON])
def test_one_family_has_one_resource_name_everywhere(family: Family) -> None:
    assert {p.resource for p in EVERY_POOL if p.family is family} == {family.resource}


@pytest.mark.parametrize("sizes", [[], [1], [16], [16, 4], [140], [700, 140]], ids=str)
def test_pain_17_the_disk_holds_images_and_weights_with_room_to_unpack(sizes: list[int]) -> None:
    models = {f"m{i}": {"pool": "gpu", "weights": {"store": "s", "size_gib": size}} for i, size in enumerate(sizes)}
    spec = ClusterSpec.model_validate(
        {"cloud": "aws", "region": "us-east-1", "pools": {"gpu": {"accelerator": "nvidia-l4"}}, "models": models}
    )
    disk = pools("prod", "main", spec)["gpu"].disk_gib
    # vLLM's image is 25 GiB on disk, there twice while a new one is pulled; weights lie there as they come and unpacked.
    assert disk >= max(100, 2 * 25 + 2 * sum(sizes) + 20)
    assert disk <= max(100, 2 * 25 + 2 * sum(sizes) + 30), "more than needed is money"


def test_labels_of_the_stack_file_are_on_the_nodes_and_change_no_placement() -> None:
    plain, labelled = pool_of(L4), pool_of(L4, extra_labels={"team": "search"})
    assert labels(labelled)["team"] == "search"
    assert labelled.placement(1) == plain.placement(1)


def test_a_pod_takes_one_neuron_device_or_all_of_a_node() -> None:
    row = machine(Cloud.AWS, "inf2.48xlarge")
    assert row is not None
    pool = pool_of(row)
    assert [pool.placement(count).count for count in (1, 12)] == [1, 12]
    for count in (2, 6, 11):
        with pytest.raises(ValueError, match=f"takes 1 or 12 Neuron devices of a inf2.48xlarge, not {count}"):
            pool.placement(count)


CLAIMED = [pool_of(m, spot=spot, dra=True) for m in ON_OFFER if m.accelerator.family is Family.NVIDIA for spot in (False, True)]


@pytest.mark.parametrize("pool", CLAIMED, ids=shown)
def test_a_claimed_pool_yields_a_claim_in_place_of_a_resource(pool: AcceleratorPool) -> None:
    placement = pool.placement(pool.per_node)
    assert placement.resource is None, "a pod with both would take two accelerators"
    assert placement.claim is not None
    (request,) = placement.claim.spec["devices"]["requests"]
    asked = request["exactly"]
    assert (asked["deviceClassName"], asked["count"]) == ("gpu.nvidia.com", pool.per_node)
    assert "nvidia.com/gpu" not in str(pool.autoscaler_tags("c").keys() - {f"{TAG}/taint/nvidia.com/gpu"})
    assert not pool.needs_device_plugin
    assert lands(pool, pool)


def test_a_counted_pool_claims_nothing_and_says_so_on_its_nodes() -> None:
    for hardware in (L4, L4_ON_GKE, T4_ON_AKS):
        counted, claimed = pool_of(hardware), pool_of(hardware, dra=True)
        assert counted.placement(1).claim is None
        assert counted.placement(1).resource == "nvidia.com/gpu"
        assert ALLOCATION_LABEL not in counted.node_labels
        assert claimed.node_labels[ALLOCATION_LABEL] == "dra"


def test_gke_keeps_its_plugin_off_claimed_gpus_whatever_labels_the_file_adds() -> None:
    plugin_off = "gke-no-default-nvidia-gpu-device-plugin"
    pool = pool_of(L4_ON_GKE, dra=True, extra_labels={plugin_off: "false", "tier": "gold"})
    assert pool.node_labels[plugin_off] == "true"
    assert pool.node_labels["cloud.google.com/gke-nvidia-gpu-dra-driver"] == "true", "its autoscaler goes by it"
    assert pool.node_labels["tier"] == "gold"
    assert plugin_off not in pool_of(L4, dra=True).node_labels


@pytest.mark.parametrize(("hardware", "gib"), [(L4, 21), (T4_ON_AKS, 14)])
def test_a_claim_asks_for_devices_of_the_size_that_was_bought(hardware: Machine, gib: int) -> None:
    claim = pool_of(hardware, dra=True).placement(1).claim
    assert claim is not None
    assert claim.selectors == (f"device.capacity['gpu.nvidia.com'].memory.compareTo(quantity('{gib}Gi')) >= 0",)


def test_nothing_claims_what_no_driver_hands_out() -> None:
    with pytest.raises(LookupError, match="no DRA driver is known for inferentia2"):
        pool_of(INF2, dra=True).placement(1)


def test_the_stack_file_says_which() -> None:
    def planned(**more: str) -> AcceleratorPool:
        spec = {"accelerator": "nvidia-l4", "nodes": {"min": 1, "max": 2}, **more}
        return pools("s", "c", ClusterSpec.model_validate({"cloud": "aws", "region": "us-east-1", "pools": {"gpu": spec}}))[
            "gpu"
        ]

    assert not planned().dra
    assert not planned(allocation="device-plugin").dra
    assert planned(allocation="dra").dra
