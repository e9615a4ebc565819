"""The disk fills up under a run: it fails and says so; with room again, one run more ends as if nothing had been.

All that a run writes (state, copies, marks, logs, scratch) is on a disk of its own of a few megabytes. The cloud is not,
and its own list is the truth of what exists.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from fleet.operations import Result
from sandbox.cloud.client import Client
from tests.e2e.rig import SMALL, Rig, standing
from tests.waiting import until

pytestmark = pytest.mark.sandbox
SIZE = 16 << 20


@dataclass
class Disk:
    """A small file system."""

    place: Path

    def fill(self) -> None:
        with (self.place / "ballast").open("wb", buffering=0) as out, contextlib.suppress(OSError):
            while True:
                out.write(bytes(4096))

    def clear(self) -> None:
        (self.place / "ballast").unlink()


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    place = tmp_path_factory.mktemp("disk")
    # A runner of CI is not root, and may become it without being asked; nobody's own machine is asked for that.
    asker = ["sudo", "-n"] if os.geteuid() and os.environ.get("CI") and shutil.which("sudo") else []
    options = f"size={SIZE},mode=700,uid={os.getuid()}"
    mount = [*asker, "mount", "-t", "tmpfs", "-o", options, "accelfleet-test", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here, only root may: {done.stderr.strip()}")
    try:
        yield Disk(place)
    finally:
        subprocess.run([*asker, "umount", str(place)], check=True)


@pytest.fixture(scope="module")
def rig(disk: Disk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    home = tmp_path_factory.mktemp("full")
    for name in ("state", "backups", "running", "logs", "tmp"):
        (disk.place / name).mkdir()
        (home / name).symlink_to(disk.place / name)
    with standing(home, latency=0.3, program=SMALL) as made, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(home / "tmp"))
        # The engine tries each save again for 17 seconds, and every operation in flight has one: one at a time.
        env = {**made.workspace.env, "TMPDIR": str(home / "tmp"), "PULUMI_PARALLEL": "1"}
        yield Rig(home, replace(made.workspace, env=env, policies=None))


def run_into(disk: Disk, rig: Rig, verb: str, changes: int) -> Result:
    """A run whose disk is full once the cloud has seen so many changes of it."""
    before, filled = len(rig.log()), threading.Event()

    def strike() -> None:
        if until(lambda: len(rig.log()) - before >= changes, seconds=120):
            disk.fill()
            filled.set()

    thread = threading.Thread(target=strike)
    thread.start()
    result = rig.run(verb)
    thread.join()
    assert filled.is_set(), "the run ended before its disk was full"
    return result


def full(result: Result) -> bool:
    """Whether it failed, said why in the system's words, and what to do."""
    said = any("no space left on device" in error.lower() for error in result.outcome.errors)
    return not result.ok and said and any("free some of it" in advice for advice in result.advice)


def test_a_run_that_begins_on_a_full_disk_changes_nothing_and_leaves_nothing_in_the_way(disk: Disk, rig: Rig) -> None:
    rig.set_generation(1)
    disk.fill()
    refused = rig.run("up")
    assert full(refused), refused
    assert rig.log() == []
    disk.clear()
    after = rig.run("destroy")
    assert after.ok, after.outcome.errors


@pytest.mark.parametrize("phase", ["create", "update", "delete"])
def test_a_full_disk_under_a_run_loses_nothing(disk: Disk, rig: Rig, phase: str) -> None:
    verb = "destroy" if phase == "delete" else "up"
    rig.set_generation(1)
    if phase != "create":
        assert rig.run("up").ok
    if phase == "update":
        rig.set_generation(2)
    first = run_into(disk, rig, verb, random.Random(phase).randint(2, 6))
    assert full(first), first
    disk.clear()
    last = rig.run(verb)
    assert last.ok, last.outcome.errors
    assert rig.exists() == rig.state()
    assert len(rig.exists()) == (10 if verb == "up" else 0)
    if phase == "update":
        assert len(Client(rig.home).call("list", tags={"generation": "2"})) == 10, "what was lost was an update"
    after = rig.run(verb)
    assert after.ok, after.outcome.errors
    assert after.outcome.changed == 0
    assert rig.run("destroy").ok
    assert rig.exists() == {}
