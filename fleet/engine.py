"""Runs one Pulumi command on one stack and reads its event stream while it runs.

Drives the CLI and not the Automation API, because the latter ignores `stackConfigDir` (pulumi#10305) and cannot import
pending creates (docs/adr/0004). Owns the processes of its run: none outlives it, however the run ends.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from fleet.workspace import Workspace

Event = dict[str, Any]
OnEvent = Callable[[Event], None]

# Every process of a run carries this variable, so that the strays of a killed engine can be told from other people's.
_RUN_MARK = "ACCELFLEET_RUN"
_POLL_S = 0.05


@dataclass
class Outcome:
    """How a run ended.

    Attributes:
        changes: operations by kind, as the engine's summary counts them (`create`, `same`, …).
        errors: error diagnostics with the resource's name, ANSI codes and engine noise removed.
        output: everything the engine printed, for the log file.
        broken: policy rules that refuse the change, each with its resource; they are among the errors.
    """

    returncode: int
    seconds: float
    changes: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    output: str = ""
    broken: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return self.returncode == 0

    @property
    def changed(self) -> int:
        return sum(n for kind, n in self.changes.items() if kind not in ("same", "read"))


class Engine:
    """The engine on one stack of a workspace."""

    def __init__(self, workspace: Workspace, stack: str) -> None:
        self.workspace = workspace
        self.stack = stack
        self._process: subprocess.Popen[str] | None = None
        self._interrupted = 0

    def init(self) -> None:
        """Create the stack in the backend unless it is there.

        Raises:
            RuntimeError: the backend refused; the message is the engine's.
        """
        done = self.plain("stack", "init", self.stack, "--no-select")
        if done.returncode != 0 and "already exists" not in done.stderr:
            raise RuntimeError(done.stderr.strip())

    def plain(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run a command that has no event stream; returns it with its output captured."""
        return subprocess.run(
            [self.workspace.engine, *args, "--non-interactive"],
            cwd=self.workspace.project,
            env=self.workspace.env,
            capture_output=True,
            text=True,
            check=False,
        )

    def set_secret(self, key: str, value: str) -> None:
        """Set a configuration value, encrypted; it goes through a pipe, since arguments are everybody's to read.

        Raises:
            RuntimeError: the engine refused.
        """
        command = [self.workspace.engine, "config", "set", "--secret", key, "--stack", self.stack, "--non-interactive"]
        done = subprocess.run(
            command,
            cwd=self.workspace.project,
            env=self.workspace.env,
            input=value,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())

    def export(self) -> dict[str, Any]:
        """The stack's deployment, secrets encrypted; empty where the stack does not exist."""
        done = self.plain("stack", "export", "--stack", self.stack)
        return dict(json.loads(done.stdout)) if done.returncode == 0 else {}

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs with secrets in clear: for this process only, never printed."""
        done = self.plain("stack", "output", "--stack", self.stack, "--json", "--show-secrets")
        return dict(json.loads(done.stdout)) if done.returncode == 0 and done.stdout.strip() else {}

    def run(self, verb: str, *args: str, on_event: OnEvent | None = None) -> Outcome:
        """Run `up`, `preview`, `refresh` or `destroy` to its end, feeding each event as it comes."""
        mark = uuid.uuid4().hex
        outcome = Outcome(1, 0)
        with tempfile.TemporaryDirectory(prefix="fleet-") as scratch:
            log = Path(scratch) / "events.json"
            log.touch()
            command = [self.workspace.engine, verb, "--stack", self.stack, "--non-interactive", "--color", "never"]
            command += ["--event-log", str(log), "--suppress-outputs", *args]
            if verb != "preview":
                command += ["--yes", "--skip-preview"]
            started = time.monotonic()
            self._process = subprocess.Popen(
                command,
                cwd=self.workspace.project,
                # The event log is one of the engine's debug commands, as for the Automation API.
                env={**self.workspace.env, _RUN_MARK: mark, "PULUMI_DEBUG_COMMANDS": "true"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                # Of its own, so that Ctrl-C reaches the engine once, through us, and it can wind down.
                start_new_session=True,
            )
            with _printed(self._process) as printed:
                try:
                    for event in _follow(log, self._process):
                        _record(outcome, event)
                        if on_event is not None:
                            on_event(event)
                    outcome.returncode = self._process.wait()
                finally:
                    if self._process.poll() is None:
                        self._process.kill()
                        self._process.wait()
                    end_strays(mark)
            outcome.seconds = time.monotonic() - started
            outcome.output = "".join(printed)
            if outcome.returncode < 0:
                name = signal.Signals(-outcome.returncode).name
                outcome.errors = [f"the engine was ended by {name}: run the same command again, it takes over what was made"]
            elif outcome.returncode != 0 and not outcome.errors:
                outcome.errors.append(_last_words(outcome.output))
        return outcome

    def interrupt(self) -> None:
        """Ask the run to stop: the engine finishes what is in flight; asked twice, it is killed."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        self._interrupted += 1
        process.send_signal(signal.SIGINT if self._interrupted == 1 else signal.SIGKILL)


