"""A state that is cut off, flipped, empty, older or sealed otherwise is found before a run, with its last good copy named.

The files are as the engine's file backend writes them; the engine is a stand-in that answers `stack export` and takes
`stack import`. The same faults against the real engine: tests/e2e/test_states.py.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import random
import socket
import stat
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fleet.state.backups import KEEP, Backups
from fleet.state.checkpoint import Damaged, State, parse, read
from fleet.state.guard import Verdict, backups_of, keep, mark_of, trusted, verify
from fleet.state.replace import mend, restore
from fleet.workspace import Workspace

STACK = "prod"
PROVIDER = f"urn:pulumi:{STACK}::accelfleet::pulumi:providers:aws::aws"
CIPHER = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:ij8U5Jo68K:P+zUbt59"}


def deployment(names: tuple[str, ...] = ("a", "b", "c"), minute: int = 0) -> dict[str, Any]:
    root = f"urn:pulumi:{STACK}::accelfleet::pulumi:pulumi:Stack::accelfleet-{STACK}"
    queues = [
        {
            "urn": f"urn:pulumi:{STACK}::accelfleet::aws:sqs/queue:Queue::{name}",
            "type": "aws:sqs/queue:Queue",
            "custom": True,
            "id": name,
            "parent": root,
            "provider": f"{PROVIDER}::p-1",
            "outputs": {"token": CIPHER},
        }
        for name in names
    ]
    stack = [{"urn": root, "type": "pulumi:pulumi:Stack", "custom": False}] if names else []
    provider = [{"urn": PROVIDER, "type": "pulumi:providers:aws", "custom": True, "id": "p-1"}] if names else []
    return {"manifest": {"time": f"2026-11-29T10:{minute:02}:00.123456789Z"}, "resources": [*stack, *provider, *queues]}


class Nowhere:
    def find(self, stack: str, wanted: object) -> list[str]:
        return []


@dataclass
class Engine:
    """A file backend, and the commands that a guard gives."""

    home: Path
    stack: str = STACK
    opens: bool = True
    workspace: Any = field(init=False)
    commands: list[tuple[str, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.home / "Pulumi.yaml").write_text("name: accelfleet\n")
        env = {"PULUMI_BACKEND_URL": f"file://{self.home}/state"}
        self.workspace = Workspace(self.home, env, Nowhere(), sandbox=self.home)

    @property
    def file(self) -> Path:
        return self.home / "state" / ".pulumi" / "stacks" / "accelfleet" / f"{self.stack}.json"

    def save(self, made: dict[str, Any]) -> None:
        """As the backend does: the file, and its MD5 beside it."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        raw = json.dumps({"version": 3, "checkpoint": {"stack": "s", "latest": made}}).encode()
        self.file.write_bytes(raw)
        self.attributes.write_text(json.dumps({"md5": base64.b64encode(hashlib.md5(raw).digest()).decode()}))

    @property
    def attributes(self) -> Path:
        return self.file.with_name(f"{self.file.name}.attrs")

    def init(self) -> None:
        self.commands.append(("init",))
        self.save({"manifest": {"time": "2026-11-29T12:00:00Z"}})

    def plain(self, *args: str) -> subprocess.CompletedProcess[str]:
        self.commands.append(args)
        if args[1] == "import":
            self.save(json.loads(Path(args[-1]).read_text())["deployment"])
            return subprocess.CompletedProcess(args, 0, "", "")
        wrong = "--show-secrets" in args and not self.opens
        return subprocess.CompletedProcess(args, int(wrong), "{}", "incorrect passphrase" if wrong else "")


@pytest.fixture
def engine(tmp_path: Path) -> Any:
    made = Engine(tmp_path)
    made.save(deployment())
    assert keep(made) is not None  # type: ignore[arg-type]
    return made


