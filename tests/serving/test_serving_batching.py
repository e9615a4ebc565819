"""Putting requests together: who runs with whom, who waits, who is refused; each is answered once, with its own rows."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Coroutine, Sequence
from http import HTTPStatus
from typing import Any

import numpy as np
import pytest

from serving.batching import Batcher
from serving.errors import BadInput, Broken, Refusal
from serving.metrics import Metrics
from serving.spec import BatchingSpec
from serving.tensors import Array


class Gate:
    """A model y = 2x whose runs stop at a gate, so that a test says what arrives meanwhile; `batches` has each run's rows."""

    def __init__(self) -> None:
        self.batches: list[list[float]] = []
        self.entered = threading.Semaphore(0)
        self.may_go = threading.Semaphore(0)

    def open(self) -> None:
        self.may_go.release(10_000)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        self.batches.append(inputs[0][:, 0].tolist())
        self.entered.release()
        assert self.may_go.acquire(timeout=20)
        if (inputs[0] < 0).any():
            raise BadInput("a negative number")
        return [inputs[0] * 2]

    async def until_entered(self) -> None:
        assert await asyncio.to_thread(self.entered.acquire, timeout=20)


def row(value: float, rows: int = 1, width: int = 1) -> list[Array]:
    return [np.full((rows, width), value, np.float32)]


def batching(
    test: Callable[[Batcher, Gate], Coroutine[Any, Any, None]], *, rows: bool = True, opened: bool = False, **spec: Any
) -> Gate:
    """Run a test on an event loop with a batcher in front of a gate; nothing may hang."""
    gate = Gate()
    broken: list[str] = []

    async def main() -> None:
        meter = Metrics().meter("m", 1)
        batcher = Batcher(gate.run, BatchingSpec(**spec), meter, name="m", rows=rows, broken=broken.append)
        if opened:
            gate.open()
        try:
            async with asyncio.timeout(30):
                await test(batcher, gate)
        finally:
            gate.open()
            await batcher.close()

    asyncio.run(main())
    return gate


async def first_in(batcher: Batcher, gate: Gate) -> asyncio.Task[list[Array]]:
    """A request that the model is busy with."""
    task = asyncio.create_task(batcher.infer(row(0)))
    await gate.until_entered()
    return task


def start(batcher: Batcher, *values: float) -> list[asyncio.Task[list[Array]]]:
    return [asyncio.create_task(batcher.infer(row(value))) for value in values]


def refusal(of: object) -> Refusal:
    assert isinstance(of, Refusal), of
    return of


def test_what_arrives_during_a_run_runs_together_up_to_the_most() -> None:
    async def test(batcher: Batcher, gate: Gate) -> None:
        first = await first_in(batcher, gate)
        others = start(batcher, 1, 2, 3, 4, 5)
        await asyncio.sleep(0)
        gate.open()
        answers = await asyncio.gather(first, *others)
        assert [answer[0].tolist() for answer in answers] == [[[value * 2.0]] for value in range(6)]

    assert batching(test, max_batch=4).batches == [[0], [1, 2, 3, 4], [5]]


def test_an_idle_model_never_waits_for_company() -> None:
    async def test(batcher: Batcher, gate: Gate) -> None:
        for value in range(3):
            await batcher.infer(row(value))

    # An hour: had one of them waited, the test would not end.
    assert batching(test, opened=True, max_wait_ms=3_600_000).batches == [[0], [1], [2]]


def test_straight_after_a_batch_it_waits_for_those_who_were_just_answered() -> None:
    async def client(batcher: Batcher, value: float) -> None:
        await batcher.infer(row(value))
        await batcher.infer(row(value))

    async def test(batcher: Batcher, gate: Gate) -> None:
        first = asyncio.create_task(client(batcher, 0))
        await gate.until_entered()
        others = [asyncio.create_task(client(batcher, value)) for value in (1, 2, 3)]
        await asyncio.sleep(0)
        gate.may_go.release()
        await gate.until_entered()
        gate.open()
        await asyncio.gather(first, *others)

    waited = batching(test, max_batch=32, max_wait_ms=10_000).batches
    assert sorted(waited[1]) == [0, 1, 2, 3], "the one just answered came back into the next batch"
    assert batching(test, max_batch=32).batches[1][:3] == [1, 2, 3], "without a wait nobody is waited for"


def test_who_is_waited_for_may_leave_and_the_thread_goes_on() -> None:
    """All that waits goes while the thread waits for more: nothing is left to run, and the next request is answered."""

    async def test(batcher: Batcher, gate: Gate) -> None:
        first = await first_in(batcher, gate)
        (leaving,) = start(batcher, 1)
        await asyncio.sleep(0)
        gate.open()
        await first
        # The thread waits for those who were just answered, and then finds nobody.
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        await asyncio.sleep(0.3)
        answer = await batcher.infer(row(2))
        assert answer[0].tolist() == [[4]]

    assert batching(test, max_wait_ms=100, max_batch=2).batches == [[0], [2]]


