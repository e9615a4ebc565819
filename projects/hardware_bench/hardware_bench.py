# ---
# jupyter:
#   jupytext:
#     formats: py:percent,ipynb
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # One benchmark for CPU, GPU and TPU
#
# The same two pieces of work on every backend that is here: a matrix product, which says what the arithmetic can do, and the
# network of digits at batch 1 and 256, which says what a request feels. Backends are those of JAX (cpu, cuda, tpu) and the
# execution providers of ONNX Runtime. One that is not here has a row without figures that says what it needs.
#
# Results of several machines go together by `--json`: each row names its device.

# %%
import platform
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import onnxruntime as ort

from projects import digits
from projects.measure import milliseconds, ready
from projects.table import Cell, Table, show, small

Array = Any
Work = Callable[[], object]


class AbsentError(Exception):
    """The backend is not here; the text says what it needs."""


@dataclass(frozen=True)
class Backend:
    """One piece of hardware through one library, ready to run.

    Attributes:
        product: multiplies two square matrices in the type that is named; one entry a type.
        answer: runs the network on so many rows.
    """

    device: str
    product: dict[str, Work]
    answer: Callable[[int], Work]


# %% [markdown]
# ## JAX


# %%
JAX_NEEDS = {"cpu": "", "cuda": "pip install 'jax[cuda13]', an NVIDIA GPU", "tpu": "pip install 'jax[tpu]', a Cloud TPU VM"}


def with_jax(name: str, size: int, params: digits.Params) -> Backend:
    try:
        device = jax.devices(name)[0]
    except RuntimeError:
        raise AbsentError(JAX_NEEDS[name]) from None
    placed = jax.device_put(params, device)
    multiply, forward = jax.jit(jnp.matmul), jax.jit(digits.forward)

    def product(dtype: Any) -> Work:
        one = jax.device_put(jnp.ones((size, size), dtype), device)
        return lambda: ready(multiply(one, one))

    def answer(rows: int) -> Work:
        # The rows start on the host, and the answer ends there: a request does, too.
        x = np.asarray(digits.data().test_x[:rows])
        return lambda: np.asarray(forward(placed, jax.device_put(x, device)))

    kind = _cpu() if name == "cpu" else str(device.device_kind)
    return Backend(kind, {"fp32": product(jnp.float32), "bf16": product(jnp.bfloat16)}, answer)


def _cpu() -> str:
    """The CPU by its name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), platform.machine())


# %% [markdown]
# ## ONNX Runtime

# %%
ORT_NEEDS = {
    "CPUExecutionProvider": "",
    "CUDAExecutionProvider": "pip install onnxruntime-gpu, an NVIDIA GPU",
    "TensorrtExecutionProvider": "pip install onnxruntime-gpu, TensorRT, an NVIDIA GPU",
    "OpenVINOExecutionProvider": "pip install onnxruntime-openvino, an Intel CPU, GPU or NPU",
    "ROCMExecutionProvider": "onnxruntime-rocm, an AMD GPU",
    "CoreMLExecutionProvider": "onnxruntime on a Mac",
}


def with_ort(provider: str, model: Path) -> Backend:
    if provider not in ort.get_available_providers():
        raise AbsentError(ORT_NEEDS[provider])
    session = ort.InferenceSession(str(model), providers=[provider])
    if session.get_providers()[0] != provider:
        raise AbsentError(ORT_NEEDS[provider])  # built in, and did not start: the CPU would answer in its name

    def answer(rows: int) -> Work:
        x = digits.data().test_x[:rows]
        return lambda: session.run(None, {"x": x})

    # A product alone is no model that anybody exports: JAX's rows have it.
    return Backend(_cpu() if provider == "CPUExecutionProvider" else provider, {}, answer)


# %% [markdown]
# ## The harness

# %%
COLUMNS = ("backend", "device", "GFLOP/s fp32", "GFLOP/s bf16", "ms 1 row", "ms 256 rows", "rows/s", "needs")


def run() -> Table:
    size, width, rounds = (256, 128, 5) if small() else (1024, 512, 20)
    params = digits.init((width, width))
    backends: dict[str, Backend] = {}
    absent: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        model = digits.write_onnx(params, Path(folder) / "digits.onnx")
        makers: dict[str, Callable[[], Backend]] = {f"jax {name}": partial(with_jax, name, size, params) for name in JAX_NEEDS}
        makers |= {f"ort {name.removesuffix('ExecutionProvider')}": partial(with_ort, name, model) for name in ORT_NEEDS}
        for name, make in makers.items():
            try:
                backends[name] = make()
            except AbsentError as lacks:
                absent[name] = str(lacks)
    products = {(name, kind): work for name, one in backends.items() for kind, work in one.product.items()}
    answers = {(name, str(rows)): one.answer(rows) for name, one in backends.items() for rows in (1, 256)}
    times = milliseconds(products | answers, rounds)
    table: list[tuple[Cell, ...]] = []
    for name, one in backends.items():
        speeds = [2 * size**3 / times[name, kind] / 1e6 if kind in one.product else "" for kind in ("fp32", "bf16")]
        single, many = times[name, "1"], times[name, "256"]
        table.append((name, one.device, *speeds, single, many, 256 / many * 1000, ""))
    table += [(name, None, None, None, None, None, None, needs) for name, needs in absent.items()]
    return Table(
        f"CPU, GPU, TPU: {size}x{size} products, layers {digits.PIXELS}-{width}-{width}-{digits.CLASSES}",
        COLUMNS,
        tuple(table),
        ("Medians, all backends in turn; copies to the device and back are counted for rows, not for products.",),
    )


# %%
if __name__ == "__main__":
    table = run()
    show(table)
