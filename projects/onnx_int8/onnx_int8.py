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
# # INT8 by post-training quantization, and a gate before it ships
#
# Three trained ONNX models: digits, trained here; magika, which tells what kind of file it is given; and the text direction
# classifier of RapidOCR, the last two as their wheels carry them. And the four that the model server is compared on with
# others (`benchmarks/serving`): tiny, a 48 MB MLP, a transformer and a convolutional one, of random weights. Each is
# quantized in two ways: *dynamic* turns weights into INT8 and works out the range of activations anew for each input;
# *static* reads those ranges from a hundred calibration inputs and writes them into the file as
# QuantizeLinear/DequantizeLinear pairs (QDQ).
#
# INT8 is not faster everywhere: a CPU without VNNI or AMX instructions, or a model of small operators, may well be slower.
# So the gate ships INT8 only where it was measured faster here and loses at most one point of accuracy.
# https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html

# %%
import json
import logging
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

import projects
from projects import digits
from projects.measure import milliseconds
from projects.table import Cell, Table, show, small

Array = Any


@dataclass(frozen=True)
class Subject:
    """A model to quantize.

    Attributes:
        calibration: inputs that ranges are read from; none of `inputs`.
        inputs: what accuracy is counted on, one batch each.
        truth: the right class of each row; None where nobody labelled them, and FP32's answers stand for it.
    """

    name: str
    path: Path
    calibration: Sequence[Array]
    inputs: Sequence[Array]
    truth: Array | None


# %% [markdown]
# ## The models and their inputs
#
# Digits have labels. Magika is asked about files of this Python environment, whose labels are their suffixes. RapidOCR's
# images are digits in a row, upright and upside down; it has never seen such, so what is counted is how often INT8 says what
# FP32 says. So it is with the server's four, on random inputs: where nothing was learned the largest of many outputs is so by
# a little only, which makes them harder to keep than a trained network's.

# %%
SUFFIXES = {".py": "python", ".json": "json", ".pyc": "pythonbytecode", ".so": "elf", ".html": "html", ".css": "css",
            ".js": "javascript", ".md": "markdown", ".xml": "xml", ".yaml": "yaml", ".png": "png", ".gz": "gzip"}  # fmt: skip


def digits_subject(folder: Path) -> Subject:
    made, epochs = digits.data(), 5 if small() else 20
    params = digits.train(digits.init((512, 512)), epochs)
    calibration = [np.asarray(made.train_x[n : n + 1]) for n in range(100)]
    return Subject("digits", digits.write_onnx(params, folder / "digits.onnx"), calibration, [made.test_x], made.test_y)


def magika_subject(each: int) -> Subject:
    folder = next(folder_of("magika").glob("models/*"))
    labels = json.loads((folder / "config.min.json").read_text())["target_labels_space"]
    rows, truth = [], []
    site = Path(sysconfig.get_path("purelib"))
    for suffix, label in SUFFIXES.items():
        found = [path for path in sorted(site.rglob(f"*{suffix}")) if 200 < path.stat().st_size < 2_000_000]
        random = np.random.default_rng(0)
        for n in random.permutation(len(found))[:each]:
            content = found[n].read_bytes()
            begin, end = list(content[:4096].lstrip()[:1024]), list(content[-4096:].rstrip()[-1024:])
            rows.append(begin + [256] * (1024 - len(begin)) + [256] * (1024 - len(end)) + end)
            truth.append(labels.index(label))
    order = np.random.default_rng(0).permutation(len(rows))
    every, right = np.asarray(rows, np.int32)[order], np.asarray(truth)[order]
    third = len(every) // 3
    inputs = [every[third:]]
    return Subject("magika", folder / "model.onnx", [every[n : n + 1] for n in range(third)], inputs, right[third:])


def rapidocr_subject(images: int) -> Subject:
    made, random = digits.data(), np.random.default_rng(0)

    def image(upside_down: bool) -> Array:
        row = [np.kron(made.test_x[n].reshape(8, 8), np.ones((6, 6))) for n in random.integers(0, len(made.test_x), 4)]
        one = 1 - 2 * np.concatenate(row, axis=1).astype(np.float32)
        return np.repeat((one[::-1, ::-1] if upside_down else one)[None, None], 3, axis=1)

    every = [image(bool(n % 2)) for n in range(images)]
    path = next(folder_of("rapidocr").rglob("*cls_mobile.onnx"))
    return Subject("rapidocr-cls", path, every[: images // 3], [np.concatenate(every[images // 3 :])], None)


def served_subjects(names: Sequence[str], folder: Path, rows: int) -> list[Subject]:
    """The model server's benchmark models, written by the script that writes them for the benchmark."""
    script = Path(projects.__file__).parents[1] / "benchmarks" / "serving" / "models.py"
    subprocess.run([sys.executable, script, folder], check=True)

    def subject(name: str) -> Subject:
        path, random = folder / f"{name}.onnx", np.random.default_rng(0)
        shape = session(path).get_inputs()[0].shape[1:]
        every = random.standard_normal((100 + rows, *shape)).astype(np.float32)
        return Subject(name, path, [every[n : n + 1] for n in range(100)], [every[100:]], None)

    return [subject(name) for name in names]


def folder_of(package: str) -> Path:
    """Where a package lies; it is not imported, since its models are all that is wanted of it."""
    found = util.find_spec(package)
    assert found is not None
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0])


