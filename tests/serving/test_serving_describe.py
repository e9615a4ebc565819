"""model.yaml: every fault with its line, what a file alone means, and flags before the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.describe import describe
from serving.errors import UsageError
from serving.runtimes import KINDS, check
from serving.spec import Device, Kind, ModelSpec, Precision

GOOD = "name: m\nfiles: {fp32: {path: m.onnx}}\n"


def faults(folder: Path, text: str) -> list[str]:
    """What is said of a description, without its path."""
    place = folder / "model.yaml"
    place.write_text(text)
    with pytest.raises(UsageError) as found:
        describe(str(place), {})
    return str(found.value).replace(str(place), "").splitlines()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD + "bathcing: {}\n", ":3: bathcing: is no key here; check its spelling"),
        (GOOD + "batching: {max_batch: 0}\n", ":3: batching.max_batch: Input should be greater than or equal to 1; got 0"),
        (GOOD + "batching:\n  max_queue: many\n", ":4: batching.max_queue: Input should be a valid integer; got 'many'"),
        (GOOD + "batching: {max_batch: true}\n", ":3: batching.max_batch: Input should be a valid integer; got True"),
        (GOOD + "batching: {timeout_ms: .inf}\n", ":3: batching.timeout_ms: Input should be"),
        (GOOD + "runtime: tensorflow\n", ":3: runtime: Input should be 'onnx'"),
        (GOOD + "precision: fp16\n", ": files has none for precision fp16: add files.fp16, or say one of fp32"),
        (GOOD + "runtime: torchscript\n", "tensors is missing: a torchscript file does not say"),
        (
            GOOD
            + "tensors: {inputs: [{name: x, datatype: FP32, shape: [1]}], outputs: [{name: y, datatype: FP32, shape: [1]}]}",
            "tensors has no place here",
        ),
        ("name: m\nfiles: {fp8: {path: m.onnx}}\n", ":2: files.fp8: Input should be 'fp32'"),
        ("name: m\nfiles:\n  fp32:\n    path: m.onnx\n    sha256: abc\n", ":5: files.fp32.sha256: String should match"),
        ("name: m\n", ":1: files: is missing; add it"),
        ("name: a/b\nfiles: {fp32: {path: m.onnx}}\n", ":1: name: String should match"),
        ("name: m\nfiles: {}\n", ":2: files: Dictionary should have at least 1 item"),
        ("- a\n", ":1: is no map"),
        ("", ":1: is no map"),
        ("name: [\n", ": is no YAML"),
        ("[" * 5000, ": is n"),
        ("a: b\n" * 30_000, ": has more than 100,000 bytes"),
    ],
)
def test_a_fault_has_its_line_and_field(tmp_path: Path, text: str, said: str) -> None:
    assert said in "\n".join(faults(tmp_path, text))


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    found = faults(tmp_path, "name: m\nfiles: {fp32: {path: m.onnx}}\nthreads: 0\nbatching:\n  max_batch: 0\n  most: 1\n")
    assert [line.split(" ")[0] for line in found] == [":3:", ":5:", ":6:"]


def test_what_is_no_text_is_said(tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_bytes(b"name: \xff")
    with pytest.raises(UsageError, match="no UTF-8"):
        describe(str(tmp_path), {})


def test_a_folder_is_its_model_yaml_and_paths_start_there(tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_text("name: m\nfiles: {fp32: {path: m.onnx}, int8: {path: s3://b/m.onnx}}\n")
    source = describe(str(tmp_path), {"precision": "int8", "batching.max_batch": 4, "threads": None})
    assert source.spec.precision is Precision.INT8
    assert source.spec.batching.max_batch == 4
    assert source.resolve(source.spec.files[Precision.FP32]) == f"{tmp_path}/m.onnx"
    assert source.resolve(source.spec.file) == "s3://b/m.onnx"


@pytest.mark.parametrize(
    ("place", "kind", "name"),
    [("s3://b/a/m v2.onnx", Kind.ONNX, "m-v2"), ("m.xml", Kind.OPENVINO, "m"), ("/a/m.jax", Kind.XLA, "m")],
)
def test_a_file_alone_is_a_model_with_defaults(place: str, kind: Kind, name: str) -> None:
    source = describe(place, {"precision": "int8"})
    assert (source.spec.runtime, source.spec.name) == (kind, name)
    assert source.resolve(source.spec.file) == place
    assert [one.path for one in source.spec.file.beside] == (["m.bin"] if kind is Kind.OPENVINO else [])


@pytest.mark.parametrize("kind", Kind)
def test_a_precision_that_no_device_of_a_runtime_can_is_refused(kind: Kind) -> None:
    tensor = {"name": "x", "datatype": "FP32", "shape": [-1]}
    described = {"inputs": [tensor], "outputs": [tensor]} if kind in (Kind.TORCHSCRIPT, Kind.TVM) else None
    for device in Device:
        for precision in Precision:
            spec = ModelSpec.model_validate(
                {
                    "name": "m",
                    "runtime": kind,
                    "device": device,
                    "precision": precision,
                    "files": {precision: {"path": "m"}},
                    "tensors": described,
                }
            )
            can = KINDS[kind].can
            possible = any(precision in p for d, p in can.items() if device in (Device.AUTO, d))
            try:
                check(spec)
                said = ""
            except Exception as refused:
                said = str(refused)
            assert possible == ("cannot run" not in said and "does not run on" not in said), said
