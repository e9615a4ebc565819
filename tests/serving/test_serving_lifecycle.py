"""From start to drain: ports before models, ready after all of them, and nobody's answer lost when the process ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import numpy as np
import orjson
import pytest

from serving.proto import open_inference_pb2 as pb
from tests.serving import made
from tests.serving.running import ROOT, Running, command, start


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that is busy for a while, one request a run."""
    return made.slow(tmp_path_factory.mktemp("slow"))


def body(value: float) -> bytes:
    return orjson.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [value]}]})


HEAD = b"POST /v2/models/slow/infer HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"


def infer(server: Running, value: float, **headers: str) -> httpx.Response:
    return httpx.post(f"{server.http}/v2/models/slow/infer", content=body(value), headers=headers, timeout=60)


def _to_the_end(connection: socket.socket) -> bytes:
    with connection, connection.makefile("rb") as got:
        return got.read()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def test_sigterm_answers_everyone_inside_and_ends_with_0(slow: Path, tmp_path: Path) -> None:
    count = 30
    with start("--model", str(slow), "--max-batch", "1", "--threads", "1", log=tmp_path / "log") as server:
        clients = [socket.create_connection(("127.0.0.1", server.port), timeout=60) for _ in range(count)]
        for n, one in enumerate(clients):
            one.sendall(HEAD % len(body(n)) + body(n))
        names = "vllm:num_requests_waiting", "vllm:num_requests_running", "serving_requests_total"
        until(lambda: sum(server.metric(name, model_name="slow") for name in names) == count)
        server.process.terminate()
        # The connection ends with its answer.
        answers = [_to_the_end(one) for one in clients]
        assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in answers)
        said = [orjson.loads(answer.partition(b"\r\n\r\n")[2])["outputs"][0]["data"] for answer in answers]
        assert said == [[n] for n in range(count)]
        assert server.process.wait(30) == 0
        messages = [line["message"] for line in server.lines()]
        assert messages[-1] == "drained"
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", server.port))


def test_while_it_delays_its_drain_it_is_not_ready_and_still_answers(models: Path, tmp_path: Path) -> None:
    with start("--model", f"{models}/double.yaml", "--drain-delay", "3600", log=tmp_path / "log") as server:
        server.process.terminate()
        until(lambda: httpx.get(f"{server.http}/v2/health/ready").status_code == 503)
        assert httpx.get(f"{server.http}/v2/health/live").status_code == 200
        asked = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [0, 0, 0, 0]}]}
        assert httpx.post(f"{server.http}/v2/models/double/infer", json=asked).status_code == 200
        # Told twice, it does not wait any more.
        server.process.terminate()
        assert server.process.wait(30) == -signal.SIGTERM


def test_it_is_live_before_and_ready_after_its_models_are_loaded(models: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.onnx")  # opens, and gives nothing until someone writes
    description = tmp_path / "model.yaml"
    description.write_text(f"name: late\nfiles: {{fp32: {{path: model.onnx, sha256: {'f' * 64}}}}}\n")
    places = ["--model", str(description), "--model", f"{models}/double.yaml"]
    with start(*places, log=tmp_path / "log", ready=False) as server:
        until(lambda: httpx.get(f"{server.http}/v2/models/double/ready").status_code == 200)
        assert httpx.get(f"{server.http}/v2/health/live").json() == {"live": True}
        assert httpx.get(f"{server.http}/v2/health/ready").status_code == 503
        assert httpx.get(f"{server.http}/v2/models/late/ready").status_code == 503
        refused = httpx.post(f"{server.http}/v2/models/late/infer", content=b"{}")
        assert refused.status_code == 503
        assert "being loaded" in refused.json()["error"]
        assert "retry-after" in refused.headers
        # What comes is not what was to come: the process says so and ends.
        with (tmp_path / "model.onnx").open("wb") as out:
            out.write(b"something else")
        assert server.process.wait(30) == 1
        assert any("has the SHA-256" in line["message"] for line in server.lines())


def test_sigterm_while_a_model_is_fetched_does_not_wait_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.onnx")
    (tmp_path / "model.yaml").write_text(f"name: late\nfiles: {{fp32: {{path: model.onnx, sha256: {'f' * 64}}}}}\n")
    with start("--model", str(tmp_path), log=tmp_path / "log", ready=False) as server:
        until(lambda: httpx.get(f"{server.http}/v2/health/live").status_code == 200)
        server.process.terminate()
        assert server.process.wait(30) == 0


def test_a_full_queue_is_429_and_a_late_answer_504(slow: Path, tmp_path: Path) -> None:
    flags = ["--max-batch", "1", "--max-queue", "2", "--threads", "1"]
    with start("--model", str(slow), *flags, log=tmp_path / "log") as server, ThreadPoolExecutor(32) as clients:
        codes: dict[int, int] = {}
        refused: list[httpx.Response] = []
        for answer in clients.map(lambda n: infer(server, n), range(64)):
            codes[answer.status_code] = codes.get(answer.status_code, 0) + 1
            if answer.status_code == 429:
                refused.append(answer)
        assert set(codes) == {200, 429}
        assert int(refused[0].headers["retry-after"]) >= 1
        assert server.metric("serving_requests_total", model_name="slow", code="429") == codes[429]
        late = infer(server, 1, **{"x-request-timeout-ms": "1"})
        assert late.status_code == 504
        assert "no answer within 1 ms" in late.json()["error"]
        # The same by the protocol's own parameter.
        asked = orjson.loads(body(1))
        asked["parameters"] = {"timeout": 1000}
        assert httpx.post(f"{server.http}/v2/models/slow/infer", json=asked).status_code == 504


def test_a_client_that_goes_away_is_not_run(slow: Path, tmp_path: Path) -> None:
    with start("--model", str(slow), "--max-batch", "1", "--threads", "1", log=tmp_path / "log") as server:

        def count(name: str, **labels: str) -> float:
            return server.metric(name, model_name="slow", **labels)

        head = HEAD % len(body(1))
        gone = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(40)]
        for one in gone:
            one.sendall(head + body(1))
        until(lambda: count("vllm:num_requests_waiting") >= 30)
        for one in gone:
            one.close()
        until(lambda: count("vllm:num_requests_waiting") == 0)
        assert count("serving_requests_total", code="499") >= 20
        assert count("serving_batch_rows_count") < 20


