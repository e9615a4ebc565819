"""What a destroyed cluster left in the cloud: swept in an order that works, and never anybody else's."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fleet.leftovers import Found, of_cluster, remaining, sweep

EKS = {"kubernetes.io/cluster/prod-main": "owned"}
GKE = {"goog-k8s-cluster-name": "prod-main"}
AKS = {"k8s-azure-cluster-name": "prod-main"}
OURS = {"accelfleet-stack": "prod"}
CLUSTERS = {"prod-main"}


class Cloud:
    """A cloud where a thing that another one holds cannot be deleted."""

    def __init__(self, *things: Found, held_by: dict[str, str] | None = None) -> None:
        self.things = list(things)
        self.held_by = held_by or {}
        self.deleted: list[str] = []

    def listed(self) -> Sequence[Found]:
        return tuple(self.things)

    def delete(self, found: Found) -> None:
        holder = self.held_by.get(found.id)
        assert holder is None or holder in self.deleted, f"{found.id} is held by {holder}"
        self.things.remove(found)
        self.deleted.append(found.id)


def thing(kind: str, id_: str, tags: dict[str, str], cloud: str = "aws") -> Found:
    return Found(cloud, f"{cloud}:module/{kind.lower()}:{kind}", id_, f"name-of-{id_}", tags)


def test_what_holds_another_goes_first() -> None:
    cloud = Cloud(
        thing("SecurityGroup", "group", EKS),
        thing("Volume", "volume", EKS),
        thing("NetworkInterface", "interface", EKS),
        thing("PublicIPAddress", "address", AKS, "azure"),
        thing("LoadBalancer", "balancer", EKS),
        held_by={"group": "interface", "interface": "balancer", "address": "balancer"},
    )
    swept = sweep(cloud, CLUSTERS, set())
    assert swept[0] == "LoadBalancer name-of-balancer (balancer)"
    assert len(swept) == len(cloud.deleted) == 5
    assert cloud.things == []


@pytest.mark.parametrize("tags", [EKS, GKE, AKS], ids=["eks", "gke", "aks"])
def test_a_cluster_marks_its_things_in_its_clouds_own_way(tags: dict[str, str]) -> None:
    assert of_cluster(thing("Disk", "d", tags), CLUSTERS)


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"Name": "prod-main"},
        {"kubernetes.io/cluster/staging-main": "owned"},
        {"goog-k8s-cluster-name": "staging-main"},
        {"k8s-azure-cluster-name": "production"},
        {"kubernetes.io/cluster/prod": "owned"},
        {"kubernetes.io/cluster/non-prod-main": "owned"},
    ],
    ids=str,
)
def test_what_belongs_to_another_cluster_is_neither_touched_nor_named(tags: dict[str, str]) -> None:
    cloud = Cloud(thing("LoadBalancer", "theirs", tags))
    assert sweep(cloud, CLUSTERS, set()) == []
    assert remaining(cloud, "prod", CLUSTERS, set()) == []
    assert cloud.deleted == []


def test_a_stack_whose_name_begins_with_ours_is_another_stack() -> None:
    cloud = Cloud(thing("Volume", "theirs", {"kubernetes.io/cluster/prod-eu-main": "owned", "accelfleet-stack": "prod-eu"}))
    assert sweep(cloud, CLUSTERS, set()) == []
    assert cloud.deleted == []


def test_what_the_state_holds_is_left_to_the_engine() -> None:
    cloud = Cloud(thing("Volume", "known", EKS), thing("Volume", "unknown", EKS), thing("Bucket", "stored", OURS))
    assert sweep(cloud, CLUSTERS, {"known", "stored"}) == ["Volume name-of-unknown (unknown)"]
    assert [found.id for found in cloud.things] == ["known", "stored"]
    assert remaining(cloud, "prod", CLUSTERS, {"known", "stored"}) == []


@pytest.mark.parametrize("kind", ["Bucket", "Cluster", "NodeGroup", "Instance"])
def test_a_kind_that_may_hold_data_is_named_and_left(kind: str) -> None:
    cloud = Cloud(thing(kind, "x", EKS))
    assert sweep(cloud, CLUSTERS, set()) == []
    assert remaining(cloud, "prod", CLUSTERS, set()) == [f"{kind} name-of-x (x)"]


def test_a_thing_with_our_tag_alone_is_named_and_left() -> None:
    cloud = Cloud(thing("Volume", "x", OURS), thing("Volume", "y", {"accelfleet-stack": "staging"}))
    assert sweep(cloud, CLUSTERS, set()) == []
    assert remaining(cloud, "prod", CLUSTERS, set()) == ["Volume name-of-x (x)"]


def test_nothing_is_left_after_a_sweep_that_took_everything() -> None:
    cloud = Cloud(thing("Disk", "d", GKE, "gcp"), thing("ForwardingRule", "f", GKE, "gcp"))
    assert len(sweep(cloud, CLUSTERS, set())) == 2
    assert remaining(cloud, "prod", CLUSTERS, set()) == []
    assert sweep(cloud, CLUSTERS, set()) == []
