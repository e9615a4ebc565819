"""What a program may not load: a foreign cloud's SDK in a stack of one cloud, and Pulumi where only a file is checked."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from fleet.workspace import ROOT

SDKS = {"aws": "pulumi_aws", "gcp": "pulumi_gcp", "azure": "pulumi_azure_native"}

# The stack is built to its end: SDK modules load when a class is first named, not when a file is imported.
BUILD = """
import json, sys
from fleet.load import load_stack
from fleet.workspace import STACKS
from infra.platform import deploy
from infra.stack import Stack
from tests.mocked_engine import deploy as run
name = sys.argv[1]
stack = Stack(name, load_stack(STACKS / f"{name}.yaml"))
import pulumi
for key, value in {"gcp:project": "p", "azure-native:subscriptionId": "00000000-0000-0000-0000-000000000000"}.items():
    pulumi.runtime.set_config(key, value)
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


def test_checking_a_stack_file_loads_no_pulumi() -> None:
    found = loads(CHECK, "--stack", "aws-dev")
    assert found["code"] == 0, found["said"]
    assert [m for m in found["modules"] if m == "pulumi" or m.startswith(("pulumi.", "pulumi_"))] == []
