"""How things are measured: two or more sides in turn (A B A B …), so that what else the machine does falls on all alike.

Owns the clock, the peak memory and the statistics. Refuses absolute limits: a time says as much about the machine as
about the code, a ratio taken side by side does not.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """One run of one side.

    Attributes:
        seconds: wall time.
        mib: peak memory, 0 where it was not taken.
    """

    seconds: float
    mib: float = 0.0


@dataclass(frozen=True)
class Aim:
    """What the ratio should be; a miss is shown, never raised, as a busy machine is no defect."""

    bound: float
    at_least: bool

    def met(self, ratio: float) -> bool:
        return ratio >= self.bound if self.at_least else ratio <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}"


@dataclass(frozen=True)
class Ratio:
    """`what` divided by `against`, pair by pair: the n-th runs of both sides stood next to each other.

    Attributes:
        unit: of the medians, `s` or `MiB`.
    """

    benchmark: str
    what: str
    against: str
    unit: str
    whats: tuple[float, ...]
    againsts: tuple[float, ...]
    aim: Aim | None = None

    @property
    def ratios(self) -> list[float]:
        return [a / b for a, b in zip(self.whats, self.againsts, strict=True)]

    @property
    def median(self) -> float:
        return statistics.median(self.ratios)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the greatest ratio of a pair."""
        return min(self.ratios), max(self.ratios)

    def to_json(self) -> dict[str, object]:
        return {
            "benchmark": self.benchmark,
            "what": self.what,
            "against": self.against,
            "unit": self.unit,
            "medians": [statistics.median(self.whats), statistics.median(self.againsts)],
            "ratio": self.median,
            "spread": list(self.spread),
            "runs": len(self.whats),
            "aim": str(self.aim) if self.aim else None,
            "met": self.aim.met(self.median) if self.aim else None,
        }


Runs = dict[str, list[Run]]


def interleave(sides: Mapping[str, Callable[[], Run]], rounds: int, warm: bool = True) -> Runs:
    """Run every side in turn, `rounds` times.

    Args:
        warm: one round before, not counted, so that the first side does not pay for caches all others find filled.
    """
    if warm:
        for side in sides.values():
            side()
    runs: Runs = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            runs[name].append(side())
    return runs


def seconds(benchmark: str, runs: Runs, what: str, against: str, aim: Aim | None = None) -> Ratio:
    """The ratio of wall times of two sides."""
    return Ratio(benchmark, what, against, "s", *(tuple(r.seconds for r in runs[side]) for side in (what, against)), aim)


def memory(benchmark: str, runs: Runs, what: str, against: str, aim: Aim | None = None) -> Ratio:
    """The ratio of peak memories of two sides."""
    return Ratio(benchmark, what, against, "MiB", *(tuple(r.mib for r in runs[side]) for side in (what, against)), aim)


def child(command: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None, *, cpu: bool = False) -> Run:
    """Run a program to its end: wall time, and the peak memory of its largest process.

    Args:
        cpu: its CPU seconds in the place of wall time, where a busy machine would stretch the longer side more.

    Raises:
        RuntimeError: it failed; the message ends with what it said.
    """
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    with process.stdout as said:
        text = said.read()
    # wait4 and not RUSAGE_CHILDREN: the latter is the peak of every child so far.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    took = usage.ru_utime + usage.ru_stime if cpu else time.monotonic() - started
    if process.returncode != 0:
        raise RuntimeError(
            f"{' '.join(command)[:200]} ended with {process.returncode}:\n{text.decode(errors='replace')[-2000:]}"
        )
    return Run(took, usage.ru_maxrss / 1024)
