"""`fleet report` of aws-dev, from a cold start, against `preview` of the same stack: what a pull request waits for.

The report reads the stack file and the catalogue; the preview runs the program in the engine and asks the sandbox's
cloud. With a base the report reads a second file out of git. What the report does once Python has loaded its modules
(it validates, prices, counts carbon and quotas) is a row of its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.engine import platform, timed
from benchmarks.measure import Aim, Ratio, Run, child, interleave, seconds
from fleet.workspace import ROOT
from sandbox.cloud import daemon
from sandbox.workspace import sandbox_workspace

NAME = "report"

_PREVIEW = "preview of aws-dev"
_REPORT = "fleet report of aws-dev"
_COMPARED = "fleet report of aws-dev with a base"
_MAIN = "from fleet.cli import main; main()"
_WORDS = ("report", "--stack", "aws-dev", "--format", "json")
_OWN = "fleet report of aws-dev, its modules loaded"
_TIMED = """
import contextlib, io, time
import fleet.report.build, fleet.report.cli
from fleet.cli import main
started = time.perf_counter()
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
print(time.perf_counter() - started)
"""


def measure(quick: bool) -> list[Ratio]:
    def report(*words: str) -> Callable[[], Run]:
        return lambda: child([sys.executable, "-c", _MAIN, *_WORDS, *words], ROOT)

    with tempfile.TemporaryDirectory(prefix="accelfleet-bench-") as scratch:
        home = Path(scratch)
        # As outside the sandbox, where each plugin starts anew.
        daemon.start(home, warm=False)
        try:
            engine = platform(sandbox_workspace(home), "aws-dev")
            sides: dict[str, Callable[[], Run]] = {
                _PREVIEW: lambda: timed(engine, "preview"),
                _REPORT: report(),
                _COMPARED: report("--base", "HEAD"),
                _OWN: _own,
            }
            runs = interleave(sides, 2 if quick else 7)
        finally:
            daemon.stop(home)
    return [seconds(NAME, runs, _PREVIEW, side, Aim(10, at_least=True)) for side in (_REPORT, _COMPARED, _OWN)]


def _own() -> Run:
    command = [sys.executable, "-c", _TIMED, *_WORDS]
    return Run(float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout))
