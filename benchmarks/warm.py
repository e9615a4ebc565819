"""`preview` of aws-dev in a sandbox whose plugins are forked from a warm process, against one where each starts anew."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.engine import platform, timed
from benchmarks.measure import Aim, Ratio, interleave, seconds
from sandbox.cloud import daemon
from sandbox.workspace import sandbox_workspace

NAME = "warm"

_ANEW = "preview of aws-dev, each plugin started anew"
_FORKED = "the same, each forked from the warm process"


def measure(quick: bool) -> list[Ratio]:
    with tempfile.TemporaryDirectory(prefix="accelfleet-bench-") as scratch:
        homes = {_ANEW: Path(scratch) / "anew", _FORKED: Path(scratch) / "forked"}
        try:
            for name, home in homes.items():
                daemon.start(home, warm=name == _FORKED)
            engines = {name: platform(sandbox_workspace(home), "aws-dev") for name, home in homes.items()}
            sides = {name: lambda one=one: timed(one, "preview") for name, one in engines.items()}  # type: ignore[misc]
            runs = interleave(sides, 2 if quick else 7)
        finally:
            for home in homes.values():
                daemon.stop(home)
    return [seconds(NAME, runs, _ANEW, _FORKED, Aim(1.5, at_least=True))]
