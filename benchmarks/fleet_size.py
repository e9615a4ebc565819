"""`fleet report` of a whole fleet, a stack of ten pools again and again: does a hundred cost more than ten times ten?

Each size runs as its own program in a fork that has nothing but the package and those stacks: wall time and peak memory.
The time of a fork with one stack, which is nearly all `fleet`'s own start, is taken off both sides.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from benchmarks.measure import Aim, Ratio, Run, child, interleave, memory
from fleet.workspace import ROOT

NAME = "fleet-size"

_POOLS = 10
_MAIN = "from fleet.cli import main; main()"
# Of each cloud one that is always there.
_PLACES = (("aws", "us-east-1"), ("gcp", "us-central1"), ("azure", "eastus"))


def measure(quick: bool) -> list[Ratio]:
    few, many = (2, 20) if quick else (10, 100)
    with tempfile.TemporaryDirectory(prefix="accelfleet-bench-") as scratch:
        forks = {count: _fork(Path(scratch) / str(count), count) for count in (1, few, many)}
        runs = interleave({str(count): _side(fork) for count, fork in forks.items()}, 2 if quick else 5)
    whole = f"{many} stacks, {many * _POOLS} pools"
    sides = {key: [_over(run, start) for run, start in zip(runs[str(key)], runs["1"], strict=True)] for key in (few, many)}
    tenfold = tuple(many / few * seconds for seconds in sides[few])
    return [
        Ratio(NAME, whole, f"{few} stacks, {many // few} times", "s", tuple(sides[many]), tenfold, Aim(1.2, at_least=False)),
        memory(NAME, runs, str(many), "1", Aim(2, at_least=False)),
    ]


def _over(run: Run, start: Run) -> float:
    return run.seconds - start.seconds


def _side(fork: Path) -> Any:
    command = [sys.executable, "-c", _MAIN, "report", "--stack", "*", "--format", "json", "--out", str(fork / "report.json")]
    return lambda: child(command, fork, {"PYTHONPATH": str(fork)})


def _fork(place: Path, stacks: int) -> Path:
    shutil.copytree(ROOT / "fleet", place / "fleet", ignore=shutil.ignore_patterns("__pycache__"))
    (place / "stacks").mkdir()
    for number in range(stacks):
        (place / "stacks" / f"s{number}.yaml").write_text(yaml.safe_dump(_stack(number)))
    return place


def _stack(number: int) -> dict[str, Any]:
    cloud, region = _PLACES[number % len(_PLACES)]
    pools = {f"p{i}": {"accelerator": "nvidia-t4", "nodes": {"min": 0, "max": 1 + i}} for i in range(_POOLS)}
    network = {"cidr": f"10.{number}.0.0/16"}
    cluster = {
        "cloud": cloud,
        "region": region,
        "network": network,
        "pools": pools,
        "api": {"allowed_cidrs": ["203.0.113.0/24"]},
    }
    return {"owner": "benchmarks", "environment": "dev", "clusters": {f"main{number}": cluster}}
