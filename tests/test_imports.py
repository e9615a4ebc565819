"""What a program may not load: a foreign cloud's SDK in a stack of one cloud, and Pulumi where only a file is checked."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from fleet.cli import WORDS
from fleet.workspace import ROOT

SDKS = {"aws": "pulumi_aws", "gcp": "pulumi_gcp", "azure": "pulumi_azure_native"}

# The stack is built to its end: SDK modules load when a class is first named, not when a file is imported.
BUILD = """
import json, sys
from fleet.load import load_stack
from fleet.workspace import STACKS
from infra.platform import deploy
from infra.stack import Stack
from tests.mocked_engine import deploy as run, set_accounts
name = sys.argv[1]
stack = Stack(name, load_stack(STACKS / f"{name}.yaml"))
set_accounts()
made = run(lambda: deploy(stack), stack=name).resources
print(json.dumps({"types": [r.type for r in made], "modules": sorted(sys.modules)}))
"""
CHECK = """
import json, sys
from typer.testing import CliRunner
from fleet.cli import app
result = CliRunner().invoke(app, ["check", *sys.argv[1:]])
print(json.dumps({"code": result.exit_code, "said": result.output, "modules": sorted(sys.modules)}))
"""
COMMAND = """
import contextlib, io, json, sys
from fleet.cli import main
with contextlib.redirect_stdout(io.StringIO()) as said:
    try:
        main()
    except SystemExit as end:
        assert end.code == 0, end.code
assert json.loads(said.getvalue())
print(json.dumps({"modules": sorted(sys.modules)}))
"""

SERVICES = (
    "pulumi_aws.autoscaling",
    "pulumi_aws.ec2",
    "pulumi_aws.eks",
    "pulumi_aws.s3",
    "pulumi_azure_native.containerservice",
    "pulumi_azure_native.storage",
    "pulumi_gcp.container",
    "pulumi_gcp.storage",
    "pulumi_kubernetes.apps.v1",
    "pulumi_kubernetes.core.v1",
    "pulumi_kubernetes.helm.v3",
)
# Everything a service's own __init__.py has, and what the class of that name calls itself.
NAMES = """
import importlib, json, sys
names = json.loads(sys.argv[2]) if len(sys.argv) > 2 else None
if names:
    import infra
service = importlib.import_module(sys.argv[1])
hasattr(service, "outputs")  # loads it: the SDKs' own services are lazy as a whole
public = names or sorted(n for n in vars(service) if not n.startswith("_") and n not in ("outputs", "typing"))
kinds = {name: getattr(getattr(service, name), "__qualname__", str(type(getattr(service, name)))) for name in public}
print(json.dumps({"names": public, "kinds": [f"{n}: {k}" for n, k in kinds.items() if k != "module"]}))
"""


def loads(code: str, *args: str) -> dict[str, list[str]]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *args], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("cloud", SDKS)
def test_a_stack_of_one_cloud_loads_no_other_clouds_sdk(cloud: str) -> None:
    found = loads(BUILD, f"{cloud}-dev")
    packages = {module.partition(".")[0] for module in found["modules"]}
    assert packages & set(SDKS.values()) == {SDKS[cloud]}
    assert len(found["types"]) > 20, "the stack was not built"


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_loaded_by_the_class_holds_what_the_sdks_own_module_holds(service: str) -> None:
    own = loads(NAMES, service)
    # Asked for in an order in which no name finds its neighbours loaded: last first.
    ours = loads(NAMES, service, json.dumps(own["names"][::-1]))
    assert sorted(ours["kinds"]) == sorted(own["kinds"])
    assert len(own["kinds"]) > 10


def test_a_stack_loads_the_files_of_the_classes_it_names() -> None:
    modules = loads(BUILD, "aws-dev")["modules"]
    ec2 = [module for module in modules if module.startswith("pulumi_aws.ec2.")]
    assert "pulumi_aws.ec2.vpc" in ec2
    assert "pulumi_aws.ec2.ami" not in ec2
    assert len(ec2) < 30, ec2


def test_checking_a_stack_file_loads_no_pulumi() -> None:
    found = loads(CHECK, "--stack", "aws-dev")
    assert found["code"] == 0, found["said"]
    assert [m for m in found["modules"] if m == "pulumi" or m.startswith(("pulumi.", "pulumi_"))] == []


def test_a_command_loads_no_other_commands_module() -> None:
    modules = set(loads(COMMAND, "report", "--stack", "aws-dev", "--format", "json")["modules"])
    homes = {place.partition(":")[0] for place in WORDS.values()}
    assert modules & homes == {"fleet.report.cli"}
    assert "rich.console" not in modules


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("report --help", 0, "--live-quotas"),
        ("import-terraform --help", 0, "Usage"),
        ("comment github --help", 0, "--sections"),
        ("--help", 0, "import-terraform"),
        ("chek", 2, "check"),
    ],
)
def test_a_command_that_is_built_alone_is_the_command(words: str, code: int, said: str) -> None:
    main = "from fleet.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", main, *words.split()], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
