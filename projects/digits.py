"""What the optimisation projects work on: the 1,797 handwritten digits that scikit-learn carries, and a small network.

Owns the data's split, the network, its training in JAX, and its ONNX file. Real data, since what quantization, pruning
and halves cost shows on real data alone. Source: https://archive.ics.uci.edu/dataset/80 (Alpaydin, Kaynak 1998).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

Array = Any  # numpy's or JAX's
Params = list[tuple[Array, Array]]
Loss = Callable[[Params, Array, Array], Array]
CLASSES = 10
PIXELS = 64


@dataclass(frozen=True)
class Data:
    """Images as rows of 64 numbers from 0 to 1, and which digit each is."""

    train_x: Array
    train_y: Array
    test_x: Array
    test_y: Array


@cache
def data() -> Data:
    """The data, always split alike: 1,347 to train, 450 to test."""
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    x, y = digits.data[order].astype(np.float32) / 16, digits.target[order].astype(np.int32)
    # JAX's own arrays: a step is traced with row numbers that are not known yet.
    return Data(jnp.asarray(x[:-450]), jnp.asarray(y[:-450]), x[-450:], y[-450:])


def init(widths: tuple[int, ...], seed: int = 0) -> Params:
    """Layers 64 → widths… → 10, He's initialisation."""
    sizes = (PIXELS, *widths, CLASSES)
    keys = jax.random.split(jax.random.key(seed), len(sizes) - 1)
    return [
        (jax.random.normal(key, (a, b)) * np.sqrt(2 / a).astype(np.float32), jnp.zeros(b))
        for key, a, b in zip(keys, sizes, sizes[1:], strict=False)
    ]


def forward(params: Params, x: Array) -> Array:
    """Logits."""
    for w, b in params[:-1]:
        x = jax.nn.relu(x @ w + b)
    w, b = params[-1]
    return x @ w + b


def cross_entropy(params: Params, x: Array, y: Array) -> Array:
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(forward(params, x)), y[:, None], axis=1))


def train(
    params: Params,
    epochs: int,
    *,
    loss: Loss = cross_entropy,
    targets: Array = None,
    masks: list[Array] | None = None,
    rate: float = 0.05,
    seed: int = 0,
) -> Params:
    """Train by momentum, in batches of 64.

    Args:
        loss: of the network, images and their targets.
        targets: what `loss` is given for each training image; its digit where it is left out.
        masks: ones and zeros for each weight matrix; a weight under a zero becomes zero and stays so.
    """
    made = data()
    y = made.train_y if targets is None else targets
    kept = masks if masks is not None else [jnp.ones_like(w) for w, _ in params]

    def step(state: tuple[Params, Params], rows: Array) -> tuple[tuple[Params, Params], None]:
        params, speed = state
        grads = jax.grad(loss)(params, made.train_x[rows], y[rows])
        speed = jax.tree.map(lambda v, g: 0.9 * v + g, speed, grads)
        params = jax.tree.map(lambda p, v: p - rate * v, params, speed)
        return ([(w * mask, b) for (w, b), mask in zip(params, kept, strict=True)], speed), None

    # One program for all steps: at this size Python between the steps would take most of the time.
    run = jax.jit(lambda state, rows: jax.lax.scan(step, state, rows)[0])
    trained: Params = run((params, jax.tree.map(jnp.zeros_like, params)), batches(epochs, seed))[0]
    return trained


def batches(epochs: int, seed: int = 0, size: int = 64) -> Array:
    """Row numbers of each batch of the training images, shuffled each epoch; what fills no batch is left out."""
    random, of = np.random.default_rng(seed), len(data().train_y)
    return np.concatenate([random.permutation(of)[: of // size * size].reshape(-1, size) for _ in range(epochs)])


def accuracy(logits: Array, y: Array) -> float:
    """The part of images whose digit is told."""
    return float(np.mean(np.argmax(np.asarray(logits, np.float32), axis=1) == y))


def count(params: Params) -> int:
    return sum(int(np.size(w)) + int(np.size(b)) for w, b in params)


def write_onnx(params: Params, path: Path) -> Path:
    """The network as an ONNX file, rows left open."""
    nodes, constants, x = [], [], "x"
    for n, (w, b) in enumerate(params):
        constants += [numpy_helper.from_array(np.asarray(w), f"w{n}"), numpy_helper.from_array(np.asarray(b), f"b{n}")]
        last = n == len(params) - 1
        # MatMul and Add, and no Gemm: the form that every quantizer and importer here reads.
        nodes += [
            helper.make_node("MatMul", [x, f"w{n}"], [f"m{n}"]),
            helper.make_node("Add", [f"m{n}", f"b{n}"], ["y" if last else f"a{n}"]),
        ]
        if not last:
            nodes.append(helper.make_node("Relu", [f"a{n}"], [f"r{n}"]))
            x = f"r{n}"
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", PIXELS])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", CLASSES])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
