"""A cloud and a stack of sixty resources on it, for runs that something goes wrong in.

The cloud's own list is the truth of what exists; two under one URN fail the test.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from fleet.engine import Engine
from fleet.operations import Operation, Result
from fleet.progress import Board
from fleet.spec import StackSpec
from fleet.workspace import Workspace
from sandbox.cloud import daemon
from sandbox.cloud.client import Client
from sandbox.workspace import sandbox_workspace

HERE = Path(__file__).parent
PROGRAM = HERE / "crash_program"
# Ten resources of five kinds, for what is run many times.
SMALL = HERE / "fault_program"
STACK = "crash"
# A spec that nothing reads but the order of stacks.
SPEC = StackSpec.model_construct(owner="tests", environment="dev", depends_on=[], secrets=[], clusters={})


@dataclass
class Rig:
    """A cloud that takes its time, and the stack on it."""

    home: Path
    workspace: Workspace

    def set_generation(self, generation: int) -> None:
        self.configure(generation=str(generation))

    def configure(self, **settings: str) -> None:
        """Set what the program reads, beside what was set before."""
        file = self.workspace.project / "config" / f"Pulumi.{STACK}.yaml"
        kept = yaml.safe_load(file.read_text()) if file.exists() else {}
        read = {f"crash:{key}": value for key, value in settings.items()}
        kept["config"] = {**(kept.get("config") or {}), "aws:region": "us-east-1", **read}
        file.write_text(yaml.safe_dump(kept))

    def run(self, verb: str) -> Result:
        board = Board(verb, [STACK], Console(quiet=True), quiet=True)
        result = Operation(verb, self.workspace, {STACK: SPEC}, board, self.home / "logs").run()[STACK]
        assert result is not None
        return result

    def exists(self) -> dict[str, str]:
        """urn -> id of everything the cloud holds; two under one urn fail the test."""
        found: dict[str, str] = {}
        for record in Client(self.home).call("list"):
            assert record["urn"] not in found, f"{record['urn']} exists twice"
            found[record["urn"]] = record["id"]
        return found

    def log(self) -> list[Any]:
        """Every change that the cloud ever made."""
        return list(Client(self.home).call("log"))

    def state(self) -> dict[str, str]:
        deployment = Engine(self.workspace, STACK).export().get("deployment") or {}
        assert not deployment.get("pending_operations")
        return {r["urn"]: r["id"] for r in deployment.get("resources") or [] if r["type"].startswith("aws:")}


@contextmanager
def standing(home: Path, latency: float, program: Path = PROGRAM) -> Iterator[Rig]:
    """A rig with its cloud running; each change takes that cloud `latency` seconds."""
    workspace = sandbox_workspace(home)
    daemon.start(home)
    project = home / "crash-project"
    (project / "config").mkdir(parents=True)
    settings = yaml.safe_load((workspace.project / "Pulumi.yaml").read_text())
    (project / "Pulumi.yaml").write_text(yaml.safe_dump({**settings, "name": "crash", "main": str(program)}))
    try:
        Client(home).call("latency", seconds=latency)
        yield Rig(home, replace(workspace, project=project))
    finally:
        daemon.stop(home)
