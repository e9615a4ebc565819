"""Asks a served model by tritonclient, over HTTP and gRPC, and runs the same file directly; in the model server's environment.

Prints the largest difference of each protocol's answers from the direct ones: MODEL.onnx NAME HTTP GRPC ROWS.
"""

from __future__ import annotations

import json
import sys
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime
import tritonclient.grpc
import tritonclient.http

TYPES = {"tensor(float)": ("FP32", np.float32), "tensor(int32)": ("INT32", np.int32)}


def ask(
    client: Any, kinds: ModuleType, name: str, inputs: dict[str, Any], types: dict[str, str], outputs: list[str]
) -> list[Any]:
    asked = []
    for key, array in inputs.items():
        tensor = kinds.InferInput(key, list(array.shape), types[key])
        tensor.set_data_from_numpy(array)
        asked.append(tensor)
    answer = client.infer(name, asked)
    return [answer.as_numpy(output) for output in outputs]


def main(file: str, name: str, http: str, grpc: str, rows: str) -> None:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    chance = np.random.default_rng(7)
    inputs, types = {}, {}
    for tensor in session.get_inputs():
        # The sizes that these models leave open: rows, and the height and width of a line of text.
        shape = [int(rows), *(size if isinstance(size, int) else 48 for size in tensor.shape[1:])]
        types[tensor.name], kind = TYPES[tensor.type]
        inputs[tensor.name] = chance.integers(0, 255, shape).astype(kind)
    outputs = [tensor.name for tensor in session.get_outputs()]
    direct = session.run(outputs, inputs)
    over = {
        "http": ask(tritonclient.http.InferenceServerClient(http), tritonclient.http, name, inputs, types, outputs),
        "grpc": ask(tritonclient.grpc.InferenceServerClient(grpc), tritonclient.grpc, name, inputs, types, outputs),
    }
    assert all(len(answers) == len(direct) for answers in over.values())
    differ = {
        how: max(float(np.abs(a - d).max()) for a, d in zip(answers, direct, strict=True)) for how, answers in over.items()
    }
    print(json.dumps(differ))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
