"""Three control planes started at once, as the demo does, against one bare control plane."""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from benchmarks.measure import Aim, Ratio, Run, interleave, memory, seconds
from sandbox.control_plane import ControlPlane

NAME = "clusters"

_ONE, _THREE = "one control plane", "three control planes at once"


def measure(quick: bool) -> list[Ratio]:
    runs = interleave({_THREE: lambda: _start(3), _ONE: lambda: _start(1)}, 2 if quick else 5)
    return [
        seconds(NAME, runs, _THREE, _ONE, Aim(1.5, at_least=False)),
        memory(NAME, runs, _THREE, _ONE, Aim(3, at_least=False)),
    ]


def _start(count: int) -> Run:
    with tempfile.TemporaryDirectory(prefix="accelfleet-bench-") as scratch:
        planes = [ControlPlane(f"bench-{i}", Path(scratch) / str(i)) for i in range(count)]
        try:
            started = time.monotonic()
            with ThreadPoolExecutor(count) as pool:
                list(pool.map(ControlPlane.start, planes))
            took = time.monotonic() - started
            return Run(took, sum(mib(pid) for plane in planes for pid in plane.pids.values()))
        finally:
            for plane in planes:
                plane.stop()


def mib(pid: int) -> float:
    """Proportional set size: the programs' text is shared between the control planes, and counted once."""
    found: float = psutil.Process(pid).memory_full_info().pss
    return found / 2**20
