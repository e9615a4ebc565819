"""The servers that are compared: their environments, how each is started and asked, and stopped while it is another's turn.

Owns the pins of the peers and their tuning. Refuses nothing for a peer that is not here: `absent` says why, and the others run.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import psutil

from benchmarks import environments
from benchmarks.serving.shapes import SHAPES
from sandbox.processes import end, free_ports, start, tail

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CLIENTS = 32
OURS = "serving"

_ORT = "onnxruntime==1.32.0"


@dataclass(frozen=True)
class Side:
    """A server.

    Attributes:
        packages: of its environment, for pip.
        command: after `python`; {model}, {port}, {cores} and {here} are filled in. The peers are told of cores by
            BENCH_CORES.
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


SIDES = {
    OURS: Side(
        ("-r", str(ROOT / "serving" / "requirements.txt"), "onnx==1.23.2"),
        ("-m", "serving", "--model", "{model}", "--name", "model", "--port", "{port}", "--grpc-port", "-1", "--host",
         "127.0.0.1", "--threads", "1", "--instances", "{cores}", "--max-batch", "16", "--log-level", "warning"),
        "/v2/models/model/infer", "v2", {"PYTHONPATH": str(ROOT)},
    ),
    "plain FastAPI": Side(
        ("fastapi==0.165.0", "uvicorn[standard]==0.54.0", _ORT), ("{here}/fastapi_ort.py", "{model}", "{port}"),
        "/predict", "plain", throughput=3,
    ),
    "LitServe": Side(
        ("litserve==0.2.19", _ORT), ("{here}/litserve_ort.py", "{model}", "{port}"), "/predict", "plain", throughput=2
    ),
    "MLServer": Side(
        ("mlserver==1.7.1", _ORT), ("{here}/mlserver_ort.py", "{model}", "{port}"), "/v2/models/model/infer", "v2", throughput=2
    ),
    "BentoML": Side(
        ("bentoml==1.4.35", _ORT),
        ("-m", "bentoml", "serve", "bentoml_ort:Model", "--working-dir", "{here}", "--host", "127.0.0.1", "--port", "{port}"),
        "/predict", "bento", {"BENCH_MODEL": "{model}", "BENTOML_DO_NOT_TRACK": "1"}, throughput=3,
    ),
    # The aims name no figure for it: LitServe's and MLServer's, as it batches like them.
    "Ray Serve": Side(
        ("ray[serve]==2.60.0", _ORT), ("{here}/ray_ort.py", "{model}", "{port}"), "/predict", "plain",
        {"RAY_SERVE_THROUGHPUT_OPTIMIZED": "1", "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}, throughput=2,
    ),
}  # fmt: skip


@dataclass
class Server:
    process: subprocess.Popen[bytes]
    port: int

    def measure(self, request: bytes, seconds: float, clients: int = CLIENTS) -> dict[str, float]:
        """Clients against it, everyone else stopped."""
        self.signal(signal.SIGCONT)
        try:
            asked = [sys.executable, HERE / "load.py", str(self.port), str(clients), str(seconds)]
            found = json_of(asked, request)
        finally:
            self.signal(signal.SIGSTOP)
        if found["failed"]:
            raise RuntimeError(f"port {self.port}: {found['failed']} requests were refused")
        return found

    def processes(self) -> list[psutil.Process]:
        """It and all below it: LitServe's and BentoML's outlive their parent, and Ray's are in sessions of their own."""
        with contextlib.suppress(psutil.NoSuchProcess):
            first = psutil.Process(self.process.pid)
            return [first, *first.children(recursive=True)]
        return []

    def signal(self, number: signal.Signals) -> None:
        for one in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                one.send_signal(number)


@contextlib.contextmanager
def serving(name: str, python: str, model: Path, cores: int, folder: Path, body: bytes | None = None) -> Iterator[Server]:
    """One server that answers, stopped until it is measured.

    Args:
        body: what it must answer first; one row, where nothing is given.

    Raises:
        RuntimeError: it never answered.
    """
    # Three in a row for MLServer, which has one for each protocol.
    port = free_ports(1)[0] // 4 * 4
    filled = {"model": str(model), "port": str(port), "here": str(HERE / "peers"), "cores": str(cores)}
    side = SIDES[name]
    log = folder / f"{name}.log"
    command = [python, *(part.format(**filled) for part in side.command)]
    env = {key: value.format(**filled) for key, value in side.env.items()}
    process = start(command, log, {**env, "BENCH_CORES": str(cores), "TMPDIR": str(folder)})
    server = Server(process, port)
    try:
        _until_it_answers(process, port, body or _body(side, model.stem), side.path, log)
        server.signal(signal.SIGSTOP)
        yield server
    finally:
        server.signal(signal.SIGCONT)
        held = server.processes()
        end(process)
        for one in held:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()


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


def _body(side: Side, model: str) -> bytes:
    """One row, as each server wants it; six digits a number, as models' inputs have."""
    shape = SHAPES[model]
    flat = _row(model)
    if side.body == "v2":
        return json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, *shape], "data": flat}]}).encode()
    nested: list[Any] = flat
    for size in reversed(shape[1:]):
        nested = [nested[n : n + size] for n in range(0, len(nested), size)]
    return json.dumps({"data": [nested] if side.body == "bento" else nested}).encode()


def request(side: Side, model: str) -> bytes:
    return http(side.path, _body(side, model))


def http(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def as_bytes(model: str) -> bytes:
    """The same row for this server alone, by the protocol's binary extension."""
    shape = SHAPES[model]
    values = struct.pack(f"<{prod(shape)}f", *_row(model))
    one = {"name": "x", "datatype": "FP32", "shape": [1, *shape], "parameters": {"binary_data_size": len(values)}}
    text = json.dumps({"inputs": [one], "parameters": {"binary_data_output": True}}).encode()
    size = len(text) + len(values)
    head = f"POST {SIDES[OURS].path} HTTP/1.1\r\nhost: bench\r\ninference-header-content-length: {len(text)}\r\n"
    return f"{head}content-length: {size}\r\n\r\n".encode() + text + values


def environment(name: str, side: Side) -> str | None:
    """A server's Python; None where a peer cannot be had, which is said.

    Raises:
        RuntimeError: ours cannot.
    """
    python = environments.environment(name, side.packages)
    if python is None and name == OURS:
        raise RuntimeError("the server itself cannot be installed")
    return python


def absent(name: str, why: str) -> None:
    sys.stderr.write(f"{name} is absent: {(why.strip().splitlines() or ['no reason was given'])[-1]}\n")


def json_of(command: list[Any], given: bytes = b"", env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What a program prints.

    Raises:
        RuntimeError: it failed.
    """
    done = subprocess.run(command, input=given, capture_output=True, check=False, env={**os.environ, **(env or {})})
    if done.returncode != 0:
        raise RuntimeError(f"{command[1]}: {done.stderr.decode(errors='replace')[-1500:]}")
    return dict(json.loads(done.stdout))