def test_as_many_batches_run_at_once_as_there_are_instances() -> None:
    async def test(batcher: Batcher, gate: Gate) -> None:
        both = [await first_in(batcher, gate), await first_in(batcher, gate)]
        assert gate.entered.acquire(blocking=False) is False
        assert batcher._state.running == 2
        more = start(batcher, 1, 2, 3)
        await asyncio.sleep(0)
        assert batcher._state.waiting == 3
        gate.open()
        await asyncio.gather(*both)
        answers = await asyncio.gather(*more)
        assert [answer[0].tolist() for answer in answers] == [[[2]], [[4]], [[6]]]

    batches = batching(test, instances=2, max_batch=2).batches
    assert batches[:2] == [[0], [0]]
    assert sorted(value for batch in batches[2:] for value in batch) == [1, 2, 3]
    assert all(len(batch) <= 2 for batch in batches)


def test_requests_of_another_shape_never_run_together_and_the_oldest_is_first() -> None:
    async def test(batcher: Batcher, gate: Gate) -> None:
        first = await first_in(batcher, gate)
        made = [row(1, width=2), row(2, width=3), row(3, width=2), row(4, width=3)]
        others = [asyncio.create_task(batcher.infer(one)) for one in made]
        await asyncio.sleep(0)
        gate.open()
        answers = await asyncio.gather(first, *others)
        assert [answer[0].shape for answer in answers[1:]] == [(1, 2), (1, 3), (1, 2), (1, 3)]

    assert batching(test).batches == [[0], [1, 3], [2, 4]]


def test_requests_of_several_rows_stay_whole() -> None:
    async def test(batcher: Batcher, gate: Gate) -> None:
        first = await first_in(batcher, gate)
        others = [asyncio.create_task(batcher.infer(row(value, rows=rows))) for value, rows in ((1, 3), (2, 2), (3, 1))]
        await asyncio.sleep(0)
        gate.open()
        answers = await asyncio.gather(first, *others)
        assert [answer[0].tolist() for answer in answers[1:]] == [[[2.0]] * 3, [[4.0]] * 2, [[6.0]]]

    assert batching(test, max_batch=4).batches == [[0], [1, 1, 1], [2, 2, 3]]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (row(1, rows=5), "5 rows were given and one request may have 4"),
        ([*row(1, rows=1), *row(1, rows=2)], "the inputs have [1, 2] rows"),
    ],
)
def test_rows_that_do_not_fit_are_refused(inputs: list[Array], said: str) -> None:
    async def test(batcher: Batcher, gate: Gate) -> None:
        with pytest.raises(Refusal) as found:
            await batcher.infer(inputs)
        assert found.value.status == HTTPStatus.BAD_REQUEST
        assert said in found.value.reason

    assert batching(test, max_batch=4).batches == []


def test_without_rows_each_request_runs_alone() -> None:
    async def test(batcher: Batcher, gate: Gate) -> None:
        first = await first_in(batcher, gate)
        others = start(batcher, 1, 2)
        await asyncio.sleep(0)
        gate.open()
        await asyncio.gather(first, *others)

    assert batching(test, rows=False).batches == [[0], [1], [2]]


def test_a_full_queue_refuses_and_says_when_to_ask_again() -> None:
    async def test(batcher: Batcher, gate: Gate) -> None:
        first = await first_in(batcher, gate)
        inside = start(batcher, 1, 2)
        await asyncio.sleep(0)
        with pytest.raises(Refusal) as found:
            await batcher.infer(row(3))
        assert found.value.status == HTTPStatus.TOO_MANY_REQUESTS
        assert (found.value.retry_after_s or 0) >= 1
        # Who gives up leaves a place.
        inside[0].cancel()
        await asyncio.wait(inside[:1])
        again = start(batcher, 4)
        await asyncio.sleep(0)
        gate.open()
        await asyncio.gather(first, inside[1], *again)

    assert batching(test, max_queue=2).batches == [[0], [2, 4]]


def test_who_gave_up_is_not_run() -> None:
    async def test(batcher: Batcher, gate: Gate) -> None:
        first = await first_in(batcher, gate)
        gone, stays = start(batcher, 1, 2)
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait([gone])
        gate.open()
        await asyncio.gather(first, stays)
        assert gone.cancelled()

    assert batching(test).batches == [[0], [2]]


def test_a_deadline_ends_the_wait_and_the_request_is_not_run() -> None:
    async def test(batcher: Batcher, gate: Gate) -> None:
        first = await first_in(batcher, gate)
        with pytest.raises(Refusal, match="while it waited for its turn") as found:
            await batcher.infer(row(1), timeout_s=0.01)
        assert found.value.status == HTTPStatus.GATEWAY_TIMEOUT
        gate.open()
        await first

    assert batching(test).batches == [[0]]


