"""What the local clouds refuse, and in what order they let go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet.catalog.clouds import Cloud
from sandbox.cloud.errors import CloudError
from sandbox.cloud.gcp import _refuse_tpu_shape
from sandbox.cloud.pools import hardware, refuse_absent, size_after
from sandbox.cloud.records import Record
from sandbox.cloud.world import World, plain_type


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def aws(world: World, type_: str, **inputs: Any) -> Record:
    return world.create("aws", type_, f"urn::{type_}", {"region": "us-east-1"}, inputs, {})


def test_a_vpc_goes_only_after_its_subnets_and_a_subnet_after_what_is_in_it(world: World) -> None:
    vpc = aws(world, "aws:ec2/vpc:Vpc", cidrBlock="10.0.0.0/16")
    subnet = aws(world, "aws:ec2/subnet:Subnet", vpcId=vpc.id, cidrBlock="10.0.0.0/24", tags={"Name": "a"})
    card = aws(world, "aws:ec2/networkInterface:NetworkInterface", subnetId=subnet.id)
    for held, holder in ((vpc, subnet), (subnet, card)):
        with pytest.raises(CloudError, match=f"DependencyViolation.*{holder.id}"):
            world.delete("aws", held.type, held.id)
    for record in (card, subnet, vpc):
        world.delete("aws", record.type, record.id)
    assert world.records.all() == []


def test_a_name_is_taken_once(world: World) -> None:
    aws(world, "aws:ec2/placementGroup:PlacementGroup", name="q", strategy="cluster")
    with pytest.raises(CloudError, match="AlreadyExists") as refused:
        aws(world, "aws:ec2/placementGroup:PlacementGroup", name="q", strategy="cluster")
    assert refused.value.status == 409


def test_deleting_what_is_gone_is_no_error(world: World) -> None:
    world.delete("aws", "aws:ec2/placementGroup:PlacementGroup", "never")


def test_find_knows_a_thing_by_its_name_its_tag_or_its_content(world: World) -> None:
    queue = aws(world, "aws:ec2/placementGroup:PlacementGroup", name="q", strategy="cluster")
    vpc = aws(world, "aws:ec2/vpc:Vpc", cidrBlock="10.0.0.0/16", tags={"Name": "mine"})
    plain = aws(world, "aws:ec2/eip:Eip", domain="vpc")
    assert [r.id for r in world.find("aws", "aws:ec2/placementGroup:PlacementGroup", {"name": "q"})] == [queue.id]
    assert [r.id for r in world.find("aws", "aws:ec2/vpc:Vpc", {"tags": {"Name": "mine"}})] == [vpc.id]
    assert world.find("aws", "aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/16", "tags": {"Name": "other"}}) == []
    assert [r.id for r in world.find("aws", "aws:ec2/eip:Eip", {"domain": "vpc"})] == [plain.id]
    assert world.find("aws", "aws:ec2/placementGroup:PlacementGroup", {"name": "other"}) == []


def test_find_leaves_what_another_stack_owns(world: World) -> None:
    tags = {"Name": "mine", "accelfleet-stack": "theirs"}
    vpc = aws(world, "aws:ec2/vpc:Vpc", cidrBlock="10.0.0.0/16", tags=tags)
    wanted = {"tags": {"Name": "mine"}}
    assert world.find("aws", vpc.type, wanted, stack="ours") == []
    assert [r.id for r in world.find("aws", vpc.type, wanted, stack="theirs")] == [vpc.id]


def test_azure_wants_its_group_first_and_takes_all_in_it_along(world: World) -> None:
    def azure(type_: str, **inputs: Any) -> Record:
        return world.create("azure-native", type_, "urn", {}, inputs, {})

    with pytest.raises(CloudError, match="ResourceGroupNotFound"):
        azure("azure-native:network:VirtualNetwork", resourceGroupName="rg", virtualNetworkName="v")
    group = azure("azure-native:resources:ResourceGroup", resourceGroupName="rg", location="eastus")
    network = azure("azure-native:network:VirtualNetwork", resourceGroupName="rg", virtualNetworkName="v")
    assert network.id.startswith(group.id + "/providers/Microsoft.Network/")
    world.delete("azure-native", group.type, group.id)
    assert world.records.all() == []


def test_pain_05_a_region_without_the_machine_refuses_it_and_names_those_that_have_it() -> None:
    with pytest.raises(CloudError, match=r"p5\.48xlarge is not offered in eu-west-1; it is in .*us-east-1"):
        refuse_absent(hardware(Cloud.AWS, "p5.48xlarge"), "eu-west-1")


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ({"placementPolicy": {"tpuTopology": "2x2"}, "nodeCount": 1}, "a single host sets none"),
        ({"placementPolicy": {"tpuTopology": "4x4"}, "nodeCount": 3, "nodeLocations": ["z"]}, "has 4 hosts, the pool has 3"),
        ({"placementPolicy": {"tpuTopology": "4x4"}, "nodeCount": 4, "nodeLocations": ["y", "z"]}, "lives in one zone"),
    ],
)
def test_pain_9_gke_refuses_slices_of_the_wrong_shape(inputs: dict[str, Any], why: str) -> None:
    with pytest.raises(CloudError, match=why):
        _refuse_tpu_shape(inputs, hardware(Cloud.GCP, "ct5lp-hightpu-4t"))


def test_pain_11_a_size_that_nobody_changed_stays_as_the_autoscaler_left_it() -> None:
    assert size_after((0, 5, 1), (0, 5, 1), current=4) == 4
    assert size_after((0, 5, 1), (0, 3, 1), current=4) == 3
    assert size_after((0, 5, 1), (0, 5, 2), current=4) == 2


def test_versioned_azure_types_behave_as_the_plain_ones() -> None:
    assert plain_type("azure-native:network/v20240501:Subnet") == "azure-native:network:Subnet"
    assert plain_type("aws:ec2/vpc:Vpc") == "aws:ec2/vpc:Vpc"


def test_the_log_counts_what_the_cloud_did(world: World) -> None:
    queue = aws(world, "aws:ec2/placementGroup:PlacementGroup", name="q", strategy="cluster")
    world.update("aws", queue.type, queue.id, {"name": "q", "tags": {"a": "b"}})
    world.delete("aws", queue.type, queue.id)
    assert [e["action"] for e in world.records.log()] == ["create", "created", "update", "delete"]
