"""A network that is there already, against mocks: nothing of it is made, everything stands in it, and no rule is broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from fleet.load import StackErrors, load_stack
from fleet.report.changes import changes
from fleet.report.estimate import estimate
from fleet.workspace import STACKS
from infra.platform import deploy as platform
from infra.stack import Stack
from policies.accel_policies.judge import evaluate
from policies.accel_policies.rule import Resource
from policies.accel_policies.settings import Settings
from policies.accel_policies.wire import plain
from tests.mocked_engine import Recorder, set_accounts

VNET = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/hub/providers/Microsoft.Network/virtualNetworks/spoke"
)
HOST = "projects/landing-zone"
NETWORKS: dict[str, dict[str, Any]] = {
    "aws": {
        "id": "vpc-0123456789abcdef0",
        "subnets": {"us-east-1a": "subnet-0123456789abcdef1", "us-east-1c": "subnet-0123456789abcdef2"},
    },
    "gcp": {
        "id": f"{HOST}/global/networks/shared",
        "subnets": {"us-west1": f"{HOST}/regions/us-west1/subnetworks/ml"},
        "pods": "ml-pods",
        "services": "ml-services",
    },
    "azure": {
        "id": VNET,
        "subnets": {"westeurope": f"{VNET}/subnets/aks"},
        "functions": f"{VNET}/subnets/functions",
        "way_out": "routes",
    },
}
# What a network of ours is made of.
PARTS = (
    *(f"aws:ec2/{part}" for part in ("vpc:", "subnet:", "natGateway:", "internetGateway:", "routeTable:", "vpcEndpoint:")),
    *(f"gcp:compute/{part}" for part in ("network:", "subnetwork:", "router:", "routerNat:")),
    *(f"azure-native:network:{part}" for part in ("VirtualNetwork", "Subnet", "NatGateway", "NetworkSecurityGroup")),
)


def written(tmp_path: Path, cloud: str, **network: Any) -> Path:
    """The cloud's pipeline, which has every kind of service, in a network that is there already."""
    file = tmp_path / f"{cloud}-pipeline.yaml"
    content = yaml.safe_load((STACKS / file.name).read_text())
    content["clusters"]["main"]["network"] = {"existing": NETWORKS[cloud] | network}
    file.write_text(yaml.safe_dump(content))
    return file


@pytest.fixture
def made(deploy: Callable[..., Recorder], tmp_path: Path) -> Callable[[str], Recorder]:
    def run(cloud: str) -> Recorder:
        file = written(tmp_path, cloud)
        spec = load_stack(file)

        def program() -> None:
            set_accounts()
            for key, value in platform(Stack(file.stem, spec)).items():
                pulumi.export(key, value)

        recorder = deploy(program, stack=file.stem)
        found = evaluate(
            (Resource(type=r.type, name=r.name, urn=r.urn, props=plain(r.inputs)) for r in recorder.resources),
            Settings.of(spec),
        )
        assert [violation.message for violation in found.unwaived] == []
        assert [r.type for r in recorder.resources if r.type.startswith(PARTS)] == []
        return recorder

    return run


def of(recorder: Recorder, type_: str) -> list[dict[str, Any]]:
    found = [plain(r.inputs) for r in recorder.resources if r.type == type_]
    assert found, type_
    return found


def test_an_eks_cluster_and_its_services_stand_in_a_vpc_that_is_there(made: Callable[[str], Recorder]) -> None:
    recorder, subnets = made("aws"), list(NETWORKS["aws"]["subnets"].values())
    (cluster,) = of(recorder, "aws:eks/cluster:Cluster")
    assert cluster["vpcConfig"]["subnetIds"] == subnets
    assert {subnet for group in of(recorder, "aws:eks/nodeGroup:NodeGroup") for subnet in group["subnetIds"]} == set(subnets)
    assert of(recorder, "aws:ec2/instance:Instance")[0]["subnetId"] == subnets[0]
    assert {group["vpcId"] for group in of(recorder, "aws:ec2/securityGroup:SecurityGroup")} == {NETWORKS["aws"]["id"]}


def test_a_gke_cluster_takes_the_ranges_of_a_shared_vpc(made: Callable[[str], Recorder]) -> None:
    recorder, given = made("gcp"), NETWORKS["gcp"]
    (cluster,) = of(recorder, "gcp:container/cluster:Cluster")
    assert (cluster["network"], cluster["subnetwork"]) == (given["id"], given["subnets"]["us-west1"])
    ranges = {"clusterSecondaryRangeName": "ml-pods", "servicesSecondaryRangeName": "ml-services"}
    assert cluster["ipAllocationPolicy"].items() >= ranges.items()
    # A rule is of the project that the network is of.
    assert {rule["project"] for rule in of(recorder, "gcp:compute/firewall:Firewall")} == {"landing-zone"}
    # No network of ours has a number: the key ring is told apart by the nodes' account.
    (ring,) = of(recorder, "gcp:kms/keyRing:KeyRing")
    assert ring["name"] == "gcp-pipeline-main-112233445566778899001"


