"""Files of a killed run: a dead process's lock goes, anybody else's stays and is told with who holds it and what to do;
attributes torn in the middle of a write go, and the state beside them stays.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fleet.file_backend import break_dead_locks, drop_torn_attributes
from fleet.workspace import Workspace

STACK = "prod"


class Nowhere:
    def find(self, stack: str, wanted: object) -> list[str]:
        return []


@dataclass
class Engine:
    """As much of an engine as a lock needs: whose it is and where its backend is."""

    backend: str
    stack: str = STACK
    workspace: Any = field(init=False)

    def __post_init__(self) -> None:
        env = {"PULUMI_BACKEND_URL": self.backend} if self.backend else {}
        self.workspace = Workspace(Path(), env, Nowhere())


class Backend:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.engine: Any = Engine(f"file://{directory}")

    def lock(self, name: str = "one", stack: str = STACK, **about: object) -> Path:
        said = {"pid": 1, "username": "jo", "hostname": socket.gethostname(), "timestamp": "2026-11-23T10:00:00Z"} | about
        return self.write(json.dumps(said), name, stack)

    def write(self, text: str, name: str = "one", stack: str = STACK) -> Path:
        path = self.directory / ".pulumi" / "locks" / "organization" / "accelfleet" / stack / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    return Backend(tmp_path)


@pytest.fixture
def dead() -> int:
    """The pid of a process that has just ended and was waited for."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def zombie() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert process.stdout is not None
    # Its end of the pipe closes when it ends; nobody has waited for it then.
    process.stdout.read()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    yield process.pid
    process.stdout.close()
    process.wait()


def test_a_dead_processes_lock_goes(backend: Backend, dead: int) -> None:
    locks = [backend.lock("one", pid=dead), backend.lock("two", pid=dead)]
    assert break_dead_locks(backend.engine) == [str(dead)] * 2
    assert not any(lock.exists() for lock in locks)


def test_a_zombie_is_dead(backend: Backend, zombie: int) -> None:
    lock = backend.lock(pid=zombie)
    assert break_dead_locks(backend.engine) == [str(zombie)]
    assert not lock.exists()


def test_a_living_processes_lock_stays_and_says_whose_it_is(backend: Backend) -> None:
    lock = backend.lock(pid=os.getpid(), username="kim")
    with pytest.raises(RuntimeError) as refused:
        break_dead_locks(backend.engine)
    said = str(refused.value)
    for part in (
        STACK,
        f"kim@{socket.gethostname()}",
        str(os.getpid()),
        "2026-11-23T10:00:00Z",
        f"pulumi cancel --stack {STACK}",
    ):
        assert part in said
    assert lock.exists()


def test_another_hosts_lock_stays_though_no_such_process_is_here(backend: Backend, dead: int) -> None:
    lock = backend.lock(pid=dead, hostname="elsewhere")
    with pytest.raises(RuntimeError, match=r"locked by jo@elsewhere.*wait for that run.*pulumi cancel"):
        break_dead_locks(backend.engine)
    assert lock.exists()


def test_another_stacks_lock_is_not_looked_at(backend: Backend, dead: int) -> None:
    lock = backend.lock(stack="prod-eu", pid=dead)
    assert break_dead_locks(backend.engine) == []
    assert lock.exists()


@pytest.mark.parametrize("url", ["", "s3://bucket/state", "https://api.pulumi.com"])
def test_a_backend_whose_locks_cannot_be_read_breaks_none(url: str) -> None:
    engine: Any = Engine(url)
    assert break_dead_locks(engine) == []


def test_no_lock_at_all_is_no_error(backend: Backend) -> None:
    assert break_dead_locks(backend.engine) == []


@pytest.mark.parametrize("text", ["", '{"pid": 1', "null", '{"hostname": "HOST"}', '{"hostname": "HOST", "pid": "x"}'])
def test_a_lock_that_cannot_be_read_is_refused_by_name(backend: Backend, text: str) -> None:
    lock = backend.write(text.replace("HOST", socket.gethostname()))
    with pytest.raises(RuntimeError) as refused:
        break_dead_locks(backend.engine)
    assert str(lock) in str(refused.value)
    assert lock.exists()


def test_what_is_left_of_a_lock_that_was_never_taken_goes_unless_its_process_lives(backend: Backend, dead: int) -> None:
    def unnamed(lock: Path) -> Path:
        """As the backend writes it, before it has its name."""
        return lock.rename(lock.with_name(f"{lock.name}.18eccc16eac7581c.tmp"))

    cut_off, done_with = unnamed(backend.write("")), unnamed(backend.lock("two", pid=dead))
    assert break_dead_locks(backend.engine) == [str(dead)]
    assert not cut_off.exists()
    assert not done_with.exists()
    living = unnamed(backend.lock(pid=os.getpid()))
    with pytest.raises(RuntimeError, match="is locked by jo"):
        break_dead_locks(backend.engine)
    assert living.exists()


ATTRIBUTES = '{"user.content_type": "application/json", "md5": "xAAA"}'


@pytest.mark.parametrize(("text", "goes"), [("", True), (ATTRIBUTES[:20], True), (ATTRIBUTES, False)])
def test_torn_attributes_of_a_state_go_and_the_state_stays(backend: Backend, text: str, goes: bool) -> None:
    state = backend.directory / ".pulumi" / "stacks" / "accelfleet" / f"{STACK}.json"
    state.parent.mkdir(parents=True)
    state.write_text("{}")
    torn = state.with_name(f"{STACK}.json.attrs")
    torn.write_text(text)
    other = state.with_name("prod-eu.json.attrs")
    other.write_text("")
    assert drop_torn_attributes(backend.engine) == ([torn] if goes else [])
    assert torn.exists() is not goes
    assert state.read_text() == "{}"
    assert other.exists()


def test_attributes_that_a_run_may_be_writing_are_left_alone(backend: Backend) -> None:
    backend.lock(pid=os.getpid())
    torn = backend.directory / ".pulumi" / "stacks" / "accelfleet" / f"{STACK}.json.attrs"
    torn.parent.mkdir(parents=True)
    torn.write_text("")
    assert drop_torn_attributes(backend.engine) == []
    assert torn.exists()
