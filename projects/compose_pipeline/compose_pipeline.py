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
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
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
def until(true: Callable[[], Any], what: str, folder: Path, seconds: float = 90) -> Any:
    """Wait for something that is true, and return it.

    Raises:
        TimeoutError: it did not come; the message has what the processes said.
    """
    ends = time.monotonic() + seconds
    while not (found := true()):
        if time.monotonic() > ends:
            said = "\n".join(f"{log.name}: {log.read_text()[-1000:]}" for log in sorted(folder.glob("*.log")))
            raise TimeoutError(f"{what} did not come within {seconds:.0f} s\n{said}")
        time.sleep(0.05)
    return found


def port_in(log: Path, pattern: str) -> int:
    """The port that a process says it took, 0 before it does."""
    found = re.search(pattern, log.read_text())
    return int(found[1]) if found else 0


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
        server = ("-m", "serving", "--model", str(folder), "--host", "127.0.0.1", "--port", "0", "--grpc-port", "-1")
        parts.enter_context(process(str(SERVER), *server, log=folder / "server.log"))
        url, client = parts.enter_context(queue())
        port = until(lambda: port_in(folder / "server.log", r'"http": ?(\d+)'), "the model server's port", folder)
        until(lambda: answers(f"http://127.0.0.1:{port}/v2/health/ready"), "a ready model server", folder)
        for n in range(jobs):
            client.xadd(JOBS, {"id": str(n), "x": json.dumps([float(one) for one in made.test_x[n]])})
        client.xadd(JOBS, {"id": "bad", "x": "[1, 2, 3]"})
        started, killed_at = time.monotonic(), jobs // 4
        model = f"http://127.0.0.1:{port}/v2/models/digits"
        flags = ("--queue", url, "--model", model, "--idle-ms", "500", "--metrics-port", "0")
        command = (sys.executable, "-m", "projects.compose_pipeline.worker", *flags)
        first = parts.enter_context(process(*command, log=folder / "first.log"))
        until(lambda: client.hlen(ANSWERS) >= killed_at, "the first worker's answers", folder)
        first.kill()
        logs = [folder / f"worker-{n}.log" for n in range(2)]
        for log in logs:
            parts.enter_context(process(*command, log=log))
        ports = [until(partial(port_in, log, r"metrics at (\d+)"), "a worker", folder) for log in logs]
        until(lambda: client.xlen(JOBS) == 0, "an empty queue", folder)
        took = time.monotonic() - started
        said = client.hgetall(ANSWERS)
        texts = [requests.get(f"http://127.0.0.1:{one}/metrics", timeout=5).text for one in ports]
        counted = sum(metric(text, 'pipeline_jobs_total{outcome="done"}') for text in texts)
        served = metric(requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text, "serving_requests_total")
        right = sum(int(said[str(n)]) == made.test_y[n] for n in range(jobs)) / jobs * 100
        left, dead = client.xlen(JOBS), client.xlen(DEAD)
    rows = (
        ("jobs sent", jobs + 1),
        ("answered", len(said)),
        ("dead", dead),
        ("left in the queue", left),
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
