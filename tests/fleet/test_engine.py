"""A run whose event log a full disk cut off: it goes on to its end, and what it printed says why it failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fleet.engine import Engine
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


def test_what_a_cut_off_event_said_is_taken_from_the_output(tmp_path: Path) -> None:
    program = tmp_path / "pulumi"
    program.write_text(SCRIPT)
    program.chmod(0o700)
    nowhere: Any = None
    outcome = Engine(Workspace(tmp_path, {"PATH": "/usr/bin:/bin"}, nowhere, str(program)), "prod").run("up")
    assert outcome.returncode == 255
    assert outcome.errors == ["error: failed to save snapshot: no space left on device"]
    assert outcome.changes == {"create": 2}
