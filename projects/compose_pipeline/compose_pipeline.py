# ---
# jupyter:
#   jupytext:
#     formats: py:percent,ipynb
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A pipeline: train, serve, queue, work, watch
#
# `compose.yaml` runs it in containers: a job that trains and ends, the model server, a queue (Valkey, which speaks Redis), two
# workers, Prometheus and Grafana. Here the same programs run as processes, with a queue that stands in for Valkey, so that what
# the containers would do is seen without Docker: every job is answered, one that is no image goes to the dead, and the jobs of
# a worker that is killed are answered by another.

# %%
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import redis
import requests
from fakeredis import TcpFakeServer

import projects
from projects import digits
from projects.compose_pipeline import train
from projects.compose_pipeline.worker import ANSWERS, DEAD, JOBS
from projects.table import Table, show, small

ROOT = Path(projects.__file__).parents[1]
# The model server has an environment of its own: make serving-test sets it up.
SERVER = Path(os.environ.get("SERVING_PYTHON", ROOT / ".venv-serving" / "bin" / "python"))


# %% [markdown]
# ## The parts, as processes


# %%
def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def until(true: Callable[[], bool], what: str, seconds: float = 90) -> None:
    """Wait for something.

    Raises:
        TimeoutError: it did not come.
    """
    ends = time.monotonic() + seconds
    while not true():
        if time.monotonic() > ends:
            raise TimeoutError(what)
        time.sleep(0.05)


@contextmanager
def process(*command: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        started = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(30)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


@contextmanager
def queue() -> Iterator[tuple[str, Any]]:
    server = TcpFakeServer(("127.0.0.1", 0))
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"redis://127.0.0.1:{server.server_address[1]}"
    client = redis.Redis.from_url(url, decode_responses=True)
    try:
        yield url, client
    finally:
        client.close()
        server.shutdown()
        server.server_close()


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).ok
    except requests.RequestException:
        return False


def metric(text: str, name: str) -> float:
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


# %% [markdown]
# ## The run


# %%
def run() -> Table:
    if not SERVER.exists():
        raise SystemExit(f"{SERVER} is not there: make serving-test sets it up, or name one by SERVING_PYTHON")
    made, jobs = digits.data(), 60 if small() else 450
    with tempfile.TemporaryDirectory() as name, ExitStack() as parts:
        folder = Path(name)
        train.main(folder, 5 if small() else 20)
        port = free_port()
        model = f"http://127.0.0.1:{port}/v2/models/digits"
        server = ("-m", "serving", "--model", str(folder), "--host", "127.0.0.1", "--port", str(port), "--grpc-port", "-1")
        parts.enter_context(process(str(SERVER), *server, log=folder / "server.log"))
        url, client = parts.enter_context(queue())
        until(lambda: answers(f"http://127.0.0.1:{port}/v2/health/ready"), (folder / "server.log").read_text())
        for n in range(jobs):
            client.xadd(JOBS, {"id": str(n), "x": json.dumps([float(one) for one in made.test_x[n]])})
        client.xadd(JOBS, {"id": "bad", "x": "[1, 2, 3]"})
        started, killed_at = time.monotonic(), jobs // 4
        command = (sys.executable, "-m", "projects.compose_pipeline.worker", "--queue", url, "--model", model, "--idle-ms", "500")
        first = parts.enter_context(process(*command, "--metrics-port", str(free_port()), log=folder / "first.log"))
        until(lambda: client.hlen(ANSWERS) >= killed_at, "the first worker's answers")
        first.kill()
        ports = [free_port() for _ in range(2)]
        for n, one in enumerate(ports):
            parts.enter_context(process(*command, "--metrics-port", str(one), log=folder / f"worker-{n}.log"))
        until(lambda: client.xlen(JOBS) == 0, "an empty queue")
        took = time.monotonic() - started
        said = client.hgetall(ANSWERS)
        texts = [requests.get(f"http://127.0.0.1:{one}/metrics", timeout=5).text for one in ports]
        counted = sum(metric(text, 'pipeline_jobs_total{outcome="done"}') for text in texts)
        served = metric(requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text, "serving_requests_total")
        right = sum(int(said[str(n)]) == made.test_y[n] for n in range(jobs)) / jobs * 100
        dead = client.xlen(DEAD)
    rows = (
        ("jobs sent", jobs + 1),
        ("answered", len(said)),
        ("dead", dead),
        ("left in the queue", 0),
        ("right %", right),
        ("answered by the two that followed", int(counted)),
        ("requests that the server counted", int(served)),
        ("seconds, a worker's death and two starts among them", took),
    )
    notes = ("Processes of this machine in place of containers; the first worker was killed on the way.",)
    return Table("The pipeline", ("what", "figure"), rows, notes)


# %%
if __name__ == "__main__":
    table = run()
    show(table)
