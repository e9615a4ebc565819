"""`fleet place` against SkyPilot's optimizer on one price list, and its three-objective front against a plain one.

Both choose the cheapest machine for 200 random requests out of the same 10,800 rows: each request is asked of one, then of
the other, with everything loaded; then some of them as cold commands. A plan is compared by what it costs. SkyPilot has no
carbon and no latency, so the front has a plain peer: every candidate against the front so far, cheapest first.
Times are CPU seconds: of a side that takes milliseconds and one that takes seconds, a busy machine interrupts the other.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import IO

from benchmarks.environments import environment
from benchmarks.measure import Aim, Ratio, Run, child, interleave, seconds
from benchmarks.placement.rows import ACCELERATORS, Request, requests, write
from fleet.catalog.clouds import Cloud
from fleet.place.candidates import Market, Want, Where, candidates, market
from fleet.place.choose import Aims, plans
from fleet.place.front import front
from fleet.prices.snapshots import offers
from fleet.workspace import ROOT

NAME = "placement"

_PEER = ("skypilot[aws]==0.14.1",)
_CANDIDATES, _TRADED = 100_000, 2_000
_MAIN = "from fleet.cli import main; main()"
_OURS, _THEIRS = "fleet place", "SkyPilot's optimizer"


def measure(quick: bool) -> list[Ratio]:
    made = _fronts(2 if quick else 5)
    python = environment("skypilot", _PEER)
    if python is None:
        return made
    with tempfile.TemporaryDirectory(prefix="accelfleet-bench-") as scratch:
        home = Path(scratch)
        file = _catalogue(home)
        made += _solved(python, home, file, 20 if quick else 200)
        made.append(_cold(python, home, file, 2 if quick else 5))
    return made


def _catalogue(home: Path) -> Path:
    """SkyPilot's files in its home: the price list, and the others empty."""
    folder = home / ".sky" / "catalogs" / "v8"
    (folder / "aws").mkdir(parents=True)
    (folder / "common").mkdir()
    write(folder / "aws" / "vms.csv")
    (folder / "aws" / "images.csv").write_text("Tag,Region,OS,OSVersion,ImageId,CreationDate\n")
    (folder / "aws" / "instance_quota_mapping.csv").write_text("InstanceType,OnDemandInstanceCode,SpotInstanceCode\n")
    names = "".join(f"{name},\"['AWS']\"\n" for name in ACCELERATORS)
    (folder / "common" / "accelerators.csv").write_text("AcceleratorName,Clouds\n" + names)
    return folder / "aws" / "vms.csv"


def _solved(python: str, home: Path, file: Path, count: int) -> list[Ratio]:
    sold = market(offers(file, Cloud.AWS, "2026-11-30"))
    wanted = requests(count)
    ours, theirs = [], []
    with _peer(python, home) as ask:
        for number, request in enumerate([wanted[0], *wanted]):
            mine, other = _choose(sold, request), ask(request)
            # The first is asked twice, and counts once.
            if number:
                ours.append(mine)
                theirs.append(other)
    their_seconds, their_usd = zip(*theirs, strict=True)
    our_seconds, our_usd = zip(*ours, strict=True)
    return [
        Ratio(NAME, f"{_THEIRS}, solve", _OURS, "s", their_seconds, our_seconds, Aim(20, at_least=True)),
        Ratio(NAME, f"USD an hour of {_OURS}", _THEIRS, "USD", our_usd, their_usd, Aim(1, at_least=False)),
    ]


def _choose(sold: Market, request: Request) -> tuple[float, float]:
    started = time.process_time()
    ours, _ = ACCELERATORS[request.accelerator]
    want = Want("a", (ours,), request.nodes * request.count, request.count)
    where = Where(("aws",), (request.region or "*",), ("spot",) if request.spot else ("on-demand",))
    best = plans(["a"], {"a": candidates(want, where, sold).candidates}, Aims())[0]
    # To a tenth of a cent: a float on the other side has more digits, and they are noise.
    return time.process_time() - started, round(float(best.usd_hour), 3)


@contextlib.contextmanager
def _peer(python: str, home: Path) -> Iterator[_Ask]:
    command = [python, str(Path(__file__).parent / "skypilot.py")]
    env = {**os.environ, "HOME": str(home)}
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield _Ask(process.stdin, process.stdout)
        finally:
            process.stdin.close()


class _Ask:
    def __init__(self, to: IO[str], back: IO[str]) -> None:
        self._to, self._back = to, back

    def __call__(self, request: Request) -> tuple[float, float]:
        self._to.write(json.dumps(asdict(request)) + "\n")
        self._to.flush()
        for line in self._back:
            # SkyPilot says other things on stdout, too.
            if line.startswith("{"):
                said = json.loads(line)
                return said["seconds"], round(said["usd"], 3)
        raise RuntimeError("SkyPilot's optimizer ended; it said why above")


def _cold(python: str, home: Path, file: Path, rounds: int) -> Ratio:
    request = requests(1)[0]
    words = ("place", *request.words, "--cloud", "aws", "--prices", str(file), "--format", "json", "--top", "1")

    def theirs() -> Run:
        script = [python, str(Path(__file__).parent / "skypilot.py"), json.dumps(asdict(request))]
        return child(script, ROOT, {"HOME": str(home)}, cpu=True)

    sides = {_THEIRS: theirs, _OURS: lambda: child([sys.executable, "-c", _MAIN, *words], ROOT, cpu=True)}
    runs = interleave(sides, rounds)
    return seconds(f"{NAME}, cold command", runs, _THEIRS, _OURS, Aim(5, at_least=True))


def _fronts(rounds: int) -> list[Ratio]:
    """Of candidates at random, of which some dozens are on the front; and of some that all are, as good costs money."""
    draw = random.Random(3)
    scattered = [_point(*(draw.random() for _ in range(3))) for _ in range(_CANDIDATES)]
    shares = [[draw.expovariate(1) for _ in range(3)] for _ in range(_TRADED)]
    traded = [_point(*(one / sum(three) for one in three)) for three in shares]
    return [_front(f"{_CANDIDATES:,} at random", scattered, rounds), _front(f"{_TRADED:,} on the front", traded, rounds)]


def _point(*three: float) -> tuple[Decimal, Decimal, Decimal]:
    usd, kg, ms = (Decimal(f"{one:.9f}") for one in three)
    return usd, kg, ms


def _front(what: str, points: Sequence[tuple[Decimal, Decimal, Decimal]], rounds: int) -> Ratio:
    plain, ours = f"{what}: each against the front so far", "the front of three objectives"
    found: dict[str, set[tuple[Decimal, ...]]] = {}

    def timed(side: str) -> Run:
        started = time.process_time()
        kept = front(points, lambda point: point) if side == ours else _plain(points)
        took = time.process_time() - started
        found.setdefault(side, set(kept))
        return Run(took)

    runs = interleave({plain: lambda: timed(plain), ours: lambda: timed(ours)}, rounds, warm=False)
    if found[ours] != found[plain]:
        raise RuntimeError("the two fronts differ")
    return seconds(NAME, runs, plain, ours)


def _plain(points: Sequence[tuple[Decimal, ...]]) -> list[tuple[Decimal, ...]]:
    kept: list[tuple[Decimal, ...]] = []
    for point in sorted(points):
        if not any(all(a <= b for a, b in zip(other, point, strict=True)) for other in kept):
            kept.append(point)
    return kept