def flip(path: Path, at: int, bit: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1 << bit
    path.write_bytes(raw)


def killed(engine: Any) -> None:
    mark_of(engine).parent.mkdir(parents=True)
    mark_of(engine).touch()


def cut(engine: Any) -> None:
    engine.file.write_bytes(engine.file.read_bytes()[:400])


def empty(engine: Any) -> None:
    engine.file.write_bytes(b"")


def renamed(engine: Any) -> None:
    """One bit, and it is still JSON and still a URN: queue b becomes queue c's neighbour, `j`."""
    flip(engine.file, engine.file.read_bytes().index(b"Queue::b") + 7, 3)


def older(engine: Any) -> None:
    engine.save(deployment(("a",)))
    before = json.loads(engine.file.read_text())["checkpoint"]["latest"]
    before["manifest"]["time"] = "2026-11-29T09:00:00Z"
    engine.save(before)


def gone(engine: Any) -> None:
    engine.file.unlink()
    engine.attributes.unlink()


def emptied(engine: Any) -> None:
    engine.save({"manifest": {"time": "2026-11-29T12:00:00Z"}})


FAULTS = [
    (cut, "cut off or no JSON"),
    (empty, "is empty"),
    (renamed, "its MD5 is not the one kept"),
    (older, "before the backup"),
    (gone, "it is gone, and the backup has 5 resources"),
    (emptied, "holds no resource, and the backup has 5"),
]


@pytest.mark.parametrize(("break_", "said"), FAULTS, ids=[f[0].__name__ for f in FAULTS])
def test_a_fault_is_found_before_a_run_and_one_command_mends_it(engine: Any, break_: Any, said: str) -> None:
    good = read(engine)
    assert good is not None
    break_(engine)
    with pytest.raises(RuntimeError) as refused:
        trusted(engine)
    (backup,) = backups_of(engine).all()
    for part in (said, "nothing was changed", str(backup.path), f"fleet state restore --sandbox --stack {STACK}"):
        assert part in str(refused.value)
    assert not engine.commands, "the engine was asked before the state was known to be sound"
    put = restore(engine)
    assert put.backup.path == backup.path
    now = trusted(engine)
    assert now is not None
    assert now.digest == good.digest
    assert (engine.workspace.running / STACK).exists(), "what was made since the copy would be made again"


def test_every_flipped_bit_is_found(engine: Any) -> None:
    size, chance = len(engine.file.read_bytes()), random.Random(8)
    whole = engine.file.read_bytes()
    for _ in range(300):
        flip(engine.file, chance.randrange(size), chance.randrange(8))
        assert verify(engine).faults
        engine.file.write_bytes(whole)
    assert not verify(engine).faults


def test_without_a_checksum_what_contradicts_itself_is_found() -> None:
    """Other backends keep none: a flip in a URN, a type, a parent or a provider still shows."""
    found = total = 0
    text = json.dumps({"version": 3, "deployment": deployment()})
    chance = random.Random(8)
    for _ in range(400):
        raw = bytearray(text.encode())
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        total += 1
        try:
            parse(bytes(raw))
        except Damaged:
            found += 1
    assert found / total > 0.6


def test_the_wrong_passphrase_is_found_on_request(engine: Any) -> None:
    engine.opens = False
    assert not verify(engine).faults
    (said,) = verify(engine, secrets=True).faults
    assert "do not open with this passphrase" in said
    assert "incorrect passphrase" in said


@pytest.mark.parametrize("break_", [older, gone, emptied])
def test_after_a_kill_an_older_state_is_recoverys_to_mend(engine: Any, break_: Any) -> None:
    killed(engine)
    break_(engine)
    assert trusted(engine) is None or break_ is not gone


def test_after_a_kill_a_checksum_of_a_save_that_never_came_is_no_fault(engine: Any) -> None:
    engine.attributes.write_text(json.dumps({"md5": base64.b64encode(b"0" * 16).decode()}))
    with pytest.raises(RuntimeError, match="MD5"):
        trusted(engine)
    killed(engine)
    state = trusted(engine)
    assert state is not None
    assert not state.checked


@pytest.mark.parametrize("break_", [cut, empty])
def test_after_a_kill_a_torn_state_is_still_refused(engine: Any, break_: Any) -> None:
    killed(engine)
    break_(engine)
    with pytest.raises(RuntimeError, match="not to be trusted"):
        trusted(engine)


def before_last(engine: Any, names: tuple[str, ...], minute: int) -> None:
    """The save before the last, as the backend keeps it."""
    kept = {"version": 3, "checkpoint": {"latest": deployment(names, minute)}}
    engine.file.with_name(f"{engine.file.name}.bak").write_text(json.dumps(kept))


@pytest.mark.parametrize("break_", [cut, empty])
@pytest.mark.parametrize(("minute", "resources"), [(1, 4), (-1, 5), (None, 5)])
def test_what_a_failed_run_tore_is_replaced_by_the_newest_that_is_whole(
    engine: Any, break_: Any, minute: int | None, resources: int
) -> None:
    """The copy is of 10:00; the save before the last is newer, older, or torn as well."""
    killed(engine)
    if minute is not None:
        before_last(engine, ("a", "b"), minute % 60)
        if minute < 0:
            bak = engine.file.with_name(f"{engine.file.name}.bak")
            bak.write_text(bak.read_text().replace("T10:", "T09:"))
    else:
        engine.file.with_name(f"{engine.file.name}.bak").write_bytes(b"")
    break_(engine)
    torn = engine.file.read_bytes()
    assert f"by one of {resources} resources" in (mend(engine) or "")
    state = trusted(engine)
    assert state is not None
    assert state.resources == resources
    (replaced,) = backups_of(engine).directory.glob("replaced-*")
    assert replaced.read_bytes() == torn
    assert mark_of(engine).read_text() == "", "recovery must still look for what neither knew"
    assert mend(engine) is None


def test_a_torn_state_of_a_first_run_is_left_to_recovery_whole(tmp_path: Path) -> None:
    fresh: Any = Engine(tmp_path)
    fresh.save(deployment())
    killed(fresh)
    cut(fresh)
    assert "by none" in (mend(fresh) or "")
    assert trusted(fresh) is None


def test_a_state_of_another_version_is_not_taken_for_torn(engine: Any) -> None:
    killed(engine)
    engine.file.write_text(engine.file.read_text().replace('"version": 3', '"version": 9'))
    assert mend(engine) is None
    with pytest.raises(RuntimeError, match="has version 9"):
        trusted(engine)


def test_what_no_run_of_ours_tore_is_not_mended(engine: Any) -> None:
    cut(engine)
    assert mend(engine) is None
    killed(engine)
    mark_of(engine).write_text("restored")
    assert mend(engine) is None


def test_without_room_for_what_was_torn_nothing_is_changed(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(engine)
    cut(engine)
    torn, files = engine.file.read_bytes(), sorted(backups_of(engine).directory.iterdir())

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        mend(engine)
    assert engine.file.read_bytes() == torn
    assert sorted(backups_of(engine).directory.iterdir()) == files


def test_a_stack_that_was_never_up_is_no_fault(tmp_path: Path) -> None:
    fresh: Any = Engine(tmp_path)
    assert trusted(fresh) is None
    assert keep(fresh) is None


def test_a_flip_after_a_restore_and_before_the_next_run_is_found(engine: Any) -> None:
    cut(engine)
    restore(engine)
    renamed(engine)
    with pytest.raises(RuntimeError, match="MD5"):
        trusted(engine)


def test_a_copy_holds_what_the_engine_imports_with_secrets_sealed_and_for_its_owner_alone(engine: Any) -> None:
    (backup,) = backups_of(engine).all()
    held = json.loads(backup.path.read_text())
    assert held["version"] == 3
    assert held["deployment"]["resources"][2]["outputs"]["token"] == CIPHER
    assert stat.S_IMODE(backup.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(backup.path.parent.stat().st_mode) == 0o700


def test_the_same_state_is_copied_once_and_the_newest_are_kept(tmp_path: Path) -> None:
    copies = Backups(tmp_path)
    start = datetime(2026, 11, 29, 10, tzinfo=UTC)
    for i in range(KEEP + 5):
        state = State({"version": 3, "deployment": deployment(minute=i)})
        copies.take(state, now=start + timedelta(minutes=i))
        copies.take(state, now=start + timedelta(minutes=i, seconds=30))
    kept = copies.all()
    assert len(kept) == KEEP
    assert kept[0].taken == start + timedelta(minutes=KEEP + 4)


def test_a_copy_that_was_flipped_is_passed_over_and_said(engine: Any) -> None:
    engine.save(deployment(("a", "b", "c", "d"), minute=5))
    assert keep(engine) is not None
    newest, oldest = backups_of(engine).all()
    flip(newest.path, 200, 0)
    found = verify(engine, secrets=True)
    assert found.newest is not None
    assert found.newest.backup.path == oldest.path
    assert str(newest.path) in found.bad_copies[0]
    cut(engine)
    assert restore(engine).backup.path == oldest.path


def test_a_sound_state_is_put_back_by_name_only(engine: Any) -> None:
    with pytest.raises(RuntimeError, match="is sound: name the backup to go back to with --from"):
        restore(engine)
    (backup,) = backups_of(engine).all()
    engine.save(deployment(("a", "b", "c", "d"), minute=5))
    assert restore(engine, backup.path).backup.path == backup.path
    # And that is no "older than its copy" from then on.
    assert trusted(engine) is not None
    with pytest.raises(RuntimeError, match="is no backup of this stack"):
        restore(engine, Path("elsewhere.json"))


def test_what_was_replaced_is_kept(engine: Any) -> None:
    cut(engine)
    torn = engine.file.read_bytes()
    restore(engine)
    (replaced,) = backups_of(engine).directory.glob("replaced-*")
    assert replaced.read_bytes() == torn
    assert stat.S_IMODE(replaced.stat().st_mode) == 0o600


@pytest.mark.parametrize("host", [socket.gethostname(), "elsewhere"])
def test_a_held_lock_refuses_the_restore(engine: Any, host: str) -> None:
    cut(engine)
    torn = engine.file.read_bytes()
    lock = engine.home / "state" / ".pulumi" / "locks" / "organization" / "accelfleet" / STACK / "one.json"
    lock.parent.mkdir(parents=True)
    lock.write_text(json.dumps({"pid": os.getpid(), "username": "jo", "hostname": host, "timestamp": "now"}))
    with pytest.raises(RuntimeError, match="is locked by jo@"):
        restore(engine)
    assert engine.file.read_bytes() == torn
    assert lock.exists()


def test_without_a_copy_the_refusal_says_so(tmp_path: Path) -> None:
    made: Any = Engine(tmp_path)
    made.save(deployment())
    cut(made)
    with pytest.raises(RuntimeError, match=r"no good backup of it here: docs/state\.md"):
        trusted(made)
    with pytest.raises(RuntimeError, match="there is no good backup"):
        restore(made)


def test_another_backend_is_read_through_the_engine(tmp_path: Path) -> None:
    made: Any = Engine(tmp_path)
    made.workspace = Workspace(tmp_path, {"PULUMI_BACKEND_URL": "s3://bucket"}, Nowhere(), sandbox=tmp_path)
    answers = {
        0: (0, json.dumps({"version": 3, "deployment": deployment()}), ""),
        1: (255, "", "error: failed to load checkpoint: unexpected end of JSON input"),
        2: (255, "", "error: no stack named 'prod' found"),
    }
    for i, kind in ((0, State), (1, Damaged), (2, type(None))):
        made.plain = lambda *args, i=i: subprocess.CompletedProcess(args, *answers[i])
        if kind is Damaged:
            with pytest.raises(Damaged, match="the engine cannot read it"):
                read(made)
        else:
            assert isinstance(read(made), kind)


def test_a_replaced_resource_may_be_there_beside_its_old_self() -> None:
    made = deployment()
    made["resources"].append({**made["resources"][-1], "delete": True})
    assert parse(json.dumps({"version": 3, "deployment": made}).encode()).resources == 6
    made["resources"].append(made["resources"][-2])
    with pytest.raises(Damaged, match="c is there twice"):
        parse(json.dumps({"version": 3, "deployment": made}).encode())


def test_the_refusal_names_the_real_command_outside_the_sandbox(engine: Any) -> None:
    verdict = Verdict(STACK, None, ["x"], backups_of(engine).newest())
    assert f"fleet state restore --stack {STACK} " in verdict.refusal(sandbox=False)


def test_copies_of_real_states_and_of_the_sandboxs_never_mix(tmp_path: Path) -> None:
    env = {"ACCELFLEET_BACKUPS": str(tmp_path / "kept")}
    assert Workspace(tmp_path, env, Nowhere()).backups == tmp_path / "kept"
    assert Workspace(tmp_path, env, Nowhere(), sandbox=tmp_path / "sandbox").backups == tmp_path / "sandbox" / "backups"
