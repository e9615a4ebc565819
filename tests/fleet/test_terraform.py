"""Terraform's state in Pulumi's words: types and ids by the table, nothing guessed, and no secret shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fleet.cli import app
from fleet.load import load_stack
from fleet.terraform.imports import PLACEHOLDER, document, fill, map_all, types
from fleet.terraform.state import Resource, StateError, read
from fleet.workspace import STACKS
from infra.platform import deploy as platform
from infra.stack import Stack
from sandbox.providers.validation import is_modelled_type
from tests.mocked_engine import Recorder, set_accounts

SAMPLE = Path(__file__).with_name("sample.tfstate")
# Terraform keeps them inside another resource.
NO_TWIN = {"azure-native:storage:BlobServiceProperties"}
SECRETS = ("hunter2-hunter2", "s3cret-token")


def test_addresses_are_terraforms_and_names_are_unique() -> None:
    found = read(SAMPLE).resources
    assert [one.address for one in found][:3] == [
        "module.network.aws_vpc.this[0]",
        'module.network.aws_subnet.private["us-east-1a"]',
        'module.network.aws_subnet.private["us-east-1b"]',
    ]
    assert [one.name for one in found][:3] == ["network-this-0", "network-private-us-east-1a", "network-private-us-east-1b"]
    assert len({one.name for one in found}) == len(found)
    assert "subnet-old" not in {one.attributes["id"] for one in found}, "a deposed instance is on its way out"


def test_what_maps_is_in_the_import_file_and_the_rest_is_named() -> None:
    found = map_all(read(SAMPLE).resources)
    assert [tuple(one.values()) for one in document(found)["resources"]] == [
        ("aws:ec2/vpc:Vpc", "network-this-0", "vpc-0a1b2c3d"),
        ("aws:ec2/subnet:Subnet", "network-private-us-east-1a", "subnet-01"),
        ("aws:ec2/subnet:Subnet", "network-private-us-east-1b", "subnet-02"),
        (
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            "nodes",
            "nodes/arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy",
        ),
        ("aws:eks/cluster:Cluster", "main", "main"),
        ("gcp:container/nodePool:NodePool", "l4", "p/us-west1/main/l4"),
    ]
    assert found.unmapped == [
        ("aws_route.out", "the state has no destination_cidr_block of it"),
        ("random_password.db", "random_password is not in fleet/terraform/types.csv"),
    ]


@pytest.mark.parametrize("name", types())
def test_every_type_of_the_table_is_one_of_the_installed_sdks(name: str) -> None:
    token, form = types()[name]
    assert is_modelled_type(token.partition(":")[0], token)
    assert name.partition("_")[0] == {"aws": "aws", "gcp": "google", "azure-native": "azurerm"}[token.partition(":")[0]]
    # A form that names no attribute would give all resources one id.
    assert not form or "{" in form


@pytest.mark.parametrize("stack", ["aws-dev", "gcp-dev", "azure-dev"])
def test_whatever_a_stack_makes_in_its_cloud_can_come_from_terraform(stack: str, deploy: Callable[..., Recorder]) -> None:
    spec = load_stack(STACKS / f"{stack}.yaml")

    def program() -> None:
        set_accounts()
        platform(Stack(stack, spec))

    made = {one.type for one in deploy(program, stack=stack).resources}
    ours = {one for one in made if one.partition(":")[0] in ("aws", "gcp", "azure-native")}
    assert len(ours) > 10
    assert ours - {token for token, _ in types().values()} <= NO_TWIN


def test_ids_go_into_our_own_programs_import_file_where_there_is_no_choice() -> None:
    parents = {"nameTable": {"main": "urn:pulumi:aws-dev::accelfleet::accelfleet:aws:EksCluster::main"}}
    asked: dict[str, Any] = {
        **parents,
        "resources": [
            {"type": "accelfleet:aws:AwsNetwork", "name": "main", "component": True},
            {"type": "aws:ec2/vpc:Vpc", "name": "main-vpc", "parent": "main", "id": PLACEHOLDER},
            {"type": "aws:ec2/subnet:Subnet", "name": "main-a", "parent": "main", "id": PLACEHOLDER},
            {"type": "aws:kms/key:Key", "name": "main-key", "parent": "main", "id": PLACEHOLDER},
        ],
    }
    filled, choose = fill(asked, map_all(read(SAMPLE).resources))
    assert filled == {
        **parents,
        "resources": [asked["resources"][0], {**asked["resources"][1], "id": "vpc-0a1b2c3d"}],
    }
    assert len(choose) == 1, "nothing is to be chosen for the key, which Terraform has not"
    assert choose[0].startswith("aws:ec2/subnet:Subnet main-a: choose its id: subnet-01 (module.network.aws_subnet.private")


def test_two_of_ours_for_one_of_theirs_is_a_choice() -> None:
    there = map_all([Resource("aws_eip.a", "aws_eip", {"id": "eipalloc-1"})])
    asked = {"resources": [{"type": "aws:ec2/eip:Eip", "name": name, "id": PLACEHOLDER} for name in ("a", "b")]}
    filled, choose = fill(asked, there)
    assert filled["resources"] == []
    assert len(choose) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hunter2-hunter2", "is no JSON"),
        ('{"version": 3, "modules": ["hunter2-hunter2"]}', "is of version 3, not 4"),
        ('{"secret": "hunter2-hunter2"}', "says no version"),
        ('["hunter2-hunter2"]', "says no version"),
        ('{"version": 4, "resources": [{"hunter2-hunter2": 1}]}', "not built as a state is"),
        ('{"version": 4, "resources": "hunter2-hunter2"}', "not built as a state is"),
    ],
)
def test_what_is_no_state_is_refused_and_never_quoted(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.tfstate"
    file.write_text(text)
    with pytest.raises(StateError) as raised:
        read(file)
    assert said in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_an_empty_state_has_nothing(tmp_path: Path) -> None:
    file = tmp_path / "empty.tfstate"
    file.write_text('{"version": 4, "resources": [], "outputs": {}}')
    assert read(file).resources == ()


def test_no_secret_is_shown_by_repr_or_by_the_command(tmp_path: Path) -> None:
    state = read(SAMPLE)
    assert state.outputs["kubeconfig"].sensitive
    out = tmp_path / "import.json"
    shown = CliRunner().invoke(app, ["import-terraform", str(SAMPLE), "--out", str(out)])
    assert shown.exit_code == 0
    everything = repr(state) + shown.output + out.read_text()
    assert not any(secret in everything for secret in SECRETS)
    assert json.loads(out.read_text())["resources"][0]["id"] == "vpc-0a1b2c3d"
    assert "6 of 8 map" in shown.output
    assert "random_password.db: random_password is not in" in shown.output


def test_the_command_fills_and_tells_it_as_one_document(tmp_path: Path) -> None:
    wanted = tmp_path / "wanted.json"
    wanted.write_text(json.dumps({"resources": [{"type": "aws:eks/cluster:Cluster", "name": "main", "id": PLACEHOLDER}]}))
    shown = CliRunner().invoke(app, ["import-terraform", str(SAMPLE), "--fill", str(wanted), "--format", "json"])
    found = json.loads(shown.output)
    assert found["import"]["resources"] == [{"type": "aws:eks/cluster:Cluster", "name": "main", "id": "main"}]
    assert len(found["unmapped"]) == 2
    wanted.write_text("[]")
    assert CliRunner().invoke(app, ["import-terraform", str(SAMPLE), "--fill", str(wanted)]).exit_code == 2


def test_a_state_that_is_not_there_ends_with_1(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["import-terraform", str(tmp_path / "none.tfstate")])
    assert shown.exit_code == 1
    assert "cannot be read: No such file" in shown.output
