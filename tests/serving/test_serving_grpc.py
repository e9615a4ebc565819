"""The gRPC side as clients see it: tritonclient unchanged, typed contents, codes, and bytes that are no message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from serving.proto import generate
from serving.proto import open_inference_pb2 as pb
from tests.serving.running import Running


@pytest.fixture
def client(server: Running) -> triton.InferenceServerClient:
    return triton.InferenceServerClient(f"127.0.0.1:{server.grpc_port}")


Call = Callable[[Any], Any]


@pytest.fixture
def infer(server: Running) -> Call:
    """ModelInfer with a message, or with bytes."""
    channel = grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}", options=[("grpc.max_send_message_length", -1)])
    method = channel.unary_unary(
        "/inference.GRPCInferenceService/ModelInfer",
        request_serializer=lambda asked: asked if isinstance(asked, bytes) else asked.SerializeToString(),
        response_deserializer=pb.ModelInferResponse.FromString,
    )
    return lambda asked: method(asked, timeout=20)


def tensor(name: str, array: Any, datatype: str) -> triton.InferInput:
    made = triton.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array)
    return made


def request(**changes: Any) -> pb.ModelInferRequest:
    one = {"name": "x", "datatype": "FP32", "shape": [1, 4], "contents": {"fp32_contents": [1, 2, 3, 4]}}
    return pb.ModelInferRequest(**{"model_name": "double", "inputs": [one], **changes})


def x(**changes: Any) -> dict[str, Any]:
    return {"name": "x", "datatype": "FP32", "shape": [1, 4], **changes}


def test_triton_reads_health_and_metadata(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("double")
    assert client.get_server_metadata().extensions == ["binary_tensor_data"]
    found = client.get_model_metadata("pair", as_json=True)
    assert found["platform"] == "onnx_onnxv1"
    assert found["inputs"][0] == {"name": "a", "datatype": "INT64", "shape": ["-1", "-1"]}


def test_triton_infers(client: triton.InferenceServerClient) -> None:
    a = np.arange(6, dtype=np.int64).reshape(2, 3)
    t = np.array([["häh".encode()], [b""]], dtype=object)
    outputs = [triton.InferRequestedOutput(name) for name in ("u", "b")]
    inputs = [tensor("t", t, "BYTES"), tensor("a", a, "INT64")]
    answer = client.infer("pair", inputs, outputs=outputs, request_id="r-1", client_timeout=20)
    assert (answer.as_numpy("b") == a).all()
    assert [bytes(one) for one in answer.as_numpy("u").ravel()] == ["häh".encode(), b""]
    assert answer.get_response().id == "r-1"
    half = client.infer("fixed", [tensor("x", np.array([[1.5, -2]], np.float16), "FP16")])
    assert half.as_numpy("y").tolist() == [[-1.5, 2]]


def test_typed_contents_are_answered_with_typed_contents(infer: Call) -> None:
    answer = infer(request())
    assert list(answer.outputs[0].contents.fp32_contents) == [3, 5, 7, 9]
    assert not answer.raw_output_contents
    texts = infer(
        pb.ModelInferRequest(
            model_name="pair",
            inputs=[
                {"name": "a", "datatype": "INT64", "shape": [1, 1], "contents": {"int64_contents": [-5]}},
                {"name": "t", "datatype": "BYTES", "shape": [1, 1], "contents": {"bytes_contents": [b"hi"]}},
            ],
            outputs=[{"name": "u"}],
        )
    )
    assert [list(one.contents.bytes_contents) for one in texts.outputs] == [[b"hi"]]


RAW = np.arange(4, dtype=np.float32).tobytes()
MALFORMED: dict[str, tuple[pb.ModelInferRequest | bytes, str]] = {
    "no message": (b"\xff\xff\xff\xff", "the message is no inference.ModelInferRequest"),
    "truncated": (request().SerializeToString()[:-3], "the message is no inference.ModelInferRequest"),
    "wrong wire type": (b"\x2d\x00\x00\x00\x01" + b"\x0b", "the message is no"),
    "no inputs": (request(inputs=[]), "input x is missing"),
    "unknown input": (request(inputs=[x(name="z")]), "the model has x"),
    "twice": (request(inputs=[x(contents={"fp32_contents": [1] * 4})] * 2), "given twice"),
    "another datatype": (request(inputs=[x(datatype="INT64")]), "the model takes FP32"),
    "another shape": (request(inputs=[x(shape=[4])]), "the model takes [-1, 4]"),
    "huge": (request(inputs=[x(shape=[2**62, 4])], raw_input_contents=[RAW]), "more than memory holds"),
    "negative": (request(inputs=[x(shape=[-1, 4])], raw_input_contents=[RAW]), "from 1"),
    "too few": (request(inputs=[x(contents={"fp32_contents": [1]})]), "1 elements were given"),
    "no contents": (request(inputs=[x()]), "0 elements were given"),
    "others' contents": (request(inputs=[x(contents={"int64_contents": [1] * 4})]), "int64_contents was given"),
    "raw of another length": (request(inputs=[x()], raw_input_contents=[RAW[:-1]]), "15 bytes were given"),
    "raw for nothing": (request(inputs=[x()], raw_input_contents=[RAW, RAW]), "2 raw_input_contents"),
    "raw and typed": (request(raw_input_contents=[RAW]), "one of them"),
    "NaN": (request(inputs=[x(contents={"fp32_contents": [float("nan")] * 4})]), "NaN or infinity"),
    "unknown output": (request(outputs=[{"name": "z"}]), "the model has y"),
    "classes": (request(outputs=[{"name": "y", "parameters": {"classification": {"int64_param": 1}}}]), "not supported"),
    "shared memory": (request(inputs=[x(parameters={"shared_memory_region": {"string_param": "r"}})]), "not supported"),
    "timeout": (request(parameters={"timeout": {"string_param": "1"}}), "microseconds"),
    "timeout of nothing": (request(parameters={"timeout": {}}), "microseconds"),
    "half floats typed": (
        pb.ModelInferRequest(model_name="fixed", inputs=[x(datatype="FP16", shape=[1, 2])]),
        "use raw_input_contents",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_request_is_an_invalid_argument(infer: Call, case: str) -> None:
    asked, said = MALFORMED[case]
    with pytest.raises(grpc.RpcError) as found:
        infer(asked)
    assert found.value.code() is grpc.StatusCode.INVALID_ARGUMENT, found.value
    assert said in found.value.details()
    assert infer(request()).outputs


@pytest.mark.parametrize("changes", [{"model_name": "nobody"}, {"model_version": "2"}])
def test_an_unknown_model_or_version_is_not_found(infer: Call, changes: dict[str, str]) -> None:
    with pytest.raises(grpc.RpcError) as found:
        infer(request(**changes))
    assert found.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_message_above_the_limit_is_refused(infer: Call) -> None:
    with pytest.raises(grpc.RpcError) as found:
        infer(request(id="x" * (2 << 20)))
    assert found.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert infer(request()).outputs


def test_triton_sees_code_and_reason(client: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="the model takes FP32") as found:
        client.infer("double", [tensor("x", np.zeros((1, 4), np.int64), "INT64")])
    assert found.value.status() == "StatusCode.INVALID_ARGUMENT"


def test_answers_are_counted_by_code(server: Running, infer: Call) -> None:
    def count(code: str) -> float:
        return server.metric("serving_requests_total", model_name="double", protocol="grpc", code=code)

    before = count("0"), count("3")
    infer(request())
    with pytest.raises(grpc.RpcError):
        infer(request(inputs=[]))
    assert (count("0"), count("3")) == (before[0] + 1, before[1] + 1)


def test_the_stubs_are_what_the_proto_says() -> None:
    stale = [name for name, text in generate.made().items() if (generate.HERE / name).read_text() != text]
    assert stale == [], "python -m serving.proto.generate"
