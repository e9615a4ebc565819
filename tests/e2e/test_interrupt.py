"""Ctrl-C in the middle of `fleet up`: it winds down, says so, leaves nothing running, and the next run goes on from there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from fleet.engine import Engine
from sandbox.workspace import sandbox_workspace
from tests.e2e.conftest import ROOT, Sandbox

pytestmark = pytest.mark.sandbox
STACK = "gcp-dev"


def test_ctrl_c_winds_down_and_the_same_command_goes_on(sandbox: Sandbox) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "from fleet.cli import main; main()", "up", "--sandbox", "--stack", STACK],
        cwd=ROOT,
        env={**os.environ, **sandbox.places, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as first:
        said: list[str] = []
        assert first.stdout is not None
        for line in first.stdout:
            said.append(line)
            if line.startswith(f"{STACK}: create ") and "network" in line.lower():
                first.send_signal(signal.SIGINT)
                break
        said += first.stdout.readlines()
    assert first.returncode == 130, "".join(said)
    assert "stopping: what is in flight is finished" in "".join(said)
    assert "the same command goes on from here" in "".join(said)

    deadline = time.monotonic() + 10
    while (left := [p for p in sandbox.processes() if "pulumi" in p.name()]) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left, "an engine or a plugin lives on"
    deployment = Engine(sandbox_workspace(sandbox.home), STACK).export()["deployment"]
    assert not deployment.get("pending_operations")
    made = {r["urn"]: r["id"] for r in deployment["resources"] if r.get("id")}
    assert made, "the run was stopped before it made anything"

    assert sandbox.json("up", "--sandbox", "--stack", STACK)["stacks"][STACK]["ok"]
    after = {
        r["urn"]: r["id"]
        for r in Engine(sandbox_workspace(sandbox.home), STACK).export()["deployment"]["resources"]
        if r.get("id")
    }
    assert made.items() <= after.items(), "something was made twice"
    sandbox.fleet("destroy", "--sandbox", "--stack", STACK)
    assert [r for r in sandbox.cloud("list") if r["tags"].get("accelfleet-stack") == STACK] == []