# %% [markdown]
# ## Quantizing


# %%
class Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands the calibration inputs to the quantizer, one by one."""

    def __init__(self, name: str, inputs: Sequence[Array]) -> None:
        self._each: Iterator[dict[str, Array]] = iter([{name: one} for one in inputs])

    def get_next(self) -> dict[str, Array] | None:
        return next(self._each, None)


def session(path: Path) -> ort.InferenceSession:
    """On one thread, so that times are of the arithmetic and not of how many cores are free."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def quantized(subject: Subject, folder: Path) -> dict[str, Path]:
    """Its forms by name, FP32 first."""
    prepared = folder / f"{subject.name}.prepared.onnx"
    # Shapes and folded constants: without them the quantizers skip what they could turn.
    quant_pre_process(subject.path, prepared, skip_symbolic_shape=True)
    forms = {
        "fp32": subject.path,
        "dynamic": folder / f"{subject.name}.dynamic.onnx",
        "qdq": folder / f"{subject.name}.qdq.onnx",
    }
    # Convolutions have no dynamic kernel for signed weights.
    quantize_dynamic(prepared, forms["dynamic"], weight_type=QuantType.QUInt8)
    name = session(subject.path).get_inputs()[0].name
    quantize_static(
        prepared,
        forms["qdq"],
        Reader(name, subject.calibration),
        quant_format=QuantFormat.QDQ,
        # Scales for each channel came with opset 13; RapidOCR's file is of opset 11.
        per_channel=onnx.load(prepared).opset_import[0].version >= 13,
        # Without VNNI two INT8 products overflow their 16 bits; seven bits of weight never do.
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["Conv", "MatMul", "Gemm"],
        # Its adjustment of scales to biases fails on per-channel scales of shape [1] (onnxruntime 1.32 with numpy 2).
        extra_options={"QDQDisableWeightAdjustForInt32Bias": True},
    )
    return forms


# %% [markdown]
# ## The gate

# %%
MAX_LOSS = 0.01  # points of accuracy
MIN_SPEED = 1.05  # times FP32; what is nearer to 1 may be chance


@dataclass(frozen=True)
class Form:
    """One form of a model, as measured."""

    name: str
    mib: float
    ms: float
    right: float


def verdict(form: Form, fp32: Form) -> str:
    """Why a form may ship, or may not."""
    if form is fp32:
        return "reference"
    loss = round(fp32.right - form.right, 6)  # 1.0 - 0.99 is more than 0.01
    if loss > MAX_LOSS:
        return f"no: loses {loss * 100:.1f} points"
    if fp32.ms / form.ms < MIN_SPEED:
        return "no: not faster here"
    return "may ship"


def shipped(forms: Sequence[Form]) -> Form:
    """What the gate ships: the fastest form that may, else FP32, which is the first."""
    fp32 = forms[0]
    return min([form for form in forms if verdict(form, fp32) == "may ship"], key=lambda form: form.ms, default=fp32)


# %%
def measured(subject: Subject, folder: Path, rounds: int) -> list[Form]:
    files = quantized(subject, folder)
    sessions = {name: session(path) for name, path in files.items()}
    feed = sessions["fp32"].get_inputs()[0].name
    said = {
        name: np.concatenate([np.argmax(one.run(None, {feed: batch})[0], axis=1) for batch in subject.inputs])
        for name, one in sessions.items()
    }
    truth = said["fp32"] if subject.truth is None else subject.truth
    one_row = subject.inputs[0][:1]
    times = milliseconds({name: partial(one.run, None, {feed: one_row}) for name, one in sessions.items()}, rounds)
    return [
        Form(name, path.stat().st_size / 2**20, times[name], float(np.mean(said[name] == truth)))
        for name, path in files.items()
    ]


def run() -> Table:
    logging.getLogger().setLevel(logging.ERROR)  # the quantizer warns of every operator that it leaves as it is
    rows: list[tuple[Cell, ...]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subjects = [digits_subject(folder), magika_subject(6 if small() else 30), rapidocr_subject(30 if small() else 150)]
        served = ("tiny", "convolutional") if small() else ("tiny", "mlp", "transformer", "convolutional")
        subjects += served_subjects(served, folder, 30 if small() else 400)
        for subject in subjects:
            forms = measured(subject, folder, 20 if small() else 100)
            ships, fp32 = shipped(forms), forms[0]
            rows += [
                (
                    f"{subject.name} {form.name}",
                    form.mib,
                    fp32.mib / form.mib,
                    form.ms,
                    fp32.ms / form.ms,
                    form.right * 100,
                    (fp32.right - form.right) * 100,
                    verdict(form, fp32),
                    "ships" if form is ships else "",
                )
                for form in forms
            ]
    columns = ("model", "MiB", "smaller x", "ms a row", "faster x", "right %", "loss points", "gate", "")
    notes = (
        "One row at a time, one thread, medians. digits: 450 labelled images; magika: files by their suffix;",
        "rapidocr-cls and those of random weights, tiny to convolutional: how often it says what FP32 says.",
        "Calibration inputs are none of these.",
    )
    return Table("INT8 post-training quantization", columns, tuple(rows), notes)


# %%
if __name__ == "__main__":
    table = run()
    show(table)
