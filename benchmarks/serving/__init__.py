"""The model server at 32 clients against LitServe, MLServer, BentoML, Ray Serve, plain FastAPI, and the session in a loop.

Every server has an environment of its own, made when it is asked for and kept in the cache, and is tuned as its own
documentation says: batches of up to 16 within 2 ms, and as many cores for the model as every other has. All run for the whole
of a model's rounds and are stopped (SIGSTOP) while it is another's turn. A peer that cannot be installed, or does not start,
is said to be absent.
"""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.measure import Aim, Ratio
from benchmarks.serving.servers import HERE, OURS, SIDES, Server, absent, as_bytes, environment, json_of, request, serving
from benchmarks.serving.shapes import SHAPES

NAME = "serving"

# The protocol's binary tensors in place of JSON's numbers; the peers' rows are JSON against JSON.
_BYTES = "serving, tensors as bytes"
_LIMIT = "the session in a loop"
# On how many cores each model runs; the dearest one also on both of a runner's.
_CASES = (*((model, 1) for model in SHAPES), ("transformer", 2))
# The one whose run costs next to nothing: what is left of a request is the server's own.
_CHEAPEST = "tiny"


def measure(quick: bool) -> list[Ratio]:
    rounds, seconds = (3, 2.0) if quick else (5, 4.0)
    environments = {name: made for name, side in SIDES.items() if (made := environment(name, side))}
    found: list[Ratio] = []
    with tempfile.TemporaryDirectory(prefix="accelfleet-bench-") as scratch:
        folder = Path(scratch)
        ours = environments[OURS]
        subprocess.run([ours, HERE / "models.py", folder], check=True)
        for model, cores in _CASES:
            found += _of_model(model, cores, folder, environments, rounds, seconds)
    return found


def _of_model(
    model: str, cores: int, folder: Path, environments: Mapping[str, str], rounds: int, seconds: float
) -> list[Ratio]:
    runs: dict[str, list[dict[str, float]]] = {}
    with contextlib.ExitStack() as stack:
        servers: dict[str, Server] = {}
        for name, python in environments.items():
            try:
                servers[name] = stack.enter_context(serving(name, python, folder / f"{model}.onnx", cores, folder))
            except RuntimeError as wrong:
                if name == OURS:
                    raise
                absent(name, str(wrong))
        for number in range(rounds + 1):
            shape = [str(size) for size in SHAPES[model]]
            limit = [environments[OURS], HERE / "peers" / "session_loop.py", folder / f"{model}.onnx", str(seconds), *shape]
            sides = {
                _LIMIT: json_of(limit, env={"BENCH_CORES": str(cores)}),
                _BYTES: servers[OURS].measure(as_bytes(model), seconds),
            }
            for name, server in servers.items():
                sides[name] = server.measure(request(SIDES[name], model), seconds)
            # One round before, not counted.
            if number:
                for name, run in sides.items():
                    runs.setdefault(name, []).append(run)
    return _ratios(model if cores == 1 else f"{model} on {cores} cores", runs, model == _CHEAPEST)


def _ratios(case: str, runs: dict[str, list[dict[str, float]]], overhead: bool) -> list[Ratio]:
    """All of one case, with what a request costs beside the model's run where `overhead` says so."""
    mine, limits, binary = runs.pop(OURS), runs.pop(_LIMIT), runs.pop(_BYTES)
    rate, near = f"{case}, requests a second", Aim(0.75, at_least=True)
    made = [
        _ratio(rate, _LIMIT, mine, limits, "per_second", "/s", near),
        _ratio(f"{case} as bytes, requests a second", _LIMIT, binary, limits, "per_second", "/s", near),
    ]
    for name, theirs in runs.items():
        made.append(_ratio(rate, name, mine, theirs, "per_second", "/s", Aim(SIDES[name].throughput or 0, at_least=True)))
        made.append(_ratio(f"{case}, p99", name, mine, theirs, "p99_ms", "ms", Aim(0.5, at_least=False)))
    if overhead and runs:
        best = max(runs, key=lambda name: statistics.median(run["per_second"] for run in runs[name]))
        sides = (_overheads(side, limits) for side in (mine, runs[best]))
        made.append(Ratio(NAME, f"{case}, overhead", f"{best}, the best peer", "µs", *sides, Aim(0.5, at_least=False)))
    return made


def _overheads(side: list[dict[str, float]], limits: list[dict[str, float]]) -> tuple[float, ...]:
    """Microseconds of a request that the model's run does not take."""
    return tuple(1e6 / run["per_second"] - 1e6 / limit["per_second"] for run, limit in zip(side, limits, strict=True))


def _ratio(what: str, against: str, mine: list[Any], theirs: list[Any], key: str, unit: str, aim: Aim) -> Ratio:
    sides = (tuple(run[key] for run in side) for side in (mine, theirs))
    return Ratio(NAME, what, against, unit, *sides, aim)
