"""Takes jobs from a queue, asks the model server, writes the answers: at least once each, none lost when a worker dies.

The queue is a Redis stream with a consumer group. A job's answer is written and the job ended in one transaction; what a dead
worker had taken is claimed by another after a minute; what fails `MOST` times goes to a stream of its own, so that one bad job
stops nobody. The numbers of Prometheus are at /metrics. https://redis.io/docs/latest/develop/data-types/streams/
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
import requests
from prometheus_client import Counter, Gauge, Histogram, start_http_server

JOBS, DEAD, ANSWERS, GROUP = "jobs", "jobs:dead", "answers", "workers"
MOST = 3
log = logging.getLogger("worker")

DONE = Counter("pipeline_jobs", "Jobs that ended, by how.", ["outcome"])
WAITING = Gauge("pipeline_jobs_waiting", "Jobs that nobody has answered yet.")
SECONDS = Histogram("pipeline_job_seconds", "From a job's taking to its answer.")


class BadJobError(Exception):
    """The job is at fault; another try would end alike."""


def ask(session: requests.Session, model: str, text: str) -> int:
    """The digit that the model sees in a job's image.

    Raises:
        BadJobError: it is no image, or the server will not have it.
        requests.RequestException: the server is not there, or too busy.
    """
    try:
        pixels = [float(one) for one in json.loads(text)]
    except (ValueError, TypeError) as wrong:
        raise BadJobError(f"no list of numbers: {wrong}") from wrong
    tensor: dict[str, Any] = {"name": "x", "datatype": "FP32", "shape": [1, len(pixels)], "data": pixels}
    answer = session.post(f"{model}/infer", json={"inputs": [tensor]}, timeout=30)
    if 400 <= answer.status_code < 500 and answer.status_code != requests.codes.too_many_requests:
        raise BadJobError(answer.text[:200])
    answer.raise_for_status()
    logits = answer.json()["outputs"][0]["data"]
    return int(max(range(len(logits)), key=logits.__getitem__))


class Worker:
    """One consumer of the group. `stop` ends it after the job in hand."""

    def __init__(self, queue: Any, model: str, name: str, idle_ms: int = 60_000) -> None:
        self._queue, self._model, self._name, self._idle_ms = queue, model, name, idle_ms
        self._session = requests.Session()
        self._going = True
        try:
            queue.xgroup_create(JOBS, GROUP, id="0", mkstream=True)
        except redis.ResponseError as wrong:
            if "BUSYGROUP" not in str(wrong):  # another worker made it
                raise

    def stop(self, *_: object) -> None:
        self._going = False

    def run(self) -> None:
        while self._going:
            for number, job in self._taken():
                self._do(number, job)
            WAITING.set(self._queue.xlen(JOBS))

    def _taken(self) -> Iterator[tuple[str, dict[str, str]]]:
        """What a dead worker left first, then what is new; waits a second for it."""
        left = self._queue.xautoclaim(JOBS, GROUP, self._name, min_idle_time=self._idle_ms, count=1)[1]
        if left:
            yield from left
            return
        for _, new in self._queue.xreadgroup(GROUP, self._name, {JOBS: ">"}, count=1, block=1000) or []:
            yield from new

    def _do(self, number: str, job: dict[str, str]) -> None:
        started = time.monotonic()
        try:
            digit = ask(self._session, self._model, job.get("x", ""))
        except BadJobError as wrong:
            self._bury(number, job, str(wrong))
        except requests.RequestException as wrong:
            pending = self._queue.xpending_range(JOBS, GROUP, number, number, 1)
            tries = pending[0]["times_delivered"] if pending else 0  # another took it over and has answered it
            if tries >= MOST:
                self._bury(number, job, f"{tries} tries: {wrong}")
            else:
                # Not acknowledged: it is claimed again once it has been idle.
                DONE.labels("again").inc()
                log.warning("job %s: %s", number, wrong)
        else:
            with self._ending(number) as at_once:
                at_once.hset(ANSWERS, job["id"], digit)
            DONE.labels("done").inc()
            SECONDS.observe(time.monotonic() - started)

    def _bury(self, number: str, job: dict[str, str], why: str) -> None:
        with self._ending(number) as at_once:
            at_once.xadd(DEAD, {**job, "why": why[:500]})
        DONE.labels("dead").inc()
        log.error("job %s: %s", number, why)

    @contextmanager
    def _ending(self, number: str) -> Iterator[Any]:
        """A transaction that ends the job, too: a worker that dies on the way would leave it ended and still in the queue."""
        with self._queue.pipeline(transaction=True) as at_once:
            yield at_once
            at_once.xack(JOBS, GROUP, number)
            at_once.xdel(JOBS, number)  # so that the stream's length is what waits
            at_once.execute()


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("--queue", default=os.environ.get("QUEUE", "redis://queue:6379"))
    made.add_argument("--model", default=os.environ.get("MODEL", "http://model-server:8000/v2/models/digits"))
    made.add_argument("--metrics-port", type=int, default=9100, help="0 for any, which is said")
    made.add_argument("--idle-ms", type=int, default=60_000, help="after which another's job is taken over")
    asked = made.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    queue = redis.Redis.from_url(asked.queue, decode_responses=True)
    worker = Worker(queue, asked.model, f"{socket.gethostname()}-{os.getpid()}", asked.idle_ms)
    signal.signal(signal.SIGTERM, worker.stop)
    server, _ = start_http_server(asked.metrics_port)
    log.info("ready, metrics at %d", server.server_port)
    worker.run()


if __name__ == "__main__":
    main()
