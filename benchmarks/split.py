"""1,000 small resources as one stack against eight stacks side by side, the engine saving its state after every step.

The engine writes its whole state for each step, so one large stack costs the square of its size. Switching that off
loses resources in a crash (docs/adr/0005); splitting does not.
"""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.engine import engine, timed
from benchmarks.measure import Aim, Ratio, Run, interleave, seconds
from sandbox import bin as shims

NAME = "split"

_STACKS = 8


def measure(quick: bool) -> list[Ratio]:
    things = 200 if quick else 1000
    one, many = f"{things} resources in one stack", f"{_STACKS} stacks of {things // _STACKS} in parallel"
    sides = {one: lambda: _up(things, 1), many: lambda: _up(things // _STACKS, _STACKS)}
    # No warm-up: the large stack takes a minute, and each run starts from nothing anyway.
    runs = interleave(sides, 2 if quick else 3, warm=False)
    return [seconds(NAME, runs, one, many, Aim(3, at_least=True))]


def _up(things: int, stacks: int) -> Run:
    """Bring `stacks` stacks of `things` resources up at once, from an empty backend each time."""
    with tempfile.TemporaryDirectory(prefix="accelfleet-bench-") as scratch:
        home = Path(scratch)
        shims.launcher(home / "bin" / "pulumi-resource-bench", "benchmarks.provider")
        engines = [engine(home, "things", f"s{i}", BENCH_THINGS=str(things)) for i in range(stacks)]
        started = time.monotonic()
        with ThreadPoolExecutor(stacks) as pool:
            list(pool.map(lambda one: timed(one, "up"), engines))
        return Run(time.monotonic() - started)
