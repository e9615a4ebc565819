"""Programs that `fleet` did not write: what is read of their resources, and what that costs, worked out by hand."""

from __future__ import annotations

import json
import re
import site
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.inventory import kinds
from fleet.inventory.file import between, read
from fleet.inventory.resource import Index, Program, Resource, at, each, number, plain
from fleet.inventory.state import InventoryError
from fleet.inventory.things import READERS, things
from fleet.report.markdown import markdown
from fleet.report.model import Estimate, Line
from fleet.report.priced import lines
from fleet.report.program import report

SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "AAAB"}
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
AWS, GCP, AZURE = (f"urn:pulumi:dev::shop::pulumi:providers:{name}::default" for name in ("aws", "gcp", "azure-native"))
PROVIDERS = [
    {"urn": AWS, "type": "pulumi:providers:aws", "custom": True, "inputs": {"region": "us-east-1"}},
    {"urn": GCP, "type": "pulumi:providers:gcp", "custom": True, "inputs": {"project": "p", "region": "us-central1"}},
    {"urn": AZURE, "type": "pulumi:providers:azure-native", "custom": True, "inputs": {"location": "West Europe"}},
]


def row(type_: str, name: str, inputs: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A resource as the engine's state has it."""
    provider = AWS if type_.startswith("aws") else GCP if type_.startswith("gcp") else AZURE
    return {
        "urn": f"urn:pulumi:dev::shop::{type_}::{name}",
        "type": type_,
        "custom": True,
        "id": f"{name}-id",
        "inputs": inputs or {},
        "provider": f"{provider}::0",
        **more,
    }


def state(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"version": 3, "deployment": {"resources": [*PROVIDERS, *rows]}}


def program(tmp_path: Path, *rows: dict[str, Any]) -> Program:
    file = tmp_path / "state.json"
    file.write_text(json.dumps(state(*rows)))
    return read(file)


def told(found: Program) -> list[Line]:
    return list(lines(things(Index(found.after))))


def shown(line: Line) -> tuple[str, str, str]:
    money = " ".join(
        "-" if value is None else f"{value:.2f}" for value in (line.usd.floor, line.usd.expected, line.usd.ceiling)
    )
    return line.kind, line.what, money


TEMPLATE = row(
    "aws:ec2/launchTemplate:LaunchTemplate",
    "template",
    {
        "instanceType": "g6.xlarge",
        "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"volumeSize": 200, "volumeType": "gp3"}}],
    },
)
# USD an hour in data/prices.csv: us-east-1 g6.xlarge 0.8048, spot 0.4104; m7i.xlarge 0.2016; p5.48xlarge 55.04; us-central1
# e2-standard-4 0.134023, n1-standard-4 with a T4 0.539999; us-west1 ct5lp-hightpu-4t spot 2.52; westeurope
# Standard_NC4as_T4_v3 0.658, eastus 0.526, Standard_D4s_v5 0.23. A month is 730 hours.
# data/storage.csv, a GiB: gp3 0.08, gp2 0.10, pd-balanced 0.10, pd-ssd 0.17. data/services.csv, an hour.
ROWS: dict[str, tuple[list[dict[str, Any]], list[tuple[str, str, str]]]] = {
    "an instance, on demand, with two disks": (
        [
            row(
                "aws:ec2/instance:Instance",
                "one",
                {
                    "instanceType": "g6.xlarge",
                    "rootBlockDevice": {"volumeSize": 100, "volumeType": "gp3"},
                    "ebsBlockDevices": [{"volumeSize": 50}],
                },
            )
        ],
        # 0.8048 x 730; 100 x 0.08; 50 x 0.10 (gp2 is EC2's default)
        [
            ("pool", "g6.xlarge, on-demand", "587.50 587.50 587.50"),
            ("disk", "100 GiB gp3", "8.00 8.00 8.00"),
            ("disk", "50 GiB gp2", "5.00 5.00 5.00"),
        ],
    ),
    "an instance, spot": (
        [
            row(
                "aws:ec2/instance:Instance",
                "one",
                {"instanceType": "g6.xlarge", "instanceMarketOptions": {"marketType": "spot"}},
            )
        ],
        [("pool", "g6.xlarge, spot", "299.59 299.59 299.59")],
    ),
    "an instance of a type without a price": (
        [row("aws:ec2/instance:Instance", "one", {"instanceType": "x9.large"})],
        [("machines", "x9.large, on-demand", "- - -")],
    ),
    "a group, of a template by its id": (
        [
            TEMPLATE,
            row(
                "aws:autoscaling/group:Group",
                "group",
                {"minSize": 1, "desiredCapacity": 2, "maxSize": 4, "launchTemplate": {"id": "template-id"}},
            ),
        ],
        # 0.8048 x 730 x 1, 2, 4; 200 x 0.08 x 1, 2, 4
        [("pool", "g6.xlarge, on-demand", "587.50 1175.01 2350.02"), ("disk", "200 GiB gp3", "16.00 32.00 64.00")],
    ),
    "a group, of a template that is not made yet": (
        [
            TEMPLATE,
            row(
                "aws:autoscaling/group:Group",
                "group",
                {"minSize": 0, "maxSize": 2, "launchTemplate": {"id": UNKNOWN}},
                propertyDependencies={"launchTemplate": [TEMPLATE["urn"]]},
            ),
        ],
        [("pool", "g6.xlarge, on-demand", "0.00 0.00 1175.01"), ("disk", "200 GiB gp3", "0.00 0.00 32.00")],
    ),
    "a group, of whichever machine the cloud has": (
        [
            TEMPLATE,
            row(
                "aws:autoscaling/group:Group",
                "group",
                {
                    "minSize": 1,
                    "maxSize": 2,
                    "mixedInstancesPolicy": {
                        "launchTemplate": {
                            "launchTemplateSpecification": {"launchTemplateId": "template-id"},
                            "overrides": [{"instanceType": "g6.xlarge"}, {"instanceType": "g5.xlarge"}],
                        }
                    },
                },
            ),
        ],
        [("machines", "g6.xlarge, on-demand", "- - -"), ("disk", "200 GiB gp3", "16.00 16.00 32.00")],
    ),
    "EKS, with a spot group of a template, and one of defaults": (
        [
            TEMPLATE,
            row("aws:eks/cluster:Cluster", "cluster"),
            row(
                "aws:eks/nodeGroup:NodeGroup",
                "gpus",
                {
                    "capacityType": "SPOT",
                    "scalingConfig": {"minSize": 0, "desiredSize": 1, "maxSize": 3},
                    "launchTemplate": {"id": "template-id", "version": "1"},
                },
            ),
            row("aws:eks/nodeGroup:NodeGroup", "plain", {"scalingConfig": {"minSize": 1, "desiredSize": 1, "maxSize": 1}}),
        ],
        [
            ("control-plane", "EKS control plane", "73.00 73.00 73.00"),
            ("pool", "g6.xlarge, spot", "0.00 299.59 898.78"),
            ("disk", "200 GiB gp3", "0.00 16.00 48.00"),
            ("machines", "t3.medium, on-demand", "30.37 30.37 30.37"),
            ("disk", "20 GiB boot disk", "- - -"),
        ],
    ),
    "gateways, balancers and volumes of AWS": (
        [
            row("aws:ec2/natGateway:NatGateway", "nat"),
            row("aws:lb/loadBalancer:LoadBalancer", "alb"),
            row("aws:lb/loadBalancer:LoadBalancer", "nlb", {"loadBalancerType": "network"}),
            row("aws:lb/loadBalancer:LoadBalancer", "gwlb", {"loadBalancerType": "gateway"}),
            row("aws:ebs/volume:Volume", "data", {"size": 500, "type": "st1"}),
            row("aws:ec2/vpcEndpoint:VpcEndpoint", "s3", {"vpcEndpointType": "Gateway"}),
            row("aws:ec2/vpcEndpoint:VpcEndpoint", "sts", {"vpcEndpointType": "Interface"}),
        ],
        # 0.045, 0.0225 x 730; 500 x 0.045; a gateway endpoint is free
        [
            ("nat", "NAT gateway", "32.85 32.85 32.85"),
            ("load-balancer", "application load balancer", "16.42 16.42 16.42"),
            ("load-balancer", "network load balancer", "16.42 16.42 16.42"),
            ("load-balancer", "gateway load balancer", "- - -"),
            ("disk", "500 GiB st1", "22.50 22.50 22.50"),
            ("service", "interface endpoint, by the hour, zone and GB", "- - -"),
        ],
    ),
    "GKE, regional, in the zones it names": (
        [
            row(
                "gcp:container/cluster:Cluster",
                "cluster",
                {
                    "location": "us-central1",
                    "name": "main",
                    "removeDefaultNodePool": True,
                    "initialNodeCount": 1,
                    "nodeLocations": ["us-central1-a", "us-central1-b"],
                },
            ),
            row(
                "gcp:container/nodePool:NodePool",
                "pool",
                {
                    "cluster": "main",
                    "location": "us-central1",
                    "initialNodeCount": 1,
                    "autoscaling": {"minNodeCount": 0, "maxNodeCount": 3},
                    "nodeConfig": {"machineType": "e2-standard-4", "diskSizeGb": 50, "diskType": "pd-ssd"},
                },
            ),
        ],
        # 0.134023 x 730 x 0, 2, 6: each of two zones; 50 x 0.17 x 0, 2, 6
        [
            ("control-plane", "GKE control plane", "73.00 73.00 73.00"),
            ("machines", "e2-standard-4, on-demand", "0.00 195.67 587.02"),
            ("disk", "50 GiB pd-ssd", "0.00 17.00 51.00"),
        ],
    ),
    "GKE, in one zone, with the pool it begins with": (
        [row("gcp:container/cluster:Cluster", "cluster", {"location": "us-central1-a", "initialNodeCount": 3})],
        # e2-medium has no price here; 100 GiB pd-balanced x 3
        [
            ("control-plane", "GKE control plane", "73.00 73.00 73.00"),
            ("machines", "e2-medium, on-demand", "73.38 73.38 73.38"),
            ("disk", "100 GiB pd-balanced", "30.00 30.00 30.00"),
        ],
    ),
    "a TPU pool with bounds on all its zones together": (
        [
            row(
                "gcp:container/nodePool:NodePool",
                "tpu",
                {
                    "cluster": "main",
                    "location": "us-west1",
                    "autoscaling": {"totalMinNodeCount": 0, "totalMaxNodeCount": 2},
                    "nodeConfig": {"machineType": "ct5lp-hightpu-4t", "spot": True},
                },
            )
        ],
        # 2.52 x 730 x 2; and 100 GiB of a region that storage.csv has no price of
        [("pool", "ct5lp-hightpu-4t, spot", "0.00 0.00 3679.20"), ("disk", "100 GiB pd-balanced", "- - -")],
    ),
    "an N1 with a GPU of its own": (
        [
            row(
                "gcp:compute/instance:Instance",
                "one",
                {
                    "machineType": "n1-standard-4",
                    "zone": "us-central1-a",
                    "guestAccelerators": [{"type": "nvidia-tesla-t4", "count": 1}],
                    "bootDisk": {"initializeParams": {"size": 40, "type": "pd-balanced"}},
                },
            )
        ],
        [
            ("pool", "n1-standard-4 with 1 nvidia-tesla-t4, on-demand", "394.20 394.20 394.20"),
            ("disk", "40 GiB pd-balanced", "4.00 4.00 4.00"),
        ],
    ),
    "seven forwarding rules, and NAT for two machines": (
        [
            *(row("gcp:compute/forwardingRule:ForwardingRule", f"rule{number}") for number in range(7)),
            row("gcp:compute/routerNat:RouterNat", "nat"),
            row("gcp:compute/instance:Instance", "a", {"machineType": "e2-standard-4", "zone": "us-central1-a"}),
            row("gcp:compute/instance:Instance", "b", {"machineType": "e2-standard-4", "zone": "us-central1-b"}),
        ],
        # (0.025 + 2 x 0.01) x 730; 2 x 0.0014 x 730
        [
            ("load-balancer", "7 forwarding rules", "32.85 32.85 32.85"),
            ("nat", "Cloud NAT", "2.04 2.04 2.04"),
            ("machines", "e2-standard-4, on-demand", "97.84 97.84 97.84"),
            ("machines", "e2-standard-4, on-demand", "97.84 97.84 97.84"),
        ],
    ),
    "AKS, with a pool inside, the same outside, and one more": (
        [
            row(
                "azure-native:containerservice:ManagedCluster",
                "cluster",
                {
                    "sku": {"name": "Base", "tier": "Standard"},
                    "agentPoolProfiles": [{"name": "system", "vmSize": "Standard_D4s_v5", "count": 2}],
                },
            ),
            row(
                "azure-native:containerservice/v20240901:AgentPool",
                "t4",
                {
                    "agentPoolName": "t4",
                    "vmSize": "Standard_NC4as_T4_v3",
                    "minCount": 0,
                    "count": 1,
                    "maxCount": 3,
                    "osDiskType": "Ephemeral",
                },
            ),
        ],
        # 0.10, 0.23 x 2, 0.658 x 0, 1, 3, each x 730
        [
            ("control-plane", "AKS control plane, standard", "73.00 73.00 73.00"),
            ("machines", "Standard_D4s_v5, on-demand", "335.80 335.80 335.80"),
            ("disk", "boot disks", "- - -"),
            ("pool", "Standard_NC4as_T4_v3, on-demand", "0.00 480.34 1441.02"),
        ],
    ),
    "machines, disks and balancers of Azure, in East US": (
        [
            row(
                "azure-native:compute:VirtualMachine",
                "vm",
                {
                    "location": "eastus",
                    "hardwareProfile": {"vmSize": "Standard_NC4as_T4_v3"},
                    "storageProfile": {"osDisk": {"diskSizeGB": 100, "managedDisk": {"storageAccountType": "Premium_LRS"}}},
                },
            ),
            row("azure-native:compute:Disk", "data", {"location": "eastus", "diskSizeGB": 200, "sku": {"name": "Premium_LRS"}}),
            row(
                "azure-native:network:LoadBalancer",
                "lb",
                {"location": "eastus", "sku": {"name": "Standard"}, "loadBalancingRules": [{}, {}]},
            ),
        ],
        # 0.526 x 730; 100 GiB is paid as 128, 200 as 256, whose price nobody has seen; 2 x 0.01 x 730
        [
            ("pool", "Standard_NC4as_T4_v3, on-demand", "383.98 383.98 383.98"),
            ("disk", "100 GiB Premium_LRS", "19.71 19.71 19.71"),
            ("disk", "200 GiB Premium_LRS", "- - -"),
            ("load-balancer", "load balancer rules", "14.60 14.60 14.60"),
        ],
    ),
    "what is paid by use, what is free, and what nobody knows": (
        [
            row("aws:s3/bucket:Bucket", "bucket"),
            row("aws:iam/role:Role", "role"),
            row("aws:quicksight/user:User", "user"),
            row("kubernetes:core/v1:Service", "web", {"spec": {"type": "LoadBalancer"}}),
            row("kubernetes:core/v1:Service", "inside", {"spec": {"type": "ClusterIP"}}),
        ],
        [
            ("by-use", "aws:s3/bucket:Bucket", "- - -"),
            ("service", "aws:quicksight/user:User", "- - -"),
            ("load-balancer", "the load balancer that its cluster's cloud makes", "- - -"),
        ],
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_what_resources_cost_is_what_one_works_out_by_hand(name: str, tmp_path: Path) -> None:
    rows, wanted = ROWS[name]
    found = told(program(tmp_path, *rows))
    assert [shown(line) for line in found] == wanted
    assert all(line.unknown for line in found if not line.usd.known), "what has no price says why"


def test_what_a_type_that_nobody_knows_might_cost_is_told_by_its_name(tmp_path: Path) -> None:
    estimate = Estimate.of(told(program(tmp_path, *ROWS["what is paid by use, what is free, and what nobody knows"][0])))
    assert (estimate.priced, estimate.priceable, estimate.by_use) == (0, 2, 1)
    assert estimate.lines[1].unknown == ("nobody here knows whether a aws:quicksight/user:User costs something",)


KG = ["11.6", "23.2", "46.5"]


def test_accelerators_carbon_and_quotas_are_those_of_the_machines(tmp_path: Path) -> None:
    rows, _ = ROWS["a group, of a template by its id"]
    (stack,) = report(program(tmp_path, *rows), None, {}).stacks
    assert stack.after is not None
    assert stack.after.accelerators == {"nvidia-l4": (1, 2, 4)}
    # 72 W x 730 h x 0.6 x PUE 1.14 x 323.05 g/kWh of us-east-1, times 1, 2, 4; each case is rounded by itself.
    assert [f"{value:.1f}" for value in (stack.after.kg.floor, stack.after.kg.expected, stack.after.kg.ceiling)] == KG
    assert [(q.quota, q.after, q.verdict) for q in stack.quotas] == [("L-DB2E81BA", 16, "unknown")]
    assert stack.policy.evaluated


# Every type that is read, free or paid by use is one of its SDK's.
SDKS = {"aws": "pulumi_aws", "gcp": "pulumi_gcp", "azure-native": "pulumi_azure_native", "kubernetes": "pulumi_kubernetes"}


def tokens(package: str) -> set[str]:
    (file,) = [path for root in site.getsitepackages() if (path := Path(root) / package / "__init__.py").exists()]
    return set(re.findall(r'"([a-z-]+:[^"]+)": "[A-Z]\w+"', file.read_text(encoding="utf-8")))


@pytest.mark.parametrize("provider", SDKS)
def test_every_type_that_is_named_is_one_of_its_sdks(provider: str) -> None:
    known = tokens(SDKS[provider])
    assert len(known) > 100
    named = [kind.type for kind in kinds.kinds() if kind.type.startswith(f"{provider}:")]
    wrong = [name for name in named if not any(one == name or (name[-1] == "*" and one.startswith(name[:-1])) for one in known)]
    assert named
    assert wrong == []


def test_no_type_is_named_twice_and_those_that_are_read_have_a_reader() -> None:
    rows = kinds.kinds()
    assert [name for name, count in Counter(row_.type for row_ in rows).items() if count > 1] == []
    assert [name for name, count in Counter(row_.terraform for row_ in rows if row_.terraform).items() if count > 1] == []
    assert {row_.type for row_ in rows if row_.treatment == "read"} == set(READERS)
    assert [row_.type for row_ in rows if (row_.treatment == "by-use") != bool(row_.asked)] == []


@pytest.mark.parametrize(
    ("type_", "treatment"),
    [
        ("aws:s3/bucket:Bucket", "by-use"),
        ("aws:s3/bucketPolicy:BucketPolicy", "free"),
        ("aws:iam/role:Role", "free"),
        ("aws_iam_role", "free"),
        ("aws_s3_bucket_versioning", "free"),
        ("gcp:storage/bucketIAMMember:BucketIAMMember", "free"),
        ("kubernetes:apps/v1:Deployment", "free"),
        ("aws:quicksight/user:User", None),
    ],
)
def test_the_longest_beginning_says_how_a_type_is_treated(type_: str, treatment: str | None) -> None:
    found = kinds.kind_of(type_)
    assert (found.treatment if found else None) == treatment


# Terraform


def terraform(*resources: dict[str, Any], version: int = 4) -> dict[str, Any]:
    return {"version": version, "terraform_version": "1.9.0", "lineage": "x", "resources": list(resources)}


def managed(type_: str, name: str, *instances: dict[str, Any], **more: Any) -> dict[str, Any]:
    made = [{"attributes": attributes} if "attributes" not in attributes else attributes for attributes in instances]
    return {"mode": "managed", "type": type_, "name": name, "instances": made, **more}


def test_a_terraform_state_is_read_as_the_bridged_providers_resources(tmp_path: Path) -> None:
    file = tmp_path / "prod.tfstate"
    arn = "arn:aws:eks:us-east-1:123456789012:nodegroup/main/gpus/1"
    file.write_text(
        json.dumps(
            terraform(
                {"mode": "data", "type": "aws_ami", "name": "x", "instances": [{"attributes": {"id": "ami-1"}}]},
                managed(
                    "aws_launch_template",
                    "gpu",
                    {
                        "id": "lt-1",
                        "instance_type": "g6.xlarge",
                        "block_device_mappings": [{"ebs": [{"volume_size": 200, "volume_type": "gp3"}]}],
                    },
                ),
                managed(
                    "aws_eks_node_group",
                    "gpus",
                    {
                        "arn": arn,
                        "capacity_type": "ON_DEMAND",
                        "instance_types": [],
                        "launch_template": [{"id": "lt-1", "name": "gpu", "version": "1"}],
                        "scaling_config": [{"min_size": 0, "desired_size": 1, "max_size": 2}],
                    },
                    module="module.cluster",
                ),
                managed(
                    "aws_instance",
                    "web",
                    {"index_key": 0, "attributes": {"instance_type": "m7i.xlarge", "availability_zone": "us-east-1a"}},
                    {"index_key": 1, "attributes": {"instance_type": "m7i.xlarge", "availability_zone": "us-east-1b"}},
                ),
                managed(
                    "azurerm_kubernetes_cluster",
                    "aks",
                    {
                        "location": "westeurope",
                        "sku_tier": "Free",
                        "default_node_pool": [{"name": "system", "vm_size": "Standard_D4s_v5", "node_count": 1}],
                    },
                ),
                managed("aws_iam_role", "role", {"name": "x"}),
                managed("aws_quicksight_user", "user", {"user_name": "x"}),
            )
        )
    )
    found = read(file)
    assert (found.name, found.told_from) == ("prod", "a Terraform state")
    assert [(line.name, *shown(line)) for line in told(found)] == [
        ("module.cluster.aws_eks_node_group.gpus", "pool", "g6.xlarge, on-demand", "0.00 587.50 1175.01"),
        ("module.cluster.aws_eks_node_group.gpus", "disk", "200 GiB gp3", "0.00 16.00 32.00"),
        ("aws_instance.web[0]", "machines", "m7i.xlarge, on-demand", "147.17 147.17 147.17"),
        ("aws_instance.web[1]", "machines", "m7i.xlarge, on-demand", "147.17 147.17 147.17"),
        ("azurerm_kubernetes_cluster.aks", "control-plane", "AKS control plane, free", "0.00 0.00 0.00"),
        ("azurerm_kubernetes_cluster.aks", "machines", "Standard_D4s_v5, on-demand", "167.90 167.90 167.90"),
        ("azurerm_kubernetes_cluster.aks", "disk", "boot disks", "- - -"),
        ("aws_quicksight_user.user", "service", "aws_quicksight_user", "- - -"),
    ]


# Files that are wrong


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "neither a state"),
        ("{", "neither a state"),
        ("{}", "neither a state"),
        ("[]", "names no resource"),
        ('{"version": 2, "deployment": {"resources": []}}', "version 2"),
        ('{"version": 3, "deployment": {"resources": [{"urn": "x"}]}}', "not as such a file should be"),
        ('{"version": 3, "lineage": "x", "resources": []}', "version 3"),
        ('{"version": 4, "lineage": "x", "resources": [{"mode": "managed"}]}', "not as such a file should be"),
    ],
)
def test_a_file_that_is_none_says_what_it_should_be(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(text)
    with pytest.raises(InventoryError, match=said):
        read(file)


def test_a_checkpoint_is_a_state_and_what_waits_to_be_deleted_is_gone(tmp_path: Path) -> None:
    gone = row("aws:ec2/natGateway:NatGateway", "nat", delete=True)
    own = state(row("aws:ec2/natGateway:NatGateway", "nat"), gone)
    file = tmp_path / "x.json"
    file.write_text(json.dumps({"version": 3, "checkpoint": {"stack": "dev", "latest": own["deployment"]}}))
    assert [line.kind for line in told(read(file))] == ["nat"]


# Values


def test_secrets_and_unknowns_are_none_and_blocks_are_stepped_into() -> None:
    assert plain({"a": SECRET, "b": [UNKNOWN, 1], "c": "[secret]"}) == {"a": None, "b": [None, 1], "c": None}
    assert at({"a": [{"b": {"c": 1}}]}, "a.b.c") == 1
    assert at({"a": [{"b": 1}, {"b": 2}]}, "a.b") is None
    assert at({"a": 1}, "a.b") is None
    assert each({"a": {"b": 1}}, "x", "a") == [{"b": 1}]
    assert number({"a": True, "b": 2.0, "c": "3"}, "a", "b") == 2
    assert number({"c": "3"}, "c") == 3


@pytest.mark.parametrize(("size", "wanted"), [(SECRET, None), (UNKNOWN, None), (None, None), (8, (8, 8, 8))])
def test_a_size_that_nobody_can_read_has_no_price(size: Any, wanted: tuple[int, int, int] | None, tmp_path: Path) -> None:
    made = row("gcp:container/nodePool:NodePool", "p", {"location": "us-central1-a", "nodeCount": size})
    made["inputs"]["nodeConfig"] = {"machineType": "e2-standard-4"}
    line = told(program(tmp_path, made))[0]
    assert line.nodes == wanted
    assert line.usd.known is (wanted is not None)


# Sums


SOME = [
    "aws:ec2/natGateway:NatGateway",
    "aws:eks/cluster:Cluster",
    "aws:s3/bucket:Bucket",
    "gcp:compute/forwardingRule:ForwardingRule",
]


@st.composite
def programs(draw: st.DrawFn) -> Program:
    names = draw(st.lists(st.sampled_from("abcdef"), unique=True))
    made = []
    for name in names:
        size = draw(st.integers(0, 9))
        props = {"minSize": 0, "desiredCapacity": size, "maxSize": size + 1, "launchTemplate": {"id": "t"}}
        type_ = draw(st.sampled_from(["aws:autoscaling/group:Group", *SOME]))
        made.append(Resource(type_, name, f"urn:pulumi:s::p::{type_}::{name}", props, region="us-east-1"))
    template = Resource("aws:ec2/launchTemplate:LaunchTemplate", "t", "urn:t", {"instanceType": "g6.xlarge"}, "t")
    return Program("s", "a state", (template, *made))


@settings(max_examples=60, deadline=None)
@given(programs(), programs(), programs())
def test_from_a_to_b_and_from_b_to_c_is_from_a_to_c(a: Program, b: Program, c: Program) -> None:
    first, second, whole = (report(between(old, new), "x", {}).stacks[0] for old, new in ((a, b), (b, c), (a, c)))
    for what in ("usd_change", "kg_change"):
        for case in ("floor", "expected", "ceiling"):
            one, two, both = (getattr(getattr(stack, what), case) for stack in (first, second, whole))
            assert one + two == both
    # What stands after both is what is there at the end.
    standing = {resource.urn for resource in a.after}
    for found in (between(a, b), between(b, c)):
        for step in found.steps:
            (standing.add if step.op == "create" else standing.discard if step.op == "delete" else bool)(step.resource.urn)  # type: ignore[operator]
    assert standing == {resource.urn for resource in c.after}


def test_the_work_grows_with_the_program_and_no_faster() -> None:
    def calls(many: int) -> int:
        rows = []
        for index in range(many // 4):
            template = {"instanceType": "g6.xlarge", "blockDeviceMappings": [{"ebs": {"volumeSize": 9, "volumeType": "gp3"}}]}
            rows.append(Resource("aws:ec2/launchTemplate:LaunchTemplate", f"t{index}", f"urn:t{index}", template, f"t{index}"))
            group = {"minSize": 0, "maxSize": 2, "launchTemplate": {"id": f"t{index}"}}
            rows.append(Resource("aws:autoscaling/group:Group", f"g{index}", f"urn:g{index}", group, region="us-east-1"))
            rows.append(Resource("aws:ec2/subnet:Subnet", f"s{index}", f"urn:s{index}", {}))
            rule = "gcp:compute/forwardingRule:ForwardingRule"
            rows.append(Resource(rule, f"r{index}", f"urn:r{index}", {}, region="us-central1"))
        made = Program("s", "a state", tuple(rows))
        counted = 0

        def count(frame: FrameType, event: str, arg: object) -> None:
            nonlocal counted
            counted += event in ("call", "c_call")

        sys.setprofile(count)
        try:
            report(between(made, made), "x", {})
        finally:
            sys.setprofile(None)
        return counted

    calls(40)  # fills the catalogue's caches
    few, many = calls(100), calls(1000)
    assert many < 10.5 * few


@pytest.mark.parametrize(
    "wrong",
    [
        "[" * 100_000,
        f"[{'9' * 10_000}]",
        json.dumps(state(row("aws:s3/bucket:Bucket", "b"))).replace('"b-id"', "[" * 200 + "]" * 200),
        json.dumps(state({**row("aws:s3/bucket:Bucket", "b"), "urn": 5})),
        json.dumps(state({**row("aws:s3/bucket:Bucket", "b"), "dependencies": "x"})),
        json.dumps(state(row("aws:s3/bucket:Bucket", "b\n::error::x"))),
    ],
)
def test_what_is_no_program_is_refused_in_one_line(wrong: str, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(wrong)
    with pytest.raises(InventoryError, match="is not as such a file should be") as refused:
        read(file)
    assert str(refused.value).isprintable()


def test_words_of_a_program_are_no_markdown(tmp_path: Path) -> None:
    said = "<script>alert(1)</script> | ![x](y)"
    provider = {**PROVIDERS[0], "inputs": {"region": said}}
    file = tmp_path / "x.json"
    rows = [provider, row("aws:ec2/instance:Instance", "one", {"instanceType": said})]
    file.write_text(json.dumps({"version": 3, "deployment": {"resources": rows}}))
    (line,) = [line for line in markdown(report(read(file), None, {})).splitlines() if "alert" in line]
    outside_of_code = re.sub(r"`[^`]*`", "", line)
    assert not re.search(r"(?<!\\)(<script|!\[)", outside_of_code)
    assert len(re.findall(r"(?<!\\)\|", line)) == 7