def test_an_aks_cluster_goes_out_by_the_owners_routes(made: Callable[[str], Recorder]) -> None:
    recorder, given = made("azure"), NETWORKS["azure"]
    (cluster,) = of(recorder, "azure-native:containerservice:ManagedCluster")
    assert cluster["networkProfile"]["outboundType"] == "userDefinedRouting"
    assert {pool["vnetSubnetID"] for pool in cluster["agentPoolProfiles"]} == set(given["subnets"].values())
    (environment,) = of(recorder, "azure-native:app:ManagedEnvironment")
    assert environment["vnetConfiguration"]["infrastructureSubnetId"] == given["functions"]
    stores = of(recorder, "azure-native:storage:StorageAccount")
    rules = {
        rule["virtualNetworkResourceId"] for store in stores for rule in store["networkRuleSet"].get("virtualNetworkRules", [])
    }
    assert rules >= {*given["subnets"].values(), given["functions"]}


@pytest.mark.parametrize("cloud", NETWORKS)
def test_the_report_counts_no_gateway_that_is_not_ours(cloud: str, tmp_path: Path) -> None:
    kinds = [line.kind for line in estimate("a", load_stack(written(tmp_path, cloud))).lines]
    assert "nat" not in kinds
    assert "control-plane" in kinds


@pytest.mark.parametrize("cloud", NETWORKS)
def test_another_network_is_another_cluster(cloud: str, tmp_path: Path) -> None:
    ours, theirs = load_stack(STACKS / f"{cloud}-pipeline.yaml"), load_stack(written(tmp_path, cloud))
    for before, after in ((ours, theirs), (theirs, ours)):
        (change,) = [one for one in changes(f"{cloud}-pipeline", before, after) if one.what == "cluster"]
        assert change.kind == "replace"


WRONG = [
    ("aws", {"id": "my-vpc"}, "is no network as aws names them"),
    ("aws", {"subnets": {"us-east-1a": "subnet-0123456789abcdef1"}}, "EKS needs subnets in two zones"),
    ("aws", {"subnets": {"us-east-1a": "subnet-1", "us-east-1b": "subnet-0123456789abcdef1"}}, "is no subnet of that network"),
    ("aws", {"subnets": {"us-west-2a": "subnet-0123456789abcdef1"}}, "no subnet goes there"),
    ("aws", {"functions": "subnet-0123456789abcdef1"}, "aws's functions need no subnet"),
    ("gcp", {"subnets": {"us-west1": f"{HOST}/regions/us-east4/subnetworks/ml"}}, "is no subnet of that network and region"),
    ("gcp", {"subnets": {"us-west1-a": f"{HOST}/regions/us-west1/subnetworks/ml"}}, "no subnet goes there"),
    ("azure", {"subnets": {"westeurope": "/subscriptions/x/subnets/aks"}}, "is no subnet of that network"),
    ("azure", {"subnets": dict.fromkeys(("westeurope", "1"), f"{VNET}/subnets/aks")}, "one subnet is for all zones"),
    ("azure", {"functions": None}, "functions run in a subnet of their own"),
    ("azure", {"way_out": "none"}, "AKS without a way out needs a private API"),
]


@pytest.mark.parametrize(("cloud", "network", "said"), WRONG)
def test_what_cannot_be_is_said_by_field(cloud: str, network: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(StackErrors, match=said) as told:
        load_stack(written(tmp_path, cloud, **network))
    assert "network.existing" in str(told.value)


@pytest.mark.parametrize(("field", "value"), [("cidr", "10.1.0.0/16"), ("nat", "none"), ("zones", 3)])
def test_what_the_network_is_its_owner_says(field: str, value: Any, tmp_path: Path) -> None:
    file = written(tmp_path, "aws")
    content = yaml.safe_load(file.read_text())
    content["clusters"]["main"]["network"][field] = value
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(StackErrors, match=rf"network\.{field}: is its owner's to say"):
        load_stack(file)


def test_karpenter_cannot_find_subnets_that_are_not_ours_to_tag(tmp_path: Path) -> None:
    file = written(tmp_path, "aws")
    content = yaml.safe_load(file.read_text())
    content["clusters"]["main"]["provisioning"] = "auto"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(StackErrors, match="not ours to tag"):
        load_stack(file)
