"""Good requests beside malformed ones: how much longer they wait, and what the server keeps in memory of the bad ones.

Eight good clients in a closed loop, alone and beside 500 generated bodies a second, clients that lie about lengths and
clients that send a byte now and then, in turns. Raises where a bad body is answered with anything but a 4xx, or a 200 or
504 where chance made it sound. That each kind is refused with a reason is for tests/serving to say.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

from benchmarks.measure import Aim, Ratio
from benchmarks.serving.servers import HERE, OURS, ROOT, SIDES, Server, environment, http, serving

NAME = "bad-input"

_CLIENTS = 8
# The most that 10,000 bad bodies may leave behind.
_MOST_MIB = 50.0
_GOOD = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1.0, 2.0, 3.0, 4.0]}]}


def measure(quick: bool) -> list[Ratio]:
    rounds, seconds = (3, 2.0) if quick else (5, 4.0)
    python = environment(OURS, SIDES[OURS])
    assert python is not None
    with tempfile.TemporaryDirectory(prefix="accelfleet-bench-") as scratch:
        folder = Path(scratch)
        write = f"from pathlib import Path; from tests.serving import made; made.write('double', Path({scratch!r}))"
        subprocess.run([python, "-c", write], check=True, cwd=ROOT)
        with serving(OURS, python, folder / "double.onnx", 1, folder, json.dumps(_GOOD).encode()) as server:
            return _beside(server, python, rounds, seconds)


def _beside(server: Server, python: str, rounds: int, seconds: float) -> list[Ratio]:
    good = http(SIDES[OURS].path, json.dumps(_GOOD).encode())
    first = psutil.Process(server.process.pid)
    alone: list[float] = []
    beside: list[float] = []
    codes: Counter[int] = Counter()
    before = 0.0
    for number in range(rounds + 1):
        alone.append(server.measure(good, seconds, _CLIENTS)["p99_ms"])
        # A little longer, so that none of the good ones is alone.
        asked = [python, str(HERE / "bad_clients.py"), str(server.port), str(seconds + 1), str(number)]
        with subprocess.Popen(asked, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE) as bad:
            time.sleep(0.5)
            beside.append(server.measure(good, seconds, _CLIENTS)["p99_ms"])
            server.signal(signal.SIGCONT)
            said, _ = bad.communicate(timeout=60)
        if bad.returncode != 0:
            raise RuntimeError(f"bad_clients.py ended with {bad.returncode}")
        if number:
            codes.update({int(code): count for code, count in json.loads(said)["codes"].items()})
        else:
            # One round before, not counted: what a first request of a kind takes for good.
            alone, beside, before = [], [], first.memory_info().rss / 2**20
    grown = first.memory_info().rss / 2**20 - before
    if wrong := {code: count for code, count in codes.items() if code not in (0, 200, 504) and not 400 <= code < 500}:
        raise RuntimeError(f"bad bodies were answered with {wrong}")
    said_of = f"{codes.total():,} bad bodies ({codes[200]} of them sound by chance)"
    return [
        Ratio(NAME, "good requests' p99 beside them", "alone", "ms", tuple(beside), tuple(alone), Aim(2, at_least=False)),
        Ratio(NAME, f"memory after {said_of}", "the most allowed", "MiB", (grown,), (_MOST_MIB,), Aim(1, at_least=False)),
    ]
