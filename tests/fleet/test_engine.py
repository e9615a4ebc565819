"""A run's event log as it is found while the engine writes it, or as a full disk left it; and how a run ends."""

from __future__ import annotations

import subprocess
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import psutil
import pytest

from fleet.engine import Engine, OnEvent, Outcome
from fleet.workspace import Workspace

# A stand-in for the engine: an event cut off in the middle, one that is whole, and its words on its output.
SCRIPT = """#!/bin/sh
while [ "$1" != --event-log ]; do shift; done
printf '{"diagnosticEvent": {"severity": "error", "mess\\n{"summaryEvent": {"resourceChanges": {"create": 2}}}\\n' >"$2"
cat <<END
Diagnostics:
  aws:sqs:Queue (queue-0):
    error: failed to save snapshot: no space left on device

  aws:sqs:Queue (queue-1):
    error: failed to save snapshot: no space left on device

Resources:
    + 2 created
    2 errored

Duration: 36s
END
exit 255
"""


# Half of a letter of two bytes stands there for three looks, and an event that is not even that never gets its other half.
SLOW = """#!/bin/sh
while [ "$1" != --event-log ]; do shift; done
printf '{"diagnosticEvent": {"severity": "error", "message": "caf\\303' >"$2"
sleep 0.2
printf '\\251 is closed"}}\\n{"summaryEvent": "\\303"}\\n{"summaryEvent": {"resourceChanges": {"create": 2}}}\\n' >>"$2"
exit 255
"""


def run(tmp_path: Path, script: str, on_event: OnEvent | None = None) -> Outcome:
    program = tmp_path / "pulumi"
    program.write_text(script)
    program.chmod(0o700)
    nowhere: Any = None
    return Engine(Workspace(tmp_path, {"PATH": "/usr/bin:/bin"}, nowhere, str(program)), "prod").run("up", on_event=on_event)


def test_a_letter_that_is_half_written_waits_for_its_other_half(tmp_path: Path) -> None:
    outcome = run(tmp_path, SLOW)
    assert outcome.errors == ["café is closed"]
    assert outcome.changes == {"create": 2}


def test_what_a_cut_off_event_said_is_taken_from_the_output(tmp_path: Path) -> None:
    outcome = run(tmp_path, SCRIPT)
    assert outcome.returncode == 255
    assert outcome.errors == ["error: failed to save snapshot: no space left on device"]
    assert outcome.changes == {"create": 2}


class Ended:
    """A plugin that ended by itself between the last look and its killing."""

    pid = 1

    def kill(self) -> None:
        raise psutil.NoSuchProcess(self.pid)


@pytest.mark.parametrize("problem", [None, RuntimeError("who asks of each event?")])
def test_a_runs_pipe_is_closed_however_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception | None
) -> None:
    opened: list[Any] = []

    class Kept(subprocess.Popen[str]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            opened.append(self.stdout)

    monkeypatch.setattr(subprocess, "Popen", Kept)
    monkeypatch.setattr(psutil, "wait_procs", lambda *_, **__: ([], [Ended()]))

    def told(_: Any) -> None:
        if problem:
            raise problem

    with pytest.raises(RuntimeError) if problem else nullcontext():
        assert run(tmp_path, SCRIPT, told).errors == ["error: failed to save snapshot: no space left on device"]
    assert [stream.closed for stream in opened] == [True]
