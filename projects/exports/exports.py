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
# # One trained model, out by every path
#
# The network of digits is trained in JAX and exported to ONNX, OpenVINO, XLA (StableHLO), TVM, TorchScript and TensorRT. Each
# export is loaded again from its file and run on the same images; the greatest difference of a logit from JAX's own answer
# says whether it is the same model, the ratio of times whether it is worth it. A path whose package or hardware is not here
# has a row that says what it needs, and no figure.

# %%
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module, util
from pathlib import Path
from typing import Any

import jax
import numpy as np
import onnxruntime as ort

from projects import digits
from projects.measure import milliseconds
from projects.table import Cell, Table, show, small

Array = Any
Runner = Callable[[Array], Array]


class AbsentError(Exception):
    """This machine lacks what a path needs; the text says what."""


@dataclass(frozen=True)
class Export:
    """A model that was written and read again."""

    file: Path
    run: Runner


def need(package: str, install: str) -> Any:
    """A package, imported.

    Raises:
        AbsentError: it is not installed.
    """
    if util.find_spec(package) is None:
        raise AbsentError(install)
    return import_module(package)


# %% [markdown]
# ## The paths


# %%
def onnx_runtime(params: digits.Params, folder: Path) -> Export:
    return _session(params, folder, "CPUExecutionProvider", "")


def tensorrt(params: digits.Params, folder: Path) -> Export:
    return _session(params, folder, "TensorrtExecutionProvider", "onnxruntime-gpu with TensorRT, an NVIDIA GPU")


def _session(params: digits.Params, folder: Path, provider: str, install: str) -> Export:
    if provider not in ort.get_available_providers():
        raise AbsentError(install)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    file = digits.write_onnx(params, folder / "digits.onnx")
    session = ort.InferenceSession(str(file), options, providers=[provider])
    if session.get_providers()[0] != provider:
        raise AbsentError(install)  # it is built in, and did not start
    return Export(file, lambda x: session.run(None, {"x": x})[0])


def openvino(params: digits.Params, folder: Path) -> Export:
    ov = need("openvino", "pip install openvino; an x86-64 or Arm CPU, or an Intel GPU or NPU")
    file = folder / "digits.xml"
    # Not convert_model: that forks to report its use to its vendor.
    read = ov.Core().read_model(str(digits.write_onnx(params, folder / "for-openvino.onnx")))
    ov.save_model(read, str(file), compress_to_fp16=False)
    # CPUs with AMX would compute in BF16 unasked, and the difference would be that.
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    request = ov.Core().compile_model(str(file), "CPU", settings).create_infer_request()
    return Export(file.with_suffix(".bin"), lambda x: np.array(request.infer({0: x}, share_inputs=True)[0]))


def xla(params: digits.Params, folder: Path) -> Export:
    from jax import export  # noqa: PLC0415 - not loaded by `import jax`

    (rows,) = export.symbolic_shape("rows")
    # For every backend at once: the file made here runs on a GPU or TPU without this script.
    exported = export.export(jax.jit(lambda x: digits.forward(params, x)), platforms=("cpu", "cuda", "tpu"))(
        jax.ShapeDtypeStruct((rows, digits.PIXELS), np.float32)  # type: ignore[no-untyped-call]
    )
    file = folder / "digits.stablehlo"
    file.write_bytes(exported.serialize())
    call = jax.jit(export.deserialize(bytearray(file.read_bytes())).call)
    return Export(file, lambda x: np.asarray(call(x)))


def tvm(params: digits.Params, folder: Path) -> Export:
    runtime = need("tvm", "pip install apache-tvm")
    import onnx  # noqa: PLC0415
    from tvm import relax  # noqa: PLC0415
    from tvm.relax.frontend.onnx import from_onnx  # noqa: PLC0415

    module = from_onnx(onnx.load(digits.write_onnx(params, folder / "for-tvm.onnx")), keep_params_in_input=False)
    file = folder / "digits.so"
    relax.build(module, target="llvm").export_library(str(file))
    machine = relax.VirtualMachine(runtime.runtime.load_module(str(file)), runtime.cpu())
    return Export(file, lambda x: machine["main"](runtime.runtime.tensor(x)).numpy())


def torchscript(params: digits.Params, folder: Path) -> Export:
    torch = need("torch", "pip install torch (on Linux gigabytes of CUDA; a CPU build from pytorch.org)")
    layers: list[Any] = []
    for w, b in params:
        linear = torch.nn.Linear(*w.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(np.asarray(w).T.tolist()))
            linear.bias.copy_(torch.tensor(np.asarray(b).tolist()))
        layers += [linear, torch.nn.ReLU()]
    module = torch.nn.Sequential(*layers[:-1]).eval()
    file = folder / "digits.pt"
    torch.jit.save(torch.jit.freeze(torch.jit.script(module)), str(file))
    loaded = torch.jit.load(str(file))

    def run(x: Array) -> Array:
        with torch.inference_mode():
            return loaded(torch.from_numpy(x)).numpy()

    return Export(file, run)


PATHS: dict[str, Callable[[digits.Params, Path], Export]] = {
    "ONNX Runtime": onnx_runtime,
    "OpenVINO": openvino,
    "XLA (StableHLO)": xla,
    "TVM": tvm,
    "TorchScript": torchscript,
    "TensorRT": tensorrt,
}


# %% [markdown]
# ## The comparison

# %%
COLUMNS = ("path", "KiB", "max difference", "same digit %", "right %", "ms 1 row", "ms 256 rows", "needs")


def run() -> Table:
    made, width = digits.data(), 128 if small() else 512
    params = digits.train(digits.init((width, width)), 5 if small() else 20)
    forward = jax.jit(lambda x: digits.forward(params, x))
    reference = np.asarray(forward(made.test_x))
    sides: dict[str, Runner] = {"JAX, not exported": lambda x: np.asarray(forward(x))}
    sizes: dict[str, float] = {}
    absent: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for path, export in PATHS.items():
            try:
                made_here = export(params, Path(folder))
            except AbsentError as lacks:
                absent[path] = str(lacks)
                continue
            sides[path], sizes[path] = made_here.run, made_here.file.stat().st_size / 1024
        rounds = 10 if small() else 50
        one, many = made.test_x[:1], made.test_x[:256]
        ms_one = milliseconds({name: partial(side, one) for name, side in sides.items()}, rounds)
        ms_many = milliseconds({name: partial(side, many) for name, side in sides.items()}, rounds)
        rows: list[tuple[Cell, ...]] = []
        for name, side in sides.items():
            said = side(made.test_x)
            same = float(np.mean(said.argmax(1) == reference.argmax(1))) * 100
            right = digits.accuracy(said, made.test_y) * 100
            difference = float(np.abs(said - reference).max())
            rows.append((name, sizes.get(name, ""), difference, same, right, ms_one[name], ms_many[name], ""))
    rows += [(name, *(None,) * 6, needs) for name, needs in absent.items()]
    return Table(
        f"Exports of layers {digits.PIXELS}-{width}-{width}-{digits.CLASSES}",
        COLUMNS,
        tuple(rows),
        ("Against JAX's logits on 450 images; medians. ONNX Runtime and OpenVINO on one thread, the others as they come.",),
    )


# %%
if __name__ == "__main__":
    table = run()
    show(table)
