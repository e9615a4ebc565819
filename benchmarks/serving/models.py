"""The models that all servers serve, written once: `models.py FOLDER`, run in a server's environment.

Seeded, so that every machine has the same; nothing is downloaded. Each takes `x` of [rows, …] FP32 and gives `y`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from shapes import SHAPES


class _Graph:
    """Nodes one after the other."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self._random = np.random.default_rng(0)

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def constant(self, value: Any) -> str:
        name = f"c{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def weight(self, *shape: int) -> str:
        return self.constant((self._random.standard_normal(shape) / np.prod(shape[:-1]) ** 0.5).astype(np.float32))

    def mlp(self, x: str, width: int, layers: int) -> str:
        for _ in range(layers):
            x = self.add("Relu", self.add("MatMul", x, self.weight(width, width)))
        return x

    def attention(self, x: str, width: int, heads: int) -> str:
        split = self.constant(np.array([0, 0, heads, width // heads], np.int64))
        joined = self.constant(np.array([0, 0, width], np.int64))
        q, k, v = (
            self.add("Transpose", self.add("Reshape", self.add("MatMul", x, self.weight(width, width)), split), perm=axes)
            for axes in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
        )
        scores = self.add("Mul", self.add("MatMul", q, k), self.constant(np.float32((width // heads) ** -0.5)))
        mixed = self.add("Transpose", self.add("MatMul", self.add("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
        return self.add("MatMul", self.add("Reshape", mixed, joined), self.weight(width, width))

    def norm(self, x: str, width: int) -> str:
        ones, zeros = self.constant(np.ones(width, np.float32)), self.constant(np.zeros(width, np.float32))
        return self.add("LayerNormalization", x, ones, zeros, axis=-1)


def _transformer(graph: _Graph, x: str, width: int = 256, layers: int = 4) -> str:
    for _ in range(layers):
        x = graph.norm(graph.add("Add", x, graph.attention(x, width, 4)), width)
        inner = graph.add("Relu", graph.add("MatMul", x, graph.weight(width, 4 * width)))
        x = graph.norm(graph.add("Add", x, graph.add("MatMul", inner, graph.weight(4 * width, width))), width)
    return graph.add("ReduceMean", x, axes=[1], keepdims=0)


def _convolutional(graph: _Graph, x: str) -> str:
    before = 3
    for channels in (32, 64, 128):
        # Output channels are first here, and last in a matrix: the scale is a little off, and nobody minds.
        weights = graph.weight(channels, before, 3, 3)
        x = graph.add("Relu", graph.add("Conv", x, weights, pads=[1, 1, 1, 1], strides=[2, 2]))
        before = channels
    return graph.add("MatMul", graph.add("Flatten", graph.add("GlobalAveragePool", x)), graph.weight(128, 10))


def write_all(folder: Path) -> None:
    """Each model as `<name>.onnx`."""
    makers = {
        "tiny": lambda graph, x: graph.mlp(x, 64, 2),
        "mlp": lambda graph, x: graph.mlp(x, 1024, 12),
        "transformer": _transformer,
        "convolutional": _convolutional,
    }
    for name, make in makers.items():
        graph = _Graph()
        last = make(graph, "x")
        graph.nodes.append(helper.make_node("Identity", [last], ["y"]))
        wide = {"tiny": 64, "mlp": 1024, "transformer": 256, "convolutional": 10}[name]
        model = helper.make_model(
            helper.make_graph(
                graph.nodes,
                name,
                [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", *SHAPES[name]])],
                [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", wide])],
                graph.weights,
            ),
            opset_imports=[helper.make_opsetid("", 17)],
            ir_version=8,
        )
        onnx.checker.check_model(model)
        onnx.save(model, folder / f"{name}.onnx")


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
