"""kill -9 of the engine or of a plugin at a random point, and what must be true after the same command has run again.

The cloud's own log is the truth: what exists there afterwards is exactly what the state holds, each thing once.
Stock Pulumi, measured on the same faults: a stuck lock, 8 orphans and 8 duplicates of 60.
"""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import psutil

from sandbox.cloud.client import Client
from tests.e2e.rig import Rig


def victims(mark: str, what: str) -> list[psutil.Process]:
    """The engine or the aws plugin of the run under way."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("ACCELFLEET_SANDBOX") != mark:
                continue
            words = process.cmdline()
        except psutil.Error:
            continue
        is_engine = bool(words) and words[0].endswith("/pulumi")
        is_plugin = any("sandbox.providers.aws" in w for w in words)
        if (what == "engine" and is_engine) or (what == "plugin" and is_plugin):
            found.append(process)
    return found


def kill_after(rig: Rig, changes: int, what: str, killed: list[int]) -> threading.Thread:
    """Kill the victim once the cloud has seen that many changes."""
    client = Client(rig.home)
    before = len(client.call("log"))

    def wait_and_kill() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if len(client.call("log")) - before >= changes:
                for process in victims(str(rig.home), what):
                    process.kill()
                    killed.append(process.pid)
                if killed:
                    return
            time.sleep(0.02)

    thread = threading.Thread(target=wait_and_kill, daemon=True)
    thread.start()
    return thread


def converges(rig: Rig, seed: int, what: str, resources: int, tagged: int) -> None:
    """Kill it at a random point of a create, an update or a delete; the same command then ends as if nothing had been."""
    chance = random.Random(seed)
    phase = ("create", "update", "delete")[seed % 3]
    rig.set_generation(1)
    if phase != "create":
        assert rig.run("up").ok
    if phase == "update":
        rig.set_generation(2)
    killed: list[int] = []
    killer = kill_after(rig, chance.randint(2, resources * 2 // 3), what, killed)
    verb = "destroy" if phase == "delete" else "up"
    first = rig.run(verb)
    killer.join(timeout=1)
    assert killed, "nothing was killed: the run ended too soon"
    assert not first.ok
    if what == "engine":
        assert "ended by SIGKILL" in "".join(first.outcome.errors), first.outcome.errors
    assert not [p for p in (*victims(str(rig.home), "engine"), *victims(str(rig.home), "plugin")) if p.is_running()], (
        "a stray lives"
    )

    second = rig.run(verb)
    assert second.ok, second.outcome.errors
    exists, state = rig.exists(), rig.state()
    assert exists == state, f"lost: {state.keys() - exists.keys()}, orphans: {exists.keys() - state.keys()}"
    assert len(exists) == (0 if phase == "delete" else resources)
    if phase == "update":
        assert len(Client(rig.home).call("list", tags={"generation": "2"})) == tagged, "an update was lost"
    third: Any = rig.run(verb)
    assert third.ok
    assert third.outcome.changed == 0
    if verb == "up":
        assert rig.run("destroy").ok
    assert rig.exists() == {}
