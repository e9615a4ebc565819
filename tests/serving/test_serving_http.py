"""The HTTP side as clients see it: tritonclient unchanged, every malformed request answered with a 4xx and a reason."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import psutil
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from tests.serving.running import Running, start

X = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}


def infer(server: Running, model: str, body: object, headers: dict[str, str] | None = None) -> httpx.Response:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return httpx.post(f"{server.http}/v2/models/{model}/infer", content=content, headers=headers or {})


@pytest.fixture
def client(server: Running) -> triton.InferenceServerClient:
    return triton.InferenceServerClient(f"127.0.0.1:{server.port}")


def tensor(name: str, array: Any, datatype: str, binary: bool) -> triton.InferInput:
    made = triton.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


def test_triton_reads_health_and_metadata(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("double")
    assert client.is_model_ready("double", "1")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    assert client.get_model_metadata("pair") == {
        "name": "pair",
        "versions": ["1"],
        "platform": "onnx_onnxv1",
        "inputs": [
            {"name": "a", "datatype": "INT64", "shape": [-1, -1]},
            {"name": "t", "datatype": "BYTES", "shape": [-1, 1]},
        ],
        "outputs": [
            {"name": "b", "datatype": "FP64", "shape": [-1, -1]},
            {"name": "u", "datatype": "BYTES", "shape": [-1, 1]},
        ],
    }


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_triton_infers_in_json_and_bytes(client: triton.InferenceServerClient, binary_in: bool, binary_out: bool) -> None:
    a = np.arange(6, dtype=np.int64).reshape(2, 3)
    t = np.array([["häh"], [""]], dtype=object)
    # Another order than the model's, and one output twice removed from its place.
    inputs = [tensor("t", t, "BYTES", binary_in), tensor("a", a, "INT64", binary_in)]
    outputs = [triton.InferRequestedOutput(name, binary_data=binary_out) for name in ("u", "b")]
    answer = client.infer("pair", inputs, outputs=outputs, request_id="r-1", timeout=5_000_000)
    assert (answer.as_numpy("b") == a).all()
    assert answer.as_numpy("b").dtype == np.float64
    said = [one.decode() if isinstance(one, bytes) else one for one in answer.as_numpy("u").ravel()]
    assert said == ["häh", ""]
    assert answer.get_response()["id"] == "r-1"
    assert [one["name"] for one in answer.get_response()["outputs"]] == ["u", "b"]


@pytest.mark.parametrize("binary", [True, False])
def test_half_floats_and_booleans(client: triton.InferenceServerClient, binary: bool) -> None:
    x = np.array([[1.5, -2]], np.float16)
    outputs = [triton.InferRequestedOutput("y", binary_data=binary)]
    half = client.infer("fixed", [tensor("x", x, "FP16", True)], outputs=outputs)
    assert half.as_numpy("y").tolist() == [[-1.5, 2]]
    flags = client.infer("flags", [tensor("x", np.array([[True, False]]), "BOOL", binary)], outputs=outputs)
    assert flags.as_numpy("y").tolist() == [[False, True]]


def test_all_outputs_as_bytes_by_one_parameter(server: Running) -> None:
    answer = infer(server, "double", {"inputs": [X], "parameters": {"binary_data_output": True}})
    length = int(answer.headers["inference-header-content-length"])
    assert orjson.loads(answer.content[:length])["outputs"][0]["parameters"] == {"binary_data_size": 16}
    assert np.frombuffer(answer.content[length:], np.float32).tolist() == [3, 5, 7, 9]


def test_a_version_in_the_path_and_a_nested_list(server: Running) -> None:
    nested = {**X, "shape": [2, 4], "data": [[1, 2, 3, 4], [5, 6, 7, 8]]}
    answer = httpx.post(f"{server.http}/v2/models/double/versions/1/infer", json={"inputs": [nested]})
    assert answer.json()["outputs"] == [
        {"name": "y", "datatype": "FP32", "shape": [2, 4], "data": [3, 5, 7, 9, 11, 13, 15, 17]}
    ]


def with_input(**changes: object) -> dict[str, object]:
    return {"inputs": [{**X, **changes}]}


HEAD = orjson.dumps(with_input(data=None, parameters={"binary_data_size": 16}))
BINARY = {"inference-header-content-length": str(len(HEAD))}
MALFORMED: dict[str, tuple[object, dict[str, str], str]] = {
    "empty": (b"", {}, "no JSON"),
    "no JSON": (b"{", {}, "no JSON"),
    "no UTF-8": (b'{"inputs": "\xff"}', {}, "no JSON"),
    "NaN": (b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [NaN, 1, 2, 3]}]}', {}, "no JSON"),
    "infinity by exponent": (
        b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1e999, 1, 2, 3]}]}',
        {},
        "",
    ),
    "deep": (b"[" * 100_000, {}, "no JSON"),
    "deep and closed": (b'{"inputs": ' + b"[" * 2000 + b"]" * 2000 + b"}", {}, "no JSON"),
    "deep data": (with_input(data=eval("[" * 50 + "]" * 50)), {}, "input 'x'"),
    "a list": ([], {}, "no JSON object"),
    "no inputs": ({}, {}, "inputs is a list"),
    "inputs by name": ({"inputs": {"x": X}}, {}, "inputs is a list"),
    "an input of text": ({"inputs": ["x"]}, {}, "inputs[0] is no object"),
    "none of the inputs": ({"inputs": []}, {}, "input x is missing"),
    "twice": ({"inputs": [X, X]}, {}, "given twice"),
    "unknown input": (with_input(name="z"), {}, "the model has x"),
    "a name of no text": (with_input(name=["x"]), {}, "the model has x"),
    "another datatype": (with_input(datatype="INT32"), {}, "the model takes FP32"),
    "no datatype": (with_input(datatype="FP33"), {}, "the model takes FP32"),
    "another shape": (with_input(shape=[1, 3]), {}, "the model takes [-1, 4]"),
    "huge": (with_input(shape=[2**40, 4]), {}, "elements were given"),
    "negative": (with_input(shape=[-1, 4]), {}, "from 1"),
    "no rows": (with_input(shape=[0, 4], data=[]), {}, "from 1"),
    "too many rows": (with_input(shape=[33, 4], data=[1.0] * 132), {}, "one request may have 32"),
    "too few": (with_input(data=[1, 2]), {}, "2 elements were given"),
    "no data": (with_input(data=None), {}, "data is a list"),
    "true for a number": (with_input(data=[1.5, True, 2, 3]), {}, "no FP32"),
    "false for a number": (with_input(data=[1.5, 2, 3, False]), {}, "no FP32"),
    "true after many e's": (with_input(data=[1.5, 2, 3, True]) | {"id": "e" * 100}, {}, "no FP32"),
    "text for numbers": (with_input(data=["1", "2", "3", "4"]), {}, "no FP32"),
    "id": ({"inputs": [X], "id": 1}, {}, "id is a text"),
    "parameters": ({"inputs": [X], "parameters": []}, {}, "parameters is no object"),
    "timeout of text": ({"inputs": [X], "parameters": {"timeout": "1"}}, {}, "microseconds"),
    "timeout below": ({"inputs": [X], "parameters": {"timeout": -1}}, {}, "microseconds"),
    "timeout header": ({"inputs": [X]}, {"x-request-timeout-ms": "soon"}, "x-request-timeout-ms"),
    "timeout header of nothing": ({"inputs": [X]}, {"x-request-timeout-ms": "0"}, "above 0"),
    "outputs": ({"inputs": [X], "outputs": "y"}, {}, "outputs is a list"),
    "unknown output": ({"inputs": [X], "outputs": [{"name": "z"}]}, {}, "the model has y"),
    "more outputs than there are": ({"inputs": [X], "outputs": [{"name": "y"}] * 1000}, {}, "at most 1"),
    "classes": ({"inputs": [X], "outputs": [{"name": "y", "parameters": {"classification": 2}}]}, {}, "not supported"),
    "shared memory": (with_input(parameters={"shared_memory_region": "r"}), {}, "not supported"),
    "JSON longer than the body": (HEAD, {"inference-header-content-length": "99999"}, "and the body has"),
    "JSON of negative length": (HEAD, {"inference-header-content-length": "-5"}, "and the body has"),
    "JSON of no length": (HEAD, {"inference-header-content-length": "x"}, "whole number"),
    "JSON of a vast length": (HEAD, {"inference-header-content-length": "9" * 5000}, "whole number"),
    "bytes missing": (HEAD + bytes(12), BINARY, "binary_data_size 16, and 12 bytes are left"),
    "bytes left": (HEAD + bytes(20), BINARY, "4 bytes follow"),
    "bytes and no header": (HEAD + bytes(16), {}, "no JSON"),
    "NaN in bytes": (HEAD + np.array([np.nan] * 4, np.float32).tobytes(), BINARY, "NaN or infinity"),
    "infinity in bytes": (HEAD + np.array([np.inf] * 4, np.float32).tobytes(), BINARY, "NaN or infinity"),
    "bytes for another shape": (
        orjson.dumps(with_input(data=None, parameters={"binary_data_size": 15})) + bytes(15),
        BINARY,
        "15 bytes were given",
    ),
    "size of text": (with_input(parameters={"binary_data_size": "16"}), {}, "binary_data_size '16'"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_request_gets_400_and_a_reason(server: Running, case: str) -> None:
    body, headers, said = MALFORMED[case]
    answer = infer(server, "double", body, headers)
    assert answer.status_code == 400, answer.text
    assert said in answer.json()["error"]
    assert len(answer.content) < 1000, "a client's data is not sent back"
    # It costs nobody else anything.
    assert infer(server, "double", {"inputs": [X]}).status_code == 200


def test_malformed_requests_leave_no_memory_behind(server: Running) -> None:
    process = psutil.Process(server.process.pid)

    def round_of_all() -> int:
        for body, headers, _ in MALFORMED.values():
            infer(server, "double", body, headers)
        return process.memory_info().rss

    round_of_all()
    settled = round_of_all()
    grown = max(round_of_all() for _ in range(5)) - settled
    assert grown < 4 << 20, f"{grown:,} bytes after 5 rounds"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nobody", "no model 'nobody'"),
        ("double/versions/2", "has version 1"),
        ("..%2F..%2Fetc", "Not Found"),
        ("n" * 3000, "no model"),
    ],
)
def test_an_unknown_model_or_version_is_404(server: Running, path: str, said: str) -> None:
    for answer in (
        httpx.post(f"{server.http}/v2/models/{path}/infer", json={"inputs": [X]}),
        httpx.get(f"{server.http}/v2/models/{path}"),
        httpx.get(f"{server.http}/v2/models/{path}/ready"),
    ):
        assert answer.status_code == 404
        assert len(answer.content) < 500
    assert said in httpx.post(f"{server.http}/v2/models/{path}/infer", json={}).json()["error"]


def test_triton_sees_the_reason(client: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="the model takes FP32"):
        client.infer("double", [tensor("x", np.zeros((1, 4), np.int64), "INT64", True)])


def test_an_index_past_a_table_is_the_clients_fault(server: Running) -> None:
    asked = {"inputs": [{"name": "i", "datatype": "INT64", "shape": [1], "data": [7]}]}
    answer = infer(server, "table", asked)
    assert answer.status_code == 400
    assert "cannot work with these inputs" in answer.json()["error"]
    asked["inputs"][0]["data"] = [2]
    assert infer(server, "table", asked).json()["outputs"][0]["data"] == [30]


def test_an_answer_that_json_cannot_carry_is_refused_and_comes_as_bytes(server: Running) -> None:
    asked: dict[str, Any] = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [0]}]}
    answer = infer(server, "inverse", asked)
    assert answer.status_code == 400
    assert "binary_data: true" in answer.json()["error"]
    asked["parameters"] = {"binary_data_output": True}
    assert infer(server, "inverse", asked).content[-4:] == np.float32(np.inf).tobytes()


def test_a_body_above_the_limit_is_refused_before_it_is_read(server: Running) -> None:
    def chunks() -> Any:
        for _ in range(64):
            yield b" " * 65_536

    url = f"{server.http}/v2/models/double/infer"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as one:
        # Only its length is sent: the answer comes all the same.
        one.sendall(b"POST /v2/models/double/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n")
        # To its end, which may come in several parts: the server closes.
        with one.makefile("rb") as said:
            answer = said.read()
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"--max-body-mib" in answer
    assert httpx.post(url, content=chunks()).status_code == 413
    assert httpx.post(url, json={"inputs": [X]}).status_code == 200


def test_a_body_in_chunks_is_read_whole(server: Running) -> None:
    body = orjson.dumps({"inputs": [X]})
    answer = httpx.post(f"{server.http}/v2/models/double/infer", content=iter([body[:20], body[20:]]))
    assert answer.json()["outputs"][0]["data"] == [3, 5, 7, 9]


def test_a_compressed_body_is_refused(server: Running) -> None:
    assert infer(server, "double", {"inputs": [X]}, {"content-encoding": "gzip"}).status_code == 415


def test_nan_is_taken_where_the_model_says_so(models: Path, tmp_path: Path) -> None:
    description = tmp_path / "model.yaml"
    description.write_text(f"name: double\nallow_non_finite: true\nfiles: {{fp32: {{path: {models}/double.onnx}}}}\n")
    with start("--model", str(description), log=tmp_path / "log") as server:
        body = HEAD + np.array([np.nan, 1, 1, 1], np.float32).tobytes()
        answer = infer(server, "double", body, {**BINARY, "x": "y"})
        assert answer.status_code == 400, "JSON cannot carry it"
        assert "binary_data: true" in answer.json()["error"]


def test_metrics_have_vllms_names_and_count_what_was_asked(server: Running) -> None:
    def count(name: str, **labels: str) -> float:
        return server.metric(name, **{"model_name": "double", **labels})

    before = {code: count("serving_requests_total", code=code, protocol="http") for code in ("200", "400")}
    latencies = count("vllm:e2e_request_latency_seconds_count")
    rows = count("serving_batch_rows_sum")
    infer(server, "double", with_input(shape=[3, 4], data=[1.0] * 12))
    infer(server, "double", with_input(shape=[3, 3]))
    assert count("serving_requests_total", code="200", protocol="http") == before["200"] + 1
    assert count("serving_requests_total", code="400", protocol="http") == before["400"] + 1
    assert count("vllm:e2e_request_latency_seconds_count") == latencies + 2
    assert count("serving_batch_rows_sum") == rows + 3
    assert count("serving_queue_limit") == 256
    text = httpx.get(f"{server.http}/metrics").text
    for gauge in ("vllm:num_requests_waiting", "vllm:num_requests_running"):
        assert f'{gauge}{{model_name="double"}} 0.0' in text
    assert "vllm:request_queue_time_seconds_bucket" in text
    assert "vllm:request_inference_time_seconds_bucket" in text


def test_an_unknown_models_name_makes_no_label(server: Running) -> None:
    infer(server, "made-up-by-a-client", {})
    text = httpx.get(f"{server.http}/metrics").text
    assert "made-up-by-a-client" not in text
    assert server.metric("serving_requests_total", code="404", protocol="http") >= 1
