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
# # FastAPI, Docker, Kubernetes, Prometheus: one model from end to end
#
# The model server of this repository is a FastAPI application, with a Dockerfile; a stack file puts it on Kubernetes, with KEDA
# on its queue and Prometheus on its numbers. Here the first half runs: the model is made, served, asked, and its metrics are
# read as Prometheus would. The second half is four commands, in README.md.

# %%
import os
import re
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests

import projects
from projects import digits
from projects.compose_pipeline import train
from projects.table import Cell, Table, show, small

ROOT = Path(projects.__file__).parents[1]
# The model server has an environment of its own: make serving-test sets it up.
SERVER = Path(os.environ.get("SERVING_PYTHON", ROOT / ".venv-serving" / "bin" / "python"))
# What `fleet up` puts into the store: `files` of the model in digits-dev.yaml.
MODEL = ROOT / "out" / "digits"


# %% [markdown]
# ## The server, as its image starts it


# %%
def address(process: subprocess.Popen[str]) -> str:
    """Where the server listens, once it is ready.

    Raises:
        RuntimeError: it ended before.
    """
    assert process.stdout is not None
    port = ""
    for line in process.stdout:
        port = found[1] if (found := re.search(r'"http": ?(\d+)', line)) else port
        if '"message": "ready"' in line or '"message":"ready"' in line:
            return f"http://127.0.0.1:{port}"
    raise RuntimeError(f"the model server ended with {process.wait()}")


def metric(text: str, name: str) -> float:
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if re.match(rf"{name}[{{ ]", line))


# %% [markdown]
# ## Asked as a client asks, watched as Prometheus watches


# %%
def run() -> Table:
    if not SERVER.exists():
        raise SystemExit(f"{SERVER} is not there: make serving-test sets it up, or name one by SERVING_PYTHON")
    made, asked = digits.data(), 50 if small() else 450
    rows: list[tuple[Cell, ...]] = []
    with ExitStack() as parts:
        folder = Path(parts.enter_context(tempfile.TemporaryDirectory())) if small() else MODEL
        train.main(folder, 5 if small() else 20)
        rows.append(("make", "python -m projects.compose_pipeline.train", f"{(folder / 'digits.onnx').stat().st_size:,} bytes"))
        flags = ("--host", "127.0.0.1", "--port", "0", "--grpc-port", "-1")
        command = (str(SERVER), "-m", "serving", "--model", str(folder), *flags)
        server = parts.enter_context(
            subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        )
        parts.callback(server.terminate)  # before it is waited for
        url = address(server)
        rows.append(("serve", "python -m serving --model out/digits", "ready"))
        right, started = 0, time.monotonic()
        session = parts.enter_context(requests.Session())
        for x, y in zip(made.test_x[:asked], made.test_y[:asked], strict=True):
            tensor: dict[str, Any] = {
                "name": "x",
                "datatype": "FP32",
                "shape": [1, digits.PIXELS],
                "data": [float(one) for one in x],
            }
            answer = session.post(f"{url}/v2/models/digits/infer", json={"inputs": [tensor]}, timeout=30)
            answer.raise_for_status()
            logits = answer.json()["outputs"][0]["data"]
            right += max(range(len(logits)), key=logits.__getitem__) == y
        ms = (time.monotonic() - started) / asked * 1000
        rows.append(("ask", "POST /v2/models/digits/infer", f"{right / asked:.1%} of {asked} right, {ms:.1f} ms each"))
        text = session.get(f"{url}/metrics", timeout=10).text
        counted, waiting = metric(text, "serving_requests_total"), metric(text, "vllm:num_requests_waiting")
        rows.append(("watch", "GET /metrics", f"{counted:.0f} requests counted, {waiting:.0f} wait"))
        health = session.get(f"{url}/v2/health/ready", timeout=10).status_code
        rows.append(("probe", "GET /v2/health/ready", str(health)))
    rows.append(("end", "SIGTERM", f"exit code {server.returncode}"))
    return Table("One model from end to end, the half that needs no cluster", ("step", "command", "found"), tuple(rows))


# %%
if __name__ == "__main__":
    table = run()
    show(table)
