"""The model server at 32 clients against LitServe, MLServer, BentoML, plain FastAPI, and the limit: the session in a loop.

Every server has an environment of its own, made when it is asked for and kept in the cache, and is tuned as its own
documentation says: batches of up to 16 within 2 ms, one inference thread. All run for the whole of a model's rounds and
are stopped (SIGSTOP) while it is another's turn. A peer that cannot be installed is said to be absent.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from benchmarks.environments import environment
from benchmarks.measure import Aim, Ratio
from benchmarks.serving.shapes import SHAPES
from sandbox.processes import end, free_ports, start, tail

NAME = "serving"

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
_ORT = "onnxruntime==1.32.0"
_CLIENTS = 32
_OURS = "serving"
# The protocol's binary tensors in place of JSON's numbers; the peers' rows are JSON against JSON.
_BYTES = "serving, tensors as bytes"
_LIMIT = "the session in a loop"


@dataclass(frozen=True)
class _Side:
    """A server.

    Attributes:
        packages: of its environment, for pip.
        command: after `python`; {model}, {port} and {here} are filled in.
        path: of its inference route.
        body: the request of one row.
        throughput: how many times ours should be quicker, None for no aim.
    """

    packages: tuple[str, ...]
    command: tuple[str, ...]
    path: str
    body: str
    env: Mapping[str, str] = field(default_factory=dict)
    throughput: float | None = None


_SIDES = {
    _OURS: _Side(
        ("-r", str(_ROOT / "serving" / "requirements.txt"), "onnx==1.23.2"),
        ("-m", "serving", "--model", "{model}", "--name", "model", "--port", "{port}", "--grpc-port", "-1", "--host",
         "127.0.0.1", "--threads", "1", "--max-batch", "16", "--log-level", "warning"),
        "/v2/models/model/infer", "v2", {"PYTHONPATH": str(_ROOT)},
    ),
    "plain FastAPI": _Side(
        ("fastapi==0.165.0", "uvicorn[standard]==0.54.0", _ORT), ("{here}/fastapi_ort.py", "{model}", "{port}"),
        "/predict", "plain", throughput=3,
    ),
    "LitServe": _Side(
        ("litserve==0.2.19", _ORT), ("{here}/litserve_ort.py", "{model}", "{port}"), "/predict", "plain", throughput=2
    ),
    "MLServer": _Side(
        ("mlserver==1.7.1", _ORT), ("{here}/mlserver_ort.py", "{model}", "{port}"), "/v2/models/model/infer", "v2", throughput=2
    ),
    "BentoML": _Side(
        ("bentoml==1.4.35", _ORT),
        ("-m", "bentoml", "serve", "bentoml_ort:Model", "--working-dir", "{here}", "--host", "127.0.0.1", "--port", "{port}"),
        "/predict", "bento", {"BENCH_MODEL": "{model}", "BENTOML_DO_NOT_TRACK": "1"}, throughput=3,
    ),
}  # fmt: skip


def measure(quick: bool) -> list[Ratio]:
    rounds, seconds = (3, 2.0) if quick else (5, 4.0)
    environments = {name: made for name, side in _SIDES.items() if (made := environment(name, side.packages))}
    if _OURS not in environments:
        raise RuntimeError("the server itself cannot be installed")
    found: list[Ratio] = []
    with tempfile.TemporaryDirectory(prefix="accelfleet-bench-") as scratch:
        folder = Path(scratch)
        ours = environments[_OURS]
        subprocess.run([ours, _HERE / "models.py", folder], check=True)
        for model in SHAPES:
            found += _of_model(model, folder, environments, rounds, seconds)
    return found


def _of_model(model: str, folder: Path, environments: Mapping[str, str], rounds: int, seconds: float) -> list[Ratio]:
    runs: dict[str, list[dict[str, float]]] = {}
    with contextlib.ExitStack() as stack:
        servers = {
            name: stack.enter_context(_serving(name, python, folder / f"{model}.onnx", folder))
            for name, python in environments.items()
        }
        for number in range(rounds + 1):
            shape = [str(size) for size in SHAPES[model]]
            limit = [environments[_OURS], _HERE / "peers" / "session_loop.py", folder / f"{model}.onnx", str(seconds), *shape]
            sides = {_LIMIT: _json(limit), _BYTES: servers[_OURS].measure(_as_bytes(model), seconds)}
            for name, server in servers.items():
                sides[name] = server.measure(_request(_SIDES[name], model), seconds)
            # One round before, not counted.
            if number:
                for name, run in sides.items():
                    runs.setdefault(name, []).append(run)
    mine, limits = runs.pop(_OURS), runs.pop(_LIMIT)
    rate, near = f"{model}, requests a second", Aim(0.75, at_least=True)
    made = [
        _ratio(rate, _LIMIT, mine, limits, "per_second", "/s", near),
        _ratio(f"{model} as bytes, requests a second", _LIMIT, runs.pop(_BYTES), limits, "per_second", "/s", near),
    ]
    for name, theirs in runs.items():
        made.append(_ratio(rate, name, mine, theirs, "per_second", "/s", Aim(_SIDES[name].throughput or 0, at_least=True)))
        made.append(_ratio(f"{model}, p99", name, mine, theirs, "p99_ms", "ms", Aim(0.5, at_least=False)))
    return made


def _ratio(what: str, against: str, mine: list[Any], theirs: list[Any], key: str, unit: str, aim: Aim) -> Ratio:
    sides = (tuple(run[key] for run in side) for side in (mine, theirs))
    return Ratio(NAME, what, against, unit, *sides, aim)


@dataclass
class _Server:
    process: subprocess.Popen[bytes]
    port: int

    def measure(self, request: bytes, seconds: float) -> dict[str, float]:
        """Clients against it, everyone else stopped."""
        os.killpg(self.process.pid, signal.SIGCONT)
        try:
            asked = [sys.executable, _HERE / "load.py", str(self.port), str(_CLIENTS), str(seconds)]
            found = _json(asked, request)
        finally:
            os.killpg(self.process.pid, signal.SIGSTOP)
        if found["failed"]:
            raise RuntimeError(f"port {self.port}: {found['failed']} requests were refused")
        return found


@contextlib.contextmanager
def _serving(name: str, python: str, model: Path, folder: Path) -> Iterator[_Server]:
    # Three in a row for MLServer, which has one for each protocol.
    port = free_ports(1)[0] // 4 * 4
    filled = {"model": str(model), "port": str(port), "here": str(_HERE / "peers")}
    side = _SIDES[name]
    log = folder / f"{name}.log"
    command = [python, *(part.format(**filled) for part in side.command)]
    process = start(command, log, {key: value.format(**filled) for key, value in side.env.items()})
    try:
        _until_it_answers(process, port, _body(side, model.stem), side.path, log)
        os.killpg(process.pid, signal.SIGSTOP)
        yield _Server(process, port)
    finally:
        # Its session's other processes, too: LitServe's and BentoML's outlive their parent.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGCONT)
        end(process)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _until_it_answers(process: subprocess.Popen[bytes], port: int, body: bytes, path: str, log: Path) -> None:
    until = time.monotonic() + 90
    headers = {"content-type": "application/json"}
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers), timeout=10)
            return
        time.sleep(0.3)
    raise RuntimeError(f"{path} on port {port} never answered:\n{tail(log, 30)}")


def _row(model: str) -> list[float]:
    return [round((n * 2654435761 % 1000003) / 1000003 - 0.5, 6) for n in range(prod(SHAPES[model]))]


def _body(side: _Side, model: str) -> bytes:
    """One row, as each server wants it; six digits a number, as models' inputs have."""
    shape = SHAPES[model]
    flat = _row(model)
    if side.body == "v2":
        return json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, *shape], "data": flat}]}).encode()
    nested: list[Any] = flat
    for size in reversed(shape[1:]):
        nested = [nested[n : n + size] for n in range(0, len(nested), size)]
    return json.dumps({"data": [nested] if side.body == "bento" else nested}).encode()


def _request(side: _Side, model: str) -> bytes:
    body = _body(side, model)
    head = f"POST {side.path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _as_bytes(model: str) -> bytes:
    """The same row for this server alone, by the protocol's binary extension."""
    shape = SHAPES[model]
    values = struct.pack(f"<{prod(shape)}f", *_row(model))
    one = {"name": "x", "datatype": "FP32", "shape": [1, *shape], "parameters": {"binary_data_size": len(values)}}
    text = json.dumps({"inputs": [one], "parameters": {"binary_data_output": True}}).encode()
    size = len(text) + len(values)
    head = f"POST {_SIDES[_OURS].path} HTTP/1.1\r\nhost: bench\r\ninference-header-content-length: {len(text)}\r\n"
    return f"{head}content-length: {size}\r\n\r\n".encode() + text + values


def _json(command: list[Any], given: bytes = b"") -> dict[str, float]:
    done = subprocess.run(command, input=given, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[1]}: {done.stderr.decode(errors='replace')[-1500:]}")
    return dict(json.loads(done.stdout))