def test_grpc_keeps_deadlines_and_stops_for_those_who_cancel(slow: Path, tmp_path: Path) -> None:
    with start("--model", str(slow), "--max-batch", "1", "--threads", "1", log=tmp_path / "log") as server:
        channel = grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}")
        method = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=pb.ModelInferRequest.SerializeToString,
            response_deserializer=pb.ModelInferResponse.FromString,
        )
        asked = pb.ModelInferRequest(
            model_name="slow",
            inputs=[{"name": "x", "datatype": "FP32", "shape": [1, 1]}],
            raw_input_contents=[np.float32(1).tobytes()],
        )
        with pytest.raises(grpc.RpcError) as late:
            method(asked, timeout=0.001)
        assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        asked.parameters["timeout"].int64_param = 1000
        with pytest.raises(grpc.RpcError) as also:
            method(asked)
        assert also.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "no answer within 1 ms" in (also.value.details() or "")
        del asked.parameters["timeout"]
        calls = [method.future(asked) for _ in range(40)]
        until(lambda: server.metric("vllm:num_requests_waiting", model_name="slow") >= 30)
        for one in calls:
            one.cancel()
        until(lambda: server.metric("vllm:num_requests_waiting", model_name="slow") == 0)
        until(lambda: server.metric("serving_requests_total", model_name="slow", protocol="grpc", code="1") >= 20)
        answered = threading.Event()
        method.future(asked).add_done_callback(lambda _: answered.set())
        server.process.terminate()
        assert answered.wait(30)
        assert server.process.wait(30) == 0


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (["--model", "/nowhere/model.yaml"], 2, "/nowhere/model.yaml: cannot be read"),
        (["--model", "{models}/double.yaml", "--model", "{models}/double.yaml"], 2, "two models are called double"),
        (["--model", "{models}/double.yaml", "--model", "{models}/pair.yaml", "--name", "x"], 2, "flags for one model"),
        (["--model", "{models}/double.yaml", "--max-batch", "0"], 2, "batching.max_batch"),
        (["--model", "{models}/double.yaml", "--max-body-mib", "0"], 2, "--max-body-mib"),
        (["--model", "{models}/double.yaml", "--host", "192.0.2.1"], 2, "cannot listen there"),
        (["--model", "{models}/double.yaml", "--no-such-flag"], 2, "--no-such-flag"),
        (["--model", "/nowhere/model.onnx"], 1, "/nowhere/model.onnx: "),
        (["--model", "{models}/double.yaml", "--device", "tensorrt"], 3, "TensorrtExecutionProvider"),
        (["--model", "hdfs://cluster/model.yaml"], 3, "install the fsspec package"),
        (["--model", "{models}/double.yaml", "--check"], 0, "sound"),
        (["--version"], 0, "0."),
    ],
)
def test_exit_codes_say_whose_turn_it_is(models: Path, flags: list[str], code: int, said: str) -> None:
    asked = command("--port", "0", "--grpc-port", "0", *(flag.replace("{models}", str(models)) for flag in flags))
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    assert said in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_said(server: Running, models: Path) -> None:
    for flags in (["--port", str(server.port)], ["--port", "0", "--grpc-port", str(server.grpc_port)]):
        asked = command("--model", f"{models}/double.yaml", "--host", "127.0.0.1", *flags)
        done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2, done.stderr
        assert "give another port" in done.stderr
