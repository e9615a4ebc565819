"""Clients of a served model, each asking again once it has its answer, until told to stop (SIGTERM).

In the model server's environment: MODEL.onnx NAME HTTP CLIENTS [PAUSE_S]. Prints `asking` once it may be told, and at last
how many requests were answered, refused for want of room (429), lost, and lost by a client that had just lost one
(`twice`). Each request is a connection of its own, so that each has its turn at the Service.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from http.client import HTTPConnection, HTTPException

import onnxruntime

TYPES = {"tensor(float)": "FP32", "tensor(int32)": "INT32"}

BECAME = {200: "answered", 429: "refused"}


def main(file: str, name: str, http: str, clients: str, pause_s: str = "0") -> None:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    inputs = []
    for tensor in session.get_inputs():
        shape = [1, *(size if isinstance(size, int) else 48 for size in tensor.shape[1:])]
        size = 1
        for edge in shape:
            size *= edge
        inputs.append({"name": tensor.name, "datatype": TYPES[tensor.type], "shape": shape, "data": [0] * size})
    body, stop = json.dumps({"inputs": inputs}).encode(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    counts = {"answered": 0, "refused": 0, "lost": 0, "twice": 0}
    lock = threading.Lock()

    def ask() -> str:
        connection = HTTPConnection(http, timeout=60)
        try:
            connection.request("POST", f"/v2/models/{name}/infer", body, {"content-type": "application/json"})
            status = connection.getresponse().status
        except (OSError, HTTPException) as error:
            print(time.strftime("%H:%M:%S"), repr(error), file=sys.stderr)  # noqa: T201
            return "lost"
        finally:
            connection.close()
        if status not in BECAME:
            print(status, file=sys.stderr)  # noqa: T201
        return BECAME.get(status, "lost")

    def client() -> None:
        before = ""
        while not stop.wait(float(pause_s)):
            became = ask()
            with lock:
                counts[became] += 1
                counts["twice"] += before == became == "lost"
            before = became

    threads = [threading.Thread(target=client) for _ in range(int(clients))]
    for thread in threads:
        thread.start()
    print("asking", flush=True)  # noqa: T201 - told to stop sooner it would end without a word
    for thread in threads:
        thread.join()
    print(json.dumps(counts))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