def test_a_deadline_holds_while_the_model_runs_and_the_late_answer_goes_nowhere() -> None:
    async def test(batcher: Batcher, gate: Gate) -> None:
        with pytest.raises(Refusal, match="while it ran"):
            await batcher.infer(row(1), timeout_s=3600)
        gate.open()
        assert (await batcher.infer(row(2)))[0].tolist() == [[4.0]]

    # The model's own limit is the shorter one here.
    assert batching(test, timeout_ms=300).batches == [[1], [2]]


def test_a_fault_falls_on_its_own_request_alone() -> None:
    async def test(batcher: Batcher, gate: Gate) -> None:
        first = await first_in(batcher, gate)
        others = start(batcher, 1, -2, 3)
        await asyncio.sleep(0)
        gate.open()
        await first
        good, bad, also = await asyncio.gather(*others, return_exceptions=True)
        assert isinstance(good, list) and isinstance(also, list)
        assert (good[0][0, 0], also[0][0, 0]) == (2, 6)
        assert refusal(bad).status == HTTPStatus.BAD_REQUEST
        assert "a negative number" in refusal(bad).reason

    assert batching(test).batches == [[0], [1, -2, 3], [1], [-2], [3]]


def one_run(run: Callable[[Sequence[Array]], list[Array]], broken: Callable[[str], None] = lambda _: None) -> list[object]:
    """Two requests, one after the other, to a model of one's own; answers or refusals."""

    async def main() -> list[object]:
        batcher = Batcher(run, BatchingSpec(), Metrics().meter("m", 1), name="m", rows=True, broken=broken)
        answers: list[object] = []
        async with asyncio.timeout(30):
            for value in (1, 2):
                answers += await asyncio.gather(batcher.infer(row(value)), return_exceptions=True)
        await batcher.close()
        return answers

    return asyncio.run(main())


def test_whatever_a_runtime_raises_the_thread_goes_on_and_the_reason_stays_inside() -> None:
    def run(inputs: Sequence[Array]) -> list[Array]:
        if inputs[0][0, 0] == 1:
            raise MemoryError("secret path /models/x")
        return [inputs[0]]

    first, second = one_run(run)
    assert refusal(first).status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert "secret" not in refusal(first).reason
    assert isinstance(second, list)


def test_outputs_with_other_rows_are_given_to_nobody() -> None:
    first, _ = one_run(lambda inputs: [np.zeros((2, 1), np.float32)])
    assert refusal(first).status == HTTPStatus.INTERNAL_SERVER_ERROR


def test_a_broken_model_is_told_of() -> None:
    def run(inputs: Sequence[Array]) -> list[Array]:
        raise Broken("CUDA failure 700")

    told: list[str] = []
    first, _ = one_run(run, told.append)
    assert refusal(first).status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert told[0] == "CUDA failure 700"


def test_closing_answers_those_inside_and_lets_nobody_in() -> None:
    async def test(batcher: Batcher, gate: Gate) -> None:
        first = await first_in(batcher, gate)
        inside = start(batcher, 1, 2)
        await asyncio.sleep(0)
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0)
        with pytest.raises(Refusal) as found:
            await batcher.infer(row(3))
        assert found.value.status == HTTPStatus.SERVICE_UNAVAILABLE
        gate.open()
        await closing
        assert all(task.done() for task in inside)
        await asyncio.gather(first, *inside)

    assert batching(test).batches == [[0], [1, 2]]


@pytest.mark.parametrize("instances", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_in_a_crowd_everyone_gets_their_own_answer_once(seed: int, instances: int) -> None:
    """Random rows, shapes, faults, deadlines and people who leave: each ends once, and never with another's rows."""
    chance = random.Random(seed)
    ended: list[int] = []

    async def client(batcher: Batcher, number: int) -> None:
        value, rows, width = float(number + 1), chance.randint(1, 3), chance.randint(1, 2)
        fate = chance.choice(["stay", "stay", "stay", "fault", "leave", "hurry"])
        await asyncio.sleep(chance.random() / 50)
        inputs = row(-value if fate == "fault" else value, rows, width)
        try:
            if fate == "leave":
                async with asyncio.timeout(chance.random() / 100):
                    answer = await batcher.infer(inputs)
            else:
                answer = await batcher.infer(inputs, chance.random() / 100 if fate == "hurry" else None)
            assert answer[0].tolist() == [[value * 2] * width] * rows
        except TimeoutError:
            assert fate == "leave"
        except Refusal as refused:
            wanted = {"fault": HTTPStatus.BAD_REQUEST, "hurry": HTTPStatus.GATEWAY_TIMEOUT}
            assert refused.status == wanted[fate]
        ended.append(number)

    async def test(batcher: Batcher, gate: Gate) -> None:
        await asyncio.gather(*(client(batcher, number) for number in range(300)))
        assert batcher._state.waiting == 0
        assert not batcher._state.queues

    batching(test, opened=True, max_batch=8, max_queue=1000, max_wait_ms=1, instances=instances)
    assert sorted(ended) == list(range(300))
