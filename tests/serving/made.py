"""Tiny ONNX models, one for each thing a server can get wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# name: nodes, inputs, outputs; shapes as ONNX has them, a text for an open size.
_MODELS = {
    # y = 2x + 1, so that every answer tells which request it belongs to.
    "double": (
        [helper.make_node("Mul", ["x", "two"], ["m"]), helper.make_node("Add", ["m", "one"], ["y"])],
        [("x", TensorProto.FLOAT, ["rows", 4])],
        [("y", TensorProto.FLOAT, ["rows", 4])],
        {"two": np.float32(2), "one": np.float32(1)},
    ),
    # Two inputs and outputs of other types, and an open second size.
    "pair": (
        [helper.make_node("Cast", ["a"], ["b"], to=TensorProto.DOUBLE), helper.make_node("Identity", ["t"], ["u"])],
        [("a", TensorProto.INT64, ["rows", "width"]), ("t", TensorProto.STRING, ["rows", 1])],
        [("b", TensorProto.DOUBLE, ["rows", "width"]), ("u", TensorProto.STRING, ["rows", 1])],
        {},
    ),
    # A table of three rows: an index past its end is a fault only the model finds.
    "table": (
        [helper.make_node("Gather", ["rows", "i"], ["v"])],
        [("i", TensorProto.INT64, ["n"])],
        [("v", TensorProto.FLOAT, ["n"])],
        {"rows": np.array([10, 20, 30], np.float32)},
    ),
    # Nothing open: runs as it is, never put together.
    "fixed": (
        [helper.make_node("Neg", ["x"], ["y"])],
        [("x", TensorProto.FLOAT16, [1, 2])],
        [("y", TensorProto.FLOAT16, [1, 2])],
        {},
    ),
    # 1/x: makes infinity of a zero.
    "inverse": (
        [helper.make_node("Reciprocal", ["x"], ["y"])],
        [("x", TensorProto.FLOAT, ["rows"])],
        [("y", TensorProto.FLOAT, ["rows"])],
        {},
    ),
    "flags": (
        [helper.make_node("Not", ["x"], ["y"])],
        [("x", TensorProto.BOOL, ["rows", 2])],
        [("y", TensorProto.BOOL, ["rows", 2])],
        {},
    ),
}


def write_all(folder: Path) -> None:
    """Every model, with a model.yaml of its name."""
    for name in _MODELS:
        write(name, folder)
        (folder / f"{name}.yaml").write_text(f"name: {name}\nfiles: {{fp32: {{path: {name}.onnx}}}}\nthreads: 1\n")


def write(name: str, folder: Path) -> Path:
    """One model's file."""
    nodes, inputs, outputs, constants = _MODELS[name]
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(*one) for one in inputs],
        [helper.make_tensor_value_info(*one) for one in outputs],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()],
    )
    # Opset and IR that every runtime since 2022 reads.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, folder / f"{name}.onnx")
    return folder / f"{name}.onnx"


def slow(folder: Path, size: int = 700, steps: int = 12) -> Path:
    """A model whose run takes tens of milliseconds at least, for what happens meanwhile: y = x through `steps` products."""
    nodes = []
    for n in range(steps):
        nodes.append(helper.make_node("MatMul", [f"s{n}" if n else "square", "unit"], [f"s{n + 1}"]))
    nodes += [
        helper.make_node("ReduceSum", [f"s{steps}"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "nought"], ["zero"]),
        helper.make_node("Add", ["x", "zero"], ["y"]),
    ]
    unit = np.eye(size, dtype=np.float32)
    graph = helper.make_graph(
        [
            # Made of the input, or the runtime would work it out at load.
            helper.make_node("ReduceMean", ["x"], ["mean"], keepdims=0),
            helper.make_node("Mul", ["unit", "mean"], ["square"]),
            *nodes,
        ],
        "slow",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 1])],
        [numpy_helper.from_array(unit, "unit"), numpy_helper.from_array(np.float32(0), "nought")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "slow.onnx")
    return folder / "slow.onnx"
