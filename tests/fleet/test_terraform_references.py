"""Outputs of a Terraform state in a stack file: put in before anything is checked, secrets kept out, faults at their lines."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from fleet import redact
from fleet.load import StackErrors, load_stack
from fleet.spec import StackSpec
from fleet.spec_terraform import reference
from fleet.terraform import references
from infra.stack import Stack
from tests.mocked_engine import deploy

SAMPLE = "tests/fleet/sample.tfstate"
FILE = """\
owner: lab
environment: dev
terraform:
  net: {{state: {state}}}
clusters:
  lab:
    cloud: existing
    region: DE
    kubeconfig: {kubeconfig}
    pools:
      rtx:
        accelerator: nvidia-rtx-4090
        per_node: 2
        hosts: {{names: {names}, vcpus: 32, memory_gib: 128}}
"""


def load(place: Path, names: str = "[gpu-1]", kubeconfig: str = "terraform:net.kubeconfig", state: str = SAMPLE) -> StackSpec:
    file = place / "lab.yaml"
    file.write_text(FILE.format(names=names, kubeconfig=kubeconfig, state=state))
    return load_stack(file)


def hosts(spec: StackSpec) -> list[str]:
    found = spec.clusters["lab"].pools["rtx"].hosts
    assert found is not None
    return found.names


def test_a_text_or_a_list_is_put_in_and_a_secret_stays_a_reference(tmp_path: Path) -> None:
    spec = load(tmp_path, "[gpu-1, terraform:net.vpc_id]")
    assert hosts(spec) == ["gpu-1", "vpc-0a1b2c3d"]
    assert hosts(load(tmp_path, "terraform:net.private_subnets")) == ["subnet-01", "subnet-02"]
    assert spec.clusters["lab"].kubeconfig == "terraform:net.kubeconfig"
    assert "s3cret-token" not in spec.model_dump_json()


@pytest.mark.parametrize(
    ("given", "line", "message", "remedy"),
    [
        ({"names": "[terraform:net.vpc_idd]"}, 14, "no output 'vpc_idd'", "did you mean vpc_id?"),
        ({"names": "[terraform:nett.vpc_id]"}, 14, "no Terraform state 'nett'", "did you mean net?"),
        ({"names": "[terraform:net.kubeconfig]"}, 14, "is sensitive", "one that is not sensitive"),
        ({"kubeconfig": "terraform:net.private_subnets"}, 9, "is no text", "an output that is one"),
        ({"state": "tests/fleet/none.tfstate"}, 4, "cannot be read", "terraform state pull"),
        ({"state": "../elsewhere.tfstate"}, 4, "outside of the repository", "below the repository's root"),
        ({"state": "tests/corpus/stacks.yaml"}, 4, "is no JSON", "terraform state pull"),
    ],
)
def test_each_fault_is_one_error_at_its_line_that_shows_no_secret(
    given: dict[str, str], line: int, message: str, remedy: str, tmp_path: Path
) -> None:
    with pytest.raises(StackErrors) as raised:
        load(tmp_path, **given)
    (error,) = raised.value.errors
    assert (error.line, error.message.count(message)) == (line, 1), error
    assert remedy in error.remedy
    assert "s3cret-token" not in str(error)


@pytest.mark.parametrize("version", [3, 5])
def test_another_version_of_the_state_is_refused(version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "_ROOT", tmp_path)
    (tmp_path / "old.tfstate").write_text(json.dumps({"version": version, "outputs": {}, "resources": []}))
    with pytest.raises(StackErrors) as raised:
        load(tmp_path, state="old.tfstate")
    assert f"is of version {version}, not 4" in raised.value.errors[0].message


def test_a_value_that_is_no_whole_reference_is_a_value() -> None:
    assert [reference(text) for text in ("terraform:net.vpc_id ", "x-terraform:net.vpc_id", "terraform:net", 4, None)] == [
        None
    ] * 5
    assert reference("terraform:my-net.vpc-id") == ("my-net", "vpc-id")


def test_what_is_put_in_is_checked_as_if_it_stood_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "_ROOT", tmp_path)
    outputs = {"host": {"value": "Not A Host", "type": "string"}, "map": {"value": {"a": 1}, "type": ["map", "number"]}}
    (tmp_path / "net.tfstate").write_text(json.dumps({"version": 4, "outputs": outputs, "resources": []}))
    with pytest.raises(StackErrors) as raised:
        load(tmp_path, "[terraform:net.host]", "labKubeconfig", "net.tfstate")
    assert "is not of the allowed form" in raised.value.errors[-1].message
    assert "'Not A Host'" in raised.value.errors[-1].got
    with pytest.raises(StackErrors, match="neither text nor number nor a list of texts"):
        load(tmp_path, "terraform:net.map", "labKubeconfig", "net.tfstate")


def test_what_a_run_says_has_the_outputs_token_masked(tmp_path: Path) -> None:
    known = references.secrets(load(tmp_path))
    assert len(known) == 1
    (tmp_path / "stacks").mkdir()
    engine = SimpleNamespace(stack="lab", workspace=SimpleNamespace(project=tmp_path / "stacks"))
    said = redact.of(engine, [f"token: {'x' * 30}", *known])(f"refused: {'x' * 30}; {known[0]}")  # type: ignore[arg-type]
    assert "s3cret-token" not in said
    assert "x" * 30 not in said


def test_a_sensitive_output_is_a_secret_of_the_program_and_a_setting_goes_before_it(tmp_path: Path) -> None:
    stack = Stack("lab", load(tmp_path))
    made: dict[str, Any] = {}

    def program() -> None:
        made["value"] = stack.secret("terraform:net.kubeconfig")
        pulumi.export("secret", pulumi.Output.from_input(made["value"].is_secret()))
        pulumi.export("text", pulumi.Output.unsecret(made["value"]))
        pulumi.runtime.set_config("accelfleet:terraform-net-kubeconfig", "of the sandbox")
        pulumi.export("set", pulumi.Output.unsecret(stack.secret("terraform:net.kubeconfig")))

    exports = deploy(program, stack="lab").exports
    assert exports["secret"] is True
    assert "s3cret-token" in exports["text"]
    assert exports["set"] == "of the sandbox"
    pulumi.runtime.set_config("accelfleet:terraform-net-kubeconfig", "")
