"""`preview` of aws-dev against `preview` of a program with nothing in it, and where the difference goes.

Same engine, same backend, same sandbox. A preview asks the cloud only questions, so nothing has to be taken down.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.engine import engine, platform, timed
from benchmarks.measure import Ratio, interleave, seconds
from benchmarks.program_start import platform_classes
from sandbox.cloud import daemon
from sandbox.workspace import sandbox_workspace

NAME = "preview"

_PLATFORM = "preview of aws-dev"
_EMPTY = "preview of an empty program"
_IMPORTS = "… of aws-dev's modules and classes alone"
_PROVIDERS = "… of two provider plugins alone"


def measure(quick: bool) -> list[Ratio]:
    with tempfile.TemporaryDirectory(prefix="accelfleet-bench-") as scratch:
        home = Path(scratch)
        # As outside the sandbox, where each plugin starts anew.
        daemon.start(home, warm=False)
        try:
            engines = {
                _PLATFORM: platform(sandbox_workspace(home), "aws-dev"),
                _EMPTY: engine(home, "empty", "empty"),
                _IMPORTS: engine(home, "imports", "imports", BENCH_CLASSES=" ".join(platform_classes())),
                _PROVIDERS: engine(home, "providers", "providers"),
            }
            sides = {name: lambda one=one: timed(one, "preview") for name, one in engines.items()}  # type: ignore[misc]
            runs = interleave(sides, 2 if quick else 5)
        finally:
            daemon.stop(home)
    return [seconds(NAME, runs, side, _EMPTY) for side in (_PLATFORM, _IMPORTS, _PROVIDERS)]
