"""Storage accounts that come up at once: azurite restarts for all that wait together, and never under another's request."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sandbox.cloud.errors import CloudError
from sandbox.object_stores import Azurite


class Recorded(Azurite):
    """Azurite whose process is a list of what it was started for; `asked` is what was made while it stood."""

    def __init__(self, directory: Path) -> None:
        self.starts: list[list[str]] = []
        self.stands, self.fails, self.slow = False, False, threading.Event()
        self.made: list[tuple[str, str]] = []
        self.slow.set()
        super().__init__(directory)

    def _run(self, command: list[str], env: dict[str, str] | None = None) -> None:
        assert env is not None
        self.slow.wait(30)
        if self.fails:
            raise CloudError("StoreDown", "it did not start", 503)
        self.starts.append([pair.partition(":")[0] for pair in env["AZURITE_ACCOUNTS"].split(";")])
        self.stands = True

    def stop(self) -> None:
        self.stands = False

    def _client(self, account: str) -> Any:
        server = self

        class Client:
            def create_container(self, name: str) -> None:
                assert server.stands, "asked while it was being restarted"
                assert account in server.starts[-1]
                server.made.append((account, name))

        return Client()


@pytest.fixture
def azurite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    monkeypatch.setattr("sandbox.object_stores.azurite", lambda: tmp_path / "main.js")
    monkeypatch.setattr("sandbox.object_stores._node_tool", lambda name: name)
    monkeypatch.setattr("sandbox.object_stores.processes.free_ports", lambda many: [1] * many)
    return Recorded(tmp_path / "azure")


def test_accounts_that_wait_share_one_restart_and_none_is_asked_during_it(azurite: Recorded) -> None:
    wanted = [(f"account{i % 6}", f"c{i}") for i in range(24)]
    azurite.slow.clear()
    with ThreadPoolExecutor(24) as pool:
        done = [pool.submit(azurite.create, "/".join(pair)) for pair in wanted]
        # All but the first wait for the lock by now, or come to it with their accounts asked for.
        while len(azurite._asked) < len(wanted):
            threading.Event().wait(0.01)
        azurite.slow.set()
        for one in done:
            one.result(timeout=30)
    assert sorted(azurite.made) == sorted(wanted)
    assert len(azurite.starts) <= 2
    assert set(azurite.starts[-1]) == {account for account, _ in wanted}


def test_one_that_did_not_start_is_started_again_for_the_same_account(azurite: Recorded) -> None:
    azurite.fails = True
    with pytest.raises(CloudError, match="did not start"):
        azurite.create("one/data")
    azurite.fails = False
    azurite.create("one/data")
    assert azurite.made == [("one", "data")]
    assert Recorded(azurite.directory).starts == [["one"]], "a daemon that comes back serves the accounts that it had"
