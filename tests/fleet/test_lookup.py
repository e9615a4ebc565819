"""Where a resource is that no state mentions: ids told from inputs, and AWS's random ones by asking moto as a real account."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from fleet.load import load_stack
from fleet.lookup import TAKES_OVER, RealClouds, Wanted, aws, stack_of
from fleet.lookup.identities import IDENTITIES, UNKNOWN, identity
from fleet.workspace import STACKS
from infra.platform import deploy
from infra.stack import Stack
from sandbox.processes import free_ports
from tests.mocked_engine import deploy as run
from tests.mocked_engine import set_accounts

STACK = "prod"
TAGS = {"accelfleet-stack": STACK}


@pytest.mark.parametrize("name", ["aws-dev", "gcp-dev", "azure-dev"])
def test_every_type_that_the_platform_makes_can_be_looked_for(name: str) -> None:
    set_accounts()
    stack = Stack(name, load_stack(STACKS / f"{name}.yaml"))
    made = run(lambda: deploy(stack), stack=name).resources
    clouds = [r for r in made if r.type.startswith(("aws:", "gcp:", "azure-native:"))]
    assert clouds
    unknown = {r.type for r in clouds} - IDENTITIES.keys() - aws.TYPES - TAKES_OVER
    assert not unknown
    provider = {"region": "us-west1", "project": "p", "subscriptionId": "0"}
    unnamed = [r.type for r in clouds if r.type in IDENTITIES and identity(r.type, r.inputs, provider) is None]
    assert not unnamed, "the id's parts are not all inputs"


@pytest.mark.parametrize(
    ("type_", "inputs", "expected"),
    [
        ("aws:eks/nodeGroup:NodeGroup", {"clusterName": "c", "nodeGroupName": "n"}, "c:n"),
        ("aws:autoscaling/tag:Tag", {"autoscalingGroupName": "g", "tag": {"key": "k"}}, "g,k"),
        ("gcp:compute/network:Network", {"name": "n"}, "projects/p/global/networks/n"),
        ("gcp:compute/network:Network", {"name": "n", "project": "own"}, "projects/own/global/networks/n"),
        (
            "azure-native:network/v20240501:Subnet",
            {"resourceGroupName": "g", "virtualNetworkName": "v", "subnetName": "s"},
            "/subscriptions/sub/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v/subnets/s",
        ),
        ("aws:eks/nodeGroup:NodeGroup", {"clusterName": "c"}, None),
        ("aws:eks/nodeGroup:NodeGroup", {"clusterName": UNKNOWN, "nodeGroupName": "n"}, None),
        ("aws:ec2/vpc:Vpc", {"tags": {"Name": "v"}}, None),
    ],
)
def test_an_id_follows_from_inputs_and_provider(type_: str, inputs: dict[str, object], expected: str | None) -> None:
    assert identity(type_, inputs, {"project": "p", "subscriptionId": "sub"}) == expected


def test_the_stack_is_read_from_tags_wherever_a_provider_puts_them() -> None:
    assert stack_of({"tagsAll": TAGS}) == stack_of({"resourceLabels": TAGS}) == STACK
    assert stack_of({"tags": {"Name": "x"}}) is None
    defaults = {"defaultTags": '{"tags": {"accelfleet-stack": "prod"}}'}
    assert Wanted("aws:ec2/vpc:Vpc", {"tags": {"Name": "x"}}, defaults).stack == STACK


def test_a_type_that_nobody_knows_is_not_said_to_be_absent() -> None:
    assert RealClouds({}).find(STACK, Wanted("aws:sqs/queue:Queue", {"name": "q"})) is None


def test_without_the_command_line_it_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="install it"):
        aws.find(STACK, "aws:ec2/vpc:Vpc", {"tags": {"Name": "v"}}, "us-east-1", {"PATH": str(tmp_path)})


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a real run, but that AWS is moto."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    log = (tmp_path_factory.mktemp("moto") / "log").open("w")
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(port)], stdout=log, stderr=log)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{url}/moto-api/", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }
    finally:
        server.terminate()
        server.wait(10)
        log.close()


def tagged(kind: str, name: str, stack: str = STACK) -> list[dict[str, object]]:
    return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": name}, {"Key": "accelfleet-stack", "Value": stack}]}]


@pytest.mark.sandbox
def test_random_ids_are_found_by_name_and_stack_in_the_right_region(account: dict[str, str]) -> None:
    session = boto3.Session("testing", "testing", region_name="eu-west-1")
    ec2 = session.client("ec2", endpoint_url=account["AWS_ENDPOINT_URL"])

    def vpc(name: str, stack: str = STACK) -> str:
        made = ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=tagged("vpc", name, stack))
        return str(made["Vpc"]["VpcId"])

    ours, _ = vpc("main-vpc"), vpc("main-vpc", "another-stack")
    subnet = ec2.create_subnet(VpcId=ours, CidrBlock="10.0.0.0/24", TagSpecifications=tagged("subnet", "nodes"))
    address = ec2.allocate_address(Domain="vpc", TagSpecifications=tagged("elastic-ip", "nat"))
    gateway = ec2.create_nat_gateway(
        SubnetId=subnet["Subnet"]["SubnetId"],
        AllocationId=address["AllocationId"],
        TagSpecifications=tagged("natgateway", "nat"),
    )["NatGateway"]["NatGatewayId"]
    template = ec2.create_launch_template(LaunchTemplateName="pool", LaunchTemplateData={"InstanceType": "g6.xlarge"})

    def find(type_: str, inputs: dict[str, object], region: str = "eu-west-1") -> list[str] | None:
        return RealClouds(account).find(STACK, Wanted(type_, inputs, {"region": region}))

    assert find("aws:ec2/vpc:Vpc", {"tags": {"Name": "main-vpc"}}) == [ours]
    assert find("aws:ec2/vpc:Vpc", {"tags": {"Name": "main-vpc"}}, "us-east-1") == []
    assert find("aws:ec2/subnet:Subnet", {"tags": {"Name": "nodes"}}) == [subnet["Subnet"]["SubnetId"]]
    assert find("aws:ec2/eip:Eip", {"tags": {"Name": "nat"}}) == [address["AllocationId"]]
    assert find("aws:ec2/natGateway:NatGateway", {"tags": {"Name": "nat"}}) == [gateway]
    assert find("aws:ec2/launchTemplate:LaunchTemplate", {"name": "pool"}) == [template["LaunchTemplate"]["LaunchTemplateId"]]

    ec2.delete_nat_gateway(NatGatewayId=gateway)
    assert find("aws:ec2/natGateway:NatGateway", {"tags": {"Name": "nat"}}) == []
    twice = vpc("main-vpc")
    assert sorted(find("aws:ec2/vpc:Vpc", {"tags": {"Name": "main-vpc"}}) or []) == sorted([ours, twice])


@pytest.mark.sandbox
def test_keys_are_found_by_their_tags(account: dict[str, str]) -> None:
    kms = boto3.Session("testing", "testing", region_name="eu-west-1").client("kms", endpoint_url=account["AWS_ENDPOINT_URL"])
    tags = [{"TagKey": "Name", "TagValue": "secrets"}, {"TagKey": "accelfleet-stack", "TagValue": STACK}]
    key = kms.create_key(Tags=tags)["KeyMetadata"]["KeyId"]
    found = RealClouds(account).find(STACK, Wanted("aws:kms/key:Key", {"tags": {"Name": "secrets"}}, {"region": "eu-west-1"}))
    assert found == [key]


# moto does not know pod identities: a stand-in for the command line answers as the EKS API does.
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo '[\"a-1\"]'", ["c,a-1"]),
        ("echo '(ResourceNotFoundException) when calling: No cluster found for name: c.' >&2; exit 254", []),
    ],
)
def test_a_pod_identity_is_found_by_its_service_account(tmp_path: Path, script: str, expected: list[str]) -> None:
    (tmp_path / "aws").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "aws").chmod(0o755)
    inputs = {"clusterName": "c", "namespace": "models", "serviceAccount": "chat"}
    wanted = Wanted("aws:eks/podIdentityAssociation:PodIdentityAssociation", inputs, {"region": "eu-west-1"})
    assert RealClouds({"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}).find(STACK, wanted) == expected
