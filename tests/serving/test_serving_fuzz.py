"""Bodies made by chance, lying lengths and clients that stop halfway: a 4xx with a reason, never a 5xx, and no memory kept.

A thousand each time; `ACCELFLEET_FUZZ=10000` makes a soak of it and also says what good requests meanwhile had to wait.
"""

from __future__ import annotations

import logging
import os
import random
import socket
import time

import grpc
import httpx
import orjson
import psutil

from serving.proto import open_inference_pb2 as pb
from tests.serving.bodies import GOOD, body
from tests.serving.running import Running

log = logging.getLogger(__name__)
COUNT = int(os.environ.get("ACCELFLEET_FUZZ", "1000"))
SEED = 20261129
# A sound body, and one whose own deadline of a microsecond nobody can meet.
FINE = (200, 504)
MOST_GROWN = 50 << 20
# tritonclient's kind of request, and the answer it must have whatever else is going on.
ANSWER = [3, 5, 7, 9]


def ask(client: httpx.Client, content: bytes, headers: dict[str, str]) -> httpx.Response:
    return client.post("/v2/models/double/infer", content=content, headers=headers)


def waited(client: httpx.Client, count: int) -> list[float]:
    """Milliseconds of each of so many good requests, all answered rightly."""
    found = []
    for _ in range(count):
        began = time.perf_counter()
        answer = ask(client, orjson.dumps(GOOD), {})
        found.append((time.perf_counter() - began) * 1000)
        assert answer.json()["outputs"][0]["data"] == ANSWER
    return sorted(found)


def test_whatever_is_sent_is_answered_and_forgotten(server: Running) -> None:
    chance = random.Random(SEED)
    process = psutil.Process(server.process.pid)
    codes: dict[int, int] = {}
    after_bad: list[float] = []
    after_good: list[float] = []
    with httpx.Client(base_url=server.http, timeout=30) as client:
        for number in range(100):
            ask(client, *body(random.Random(number)))  # what a first request of a kind takes for good
        before = process.memory_info().rss
        for number in range(COUNT):
            content, headers = body(chance)
            answer = ask(client, content, headers)
            codes[answer.status_code] = codes.get(answer.status_code, 0) + 1
            assert answer.status_code in FINE or 400 <= answer.status_code < 500, (SEED, number, content[:200], answer.text)
            if answer.status_code != 200:
                assert answer.json()["error"], (SEED, number)
                assert len(answer.content) < 1000, "a client's data is not sent back"
            if number % 10 == 0:
                # Side by side, as what else the machine does changes from minute to minute.
                after_bad += waited(client, 1)
                after_good += waited(client, 1)
        grown = process.memory_info().rss - before
    assert codes[400] > COUNT // 2, codes
    assert codes.get(200, 0) < COUNT // 2, "most of them are to be wrong"
    assert grown < MOST_GROWN, f"{grown:,} bytes after {COUNT:,} bodies"
    p99 = [sorted(times)[int(len(times) * 0.99)] for times in (after_good, after_bad)]
    said = f"{COUNT:,} bodies: {codes}; grown {grown:,} bytes"
    log.info("%s; p99 of a good one %.1f ms after a good one, %.1f ms after these", said, *p99)
    if COUNT >= 10_000:
        assert p99[1] <= 2 * p99[0]


def test_bytes_that_are_nearly_a_message_are_an_invalid_argument(server: Running) -> None:
    chance = random.Random(SEED)
    good = pb.ModelInferRequest(
        model_name="double",
        inputs=[{"name": "x", "datatype": "FP32", "shape": [1, 4], "contents": {"fp32_contents": [1, 2, 3, 4]}}],
    ).SerializeToString()
    allowed = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.OK}
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        method = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer", response_deserializer=pb.ModelInferResponse.FromString
        )
        for number in range(COUNT // 2):
            changed = bytearray(good[: chance.randint(1, len(good))] if chance.random() < 0.3 else good)
            for _ in range(chance.randint(0, 4)):
                changed[chance.randrange(len(changed))] = chance.randrange(256)
            try:
                method(bytes(changed), timeout=20)
            except grpc.RpcError as refused:
                assert refused.code() in allowed, (SEED, number, bytes(changed), refused)
                assert refused.details()
        assert list(method(good, timeout=20).outputs[0].contents.fp32_contents) == ANSWER


def test_clients_that_lie_about_lengths_or_stop_halfway_cost_nobody_anything(server: Running) -> None:
    chance = random.Random(SEED)
    text = orjson.dumps(GOOD)
    head = b"POST /v2/models/double/infer HTTP/1.1\r\nhost: x\r\ncontent-length: "
    held = []
    for number in range(60):
        one = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        said = chance.choice([b"0", b"1", b"%d" % (len(text) * 2), b"-1", b"1e3", b"99999999999999999999", b"%d" % len(text)])
        one.sendall(head + said + b"\r\n\r\n" + text[: chance.randrange(len(text))])
        if number % 2:
            one.close()
        else:
            held.append(one)  # says no more, and stays
    with httpx.Client(base_url=server.http, timeout=30) as client:
        assert len(waited(client, 50)) == 50
    for one in held:
        one.close()
    with httpx.Client(base_url=server.http, timeout=30) as client:
        assert len(waited(client, 50)) == 50
    assert not [line for line in server.lines() if line.get("message") == "a request failed"]
