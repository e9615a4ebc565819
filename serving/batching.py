"""Requests put together: rows of the same shape run as one batch, and each request gets its own rows back, once.

Owns the queues, the threads that run the model (one, unless `instances` says more), deadlines and who is let in. A thread
takes what waits the moment it is free, so that batches grow with the load by themselves and a lone request never waits for
company. Refuses more requests than the queue holds (429), and lets no request's fault fall on another: a batch that fails is
run again one by one.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from time import perf_counter

import numpy as np

from serving.errors import BadInput, Broken, Refusal
from serving.metrics import Meter
from serving.spec import BatchingSpec
from serving.tensors import Array

log = logging.getLogger(__name__)

Signature = tuple[tuple[int, ...], ...]
Answer = list[Array] | Exception


@dataclass(slots=True, eq=False)
class _Request:
    """One that was let in.

    Attributes:
        signature: its inputs' shapes without the rows; only requests of one signature run together.
        answer: done when answered, refused or given up; whoever comes second finds it done and leaves it.
        arrived: on `perf_counter`'s clock, as `started` is.
    """

    inputs: Sequence[Array]
    rows: int
    signature: Signature
    answer: asyncio.Future[list[Array]]
    arrived: float
    started: float = 0.0


@dataclass(slots=True)
class _State:
    """What the event loop and the threads share; touched with the lock held only.

    Attributes:
        waiting: requests in all queues.
        running: requests that the model runs.
        last: requests of the batch before.
        idle: threads with nothing to run.
    """

    queues: dict[Signature, deque[_Request]] = field(default_factory=dict)
    waiting: int = 0
    running: int = 0
    last: int = 0
    idle: int = 0
    closed: bool = False


class Batcher:
    """Puts requests for one model together; made, used and closed on one event loop.

    Args:
        run: runs the model, in this object's own threads only: `spec.instances` of them.
        rows: whether the inputs' first dimension counts rows that may be put together.
        broken: told once, on the event loop, when the model cannot run any more.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Array]], list[Array]],
        spec: BatchingSpec,
        meter: Meter,
        *,
        name: str,
        rows: bool,
        broken: Callable[[str], None],
    ) -> None:
        self._run, self._spec, self._meter, self._broken = run, spec, meter, broken
        self._rows = rows
        self._state = _State()
        # A plain lock: the default would be a re-entrant one, slower and not needed.
        self._wake = threading.Condition(threading.Lock())
        self._loop = asyncio.get_running_loop()
        self._seconds_each = 0.0
        meter.waiting, meter.running = lambda: self._state.waiting, lambda: self._state.running
        self._threads = [
            threading.Thread(target=self._work, name=f"model-{name}-{n}", daemon=True) for n in range(spec.instances)
        ]
        for thread in self._threads:
            thread.start()

    async def infer(self, inputs: Sequence[Array], timeout_s: float | None = None) -> list[Array]:
        """Run one request, with others where there are others.

        Args:
            inputs: in the model's order, all with the same number of rows.
            timeout_s: at most this long; the model's own limit where it is less.

        Raises:
            Refusal: 400 too many rows or the model said no, 429 the queue is full, 503 closed, 504 too late, 500 broken.
            asyncio.CancelledError: the caller gave up; the request is run no more if it has not begun.
        """
        limit = self._spec.timeout_ms / 1000
        limit = limit if timeout_s is None else min(limit, timeout_s)
        request = self._request(inputs)
        self._enter(request)
        timer = self._loop.call_later(limit, self._expire, request, limit)
        try:
            return await request.answer
        finally:
            timer.cancel()
            if request.answer.cancelled():
                self._leave(request)

    async def close(self) -> None:
        """Let nobody in, answer those inside, end the threads."""
        with self._wake:
            self._state.closed = True
            self._wake.notify_all()
        for thread in self._threads:
            await self._loop.run_in_executor(None, thread.join)
        # The threads' last answers are on their way through the loop.
        await asyncio.sleep(0)

    def _request(self, inputs: Sequence[Array]) -> _Request:
        if not self._rows:
            return _Request(inputs, 1, tuple(one.shape for one in inputs), self._loop.create_future(), perf_counter())
        rows = len(inputs[0])
        if any(len(one) != rows for one in inputs):
            raise Refusal(HTTPStatus.BAD_REQUEST, f"the inputs have {[len(one) for one in inputs]} rows: all need the same")
        if rows > self._spec.max_batch:
            most = self._spec.max_batch
            raise Refusal(HTTPStatus.BAD_REQUEST, f"{rows} rows were given and one request may have {most}: send several")
        return _Request(inputs, rows, tuple(one.shape[1:] for one in inputs), self._loop.create_future(), perf_counter())

    def _enter(self, request: _Request) -> None:
        state = self._state
        with self._wake:
            if state.closed:
                raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the server is ending; another replica will answer", 1)
            if state.waiting >= self._spec.max_queue:
                after = max(1, math.ceil(state.waiting * self._seconds_each))
                raise Refusal(
                    HTTPStatus.TOO_MANY_REQUESTS, f"{state.waiting} requests wait already, and no more may; ask again", after
                )
            queue = state.queues.get(request.signature)
            if queue is None:
                queue = state.queues[request.signature] = deque()
            queue.append(request)
            state.waiting += 1
            if state.idle:
                self._wake.notify()

    def _leave(self, request: _Request) -> None:
        """Take a request out of its queue, so that nobody's place is held by one who went; none if it runs already."""
        with self._wake:
            queue = self._state.queues.get(request.signature)
            if queue and request in queue:
                queue.remove(request)
                self._state.waiting -= 1
                if not queue:
                    del self._state.queues[request.signature]

    def _expire(self, request: _Request, limit: float) -> None:
        if not request.answer.done():
            self._leave(request)
            where = "while it ran" if request.started else "while it waited for its turn"
            request.answer.set_exception(
                Refusal(HTTPStatus.GATEWAY_TIMEOUT, f"no answer within {limit * 1000:g} ms; the time ended {where}")
            )

    # From here on: the threads.

    def _work(self) -> None:
        busy = False
        while batch := self._take(busy):
            started = perf_counter()
            for request in batch:
                request.started = started
            answers = self._answers(batch)
            seconds = perf_counter() - started
            self._seconds_each = seconds / len(batch) / len(self._threads)
            with self._wake:
                self._state.running -= len(batch)
                # Now, and not once the answers are out: who comes back with the next request finds an idle model.
                busy = self._state.waiting > 0
            self._loop.call_soon_threadsafe(self._deliver, batch, answers, seconds)

    def _take(self, busy: bool) -> list[_Request]:
        """The next batch, as soon as there is one; empty when closed.

        Args:
            busy: some waited already when the batch before ended.
        """
        state = self._state
        with self._wake:
            if busy and self._spec.max_wait_ms:
                self._wait_for_more()
            # Also when those that were there left while more were waited for, or another thread took them.
            while not state.waiting:
                if state.closed:
                    return []
                state.idle += 1
                self._wake.wait()
                state.idle -= 1
            # The one that waits longest chooses the shape.
            queue = min(state.queues.values(), key=lambda one: one[0].arrived) if len(state.queues) > 1 else None
            if queue is None:
                (queue,) = state.queues.values()
            batch: list[_Request] = []
            room = self._spec.max_batch if self._rows else 1
            while queue and queue[0].rows <= room:
                request = queue.popleft()
                room -= request.rows
                batch.append(request)
            if not queue:
                del state.queues[batch[0].signature]
            state.waiting -= len(batch)
            state.running += len(batch)
            state.last = len(batch)
            if state.waiting and state.idle:
                # Those left may have told this thread, when another one slept.
                self._wake.notify()
            return batch

    def _wait_for_more(self) -> None:
        """Give those who were just answered the time to come back; their number says when no more are to be expected."""
        state = self._state
        expected = min(self._spec.max_batch, state.waiting + state.last)
        until = perf_counter() + self._spec.max_wait_ms / 1000
        state.idle += 1
        while 0 < state.waiting < expected and not state.closed and (left := until - perf_counter()) > 0:
            self._wake.wait(left)
        state.idle -= 1

    def _answers(self, batch: list[_Request]) -> Sequence[Answer]:
        try:
            return self._together(batch)
        except Broken as wrong:
            self._loop.call_soon_threadsafe(self._broken, str(wrong))
            return [self._fault(wrong)] * len(batch)
        except Exception as wrong:  # whatever a runtime raises, the thread goes on
            if len(batch) > 1:
                # One of them did this; the others are not to pay for it.
                return [answer for request in batch for answer in self._answers([request])]
            return [self._fault(wrong)]

    def _together(self, batch: list[_Request]) -> list[Answer]:
        columns = zip(*(request.inputs for request in batch), strict=True)
        # One copy, here and not on the event loop; a lone request's tensors go as they came, if they are aligned.
        joined = [
            np.concatenate(column) if len(column) > 1 else np.require(column[0], requirements=["C", "A"]) for column in columns
        ]
        outputs = self._run(joined)
        if not self._rows:
            return [outputs]
        rows = sum(request.rows for request in batch)
        if any(len(one) != rows for one in outputs):
            raise RuntimeError(f"{rows} rows went in and {[len(one) for one in outputs]} came out")
        if len(batch) == 1:
            return [outputs]
        answers: list[Answer] = []
        start = 0
        for request in batch:
            end = start + request.rows
            answers.append([one[start:end] for one in outputs])
            start = end
        return answers

    @staticmethod
    def _fault(wrong: Exception) -> Refusal:
        if isinstance(wrong, BadInput):
            return Refusal(HTTPStatus.BAD_REQUEST, f"the model cannot work with these inputs: {wrong}")
        log.error("a run failed", exc_info=wrong)
        return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "the model failed; the server's log says how")

    # The event loop again.

    def _deliver(self, batch: list[_Request], answers: Sequence[Answer], seconds: float) -> None:
        for request, answer in zip(batch, answers, strict=True):
            if request.answer.done():
                continue
            if isinstance(answer, Exception):
                request.answer.set_exception(answer)
            else:
                request.answer.set_result(answer)
        self._meter.ran([request.started - request.arrived for request in batch], sum(r.rows for r in batch), seconds)