def end_strays(mark: str) -> list[int]:
    """Kill what a run left behind (plugins of a killed engine live on, measured); returns their pids."""
    strays = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(_RUN_MARK) == mark:
                strays.append(process)
        except (psutil.Error, OSError):
            continue
    # Plugins end by themselves when the engine does; the wait is for those that cannot tell.
    _, alive = psutil.wait_procs(strays, timeout=2)
    for process in alive:
        with suppress(psutil.NoSuchProcess):  # it ended at last
            process.kill()
    return [process.pid for process in alive]


@contextmanager
def _printed(process: subprocess.Popen[str]) -> Iterator[list[str]]:
    """What a process prints while the block runs; its pipe is closed however that ends."""
    assert process.stdout is not None
    lines: list[str] = []
    with process.stdout as stream:
        reader = threading.Thread(target=lines.extend, args=(stream,), daemon=True)
        reader.start()
        try:
            yield lines
        finally:
            # A stray that nobody may kill would hold the other end.
            reader.join(5)


def _follow(log: Path, process: subprocess.Popen[str]) -> Iterator[Event]:
    """Events as the engine writes them; half a line, or half a letter, waits for its other half."""
    with log.open("rb") as stream:
        pending = b""
        while True:
            done = process.poll() is not None
            while chunk := stream.readline():
                pending += chunk
                if pending.endswith(b"\n"):
                    event, pending = _parsed(pending), b""
                    if event is not None:
                        yield event
            if done:
                return
            time.sleep(_POLL_S)


def _parsed(line: bytes) -> Event | None:
    """An event; None for one that a full disk cut off, for which no run is ended."""
    try:
        return dict(json.loads(line))
    except ValueError:
        return None


def _record(outcome: Outcome, event: Event) -> None:
    if summary := event.get("summaryEvent"):
        outcome.changes = {k: int(n) for k, n in (summary.get("resourceChanges") or {}).items()}
    if policy := event.get("policyEvent"):
        said = f"{policy.get('policyName')}: {policy.get('message', '').strip()}"
        if policy.get("enforcementLevel") == "mandatory":
            outcome.broken.append(said)
            outcome.errors.append(said)
        else:
            outcome.notes.append(said)
    if diagnostic := event.get("diagnosticEvent"):
        text = _clean(diagnostic)
        if diagnostic.get("severity") == "error" and text and not diagnostic.get("ephemeral"):
            outcome.errors.append(text)
        elif diagnostic.get("severity") == "warning" and text:
            outcome.notes.append(text)


def _clean(diagnostic: dict[str, Any]) -> str:
    """A diagnostic as one readable line, without colour marks (`<{%reset%}>`) and with the resource's own name."""
    text = diagnostic.get("message", "")
    while "<{%" in text:
        head, _, rest = text.partition("<{%")
        text = head + rest.partition("%}>")[2]
    name = diagnostic.get("urn", "").rsplit("::", 1)[-1]
    text = text.strip()
    return f"{name}: {text}" if name and text and not text.startswith(name) else text


def _last_words(output: str) -> str:
    """What a run printed that left no error event, as on a full disk: its errors, under a resource or not, each once."""
    lines = [line for line in output.splitlines() if line.strip()]
    errors = dict.fromkeys(line.strip() for line in lines if line.lstrip().startswith("error:"))
    return "\n".join(errors or lines[-5:]) or "the engine said nothing"
