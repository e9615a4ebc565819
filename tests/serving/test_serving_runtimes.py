"""Runtimes behind one interface: the same answers from each that is installed, and clear words from those that are not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from importlib import import_module, resources, util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving import runtimes
from serving.describe import Source
from serving.errors import BadInput, Broken, Missing, ModelError, Refusal
from serving.metrics import Metrics
from serving.model import Model
from serving.repository import Repository
from serving.spec import ModelSpec
from serving.tensors import Array


def spec(path: Path | str, **changes: Any) -> ModelSpec:
    return ModelSpec.model_validate({"name": "m", "files": {"fp32": {"path": str(path)}}, "threads": 1, **changes})


def tensors(shape: list[int]) -> dict[str, Any]:
    return {side: [{"name": name, "datatype": "FP32", "shape": shape}] for side, name in (("inputs", "x"), ("outputs", "y"))}


def served(description: ModelSpec, tmp_path: Path, *requests: list[Array]) -> list[list[Array]]:
    """Load as a server does, and put the requests in at once."""

    async def main() -> list[list[Array]]:
        model = Model(Source(description, ""), Metrics())
        await model.load(tmp_path / "cache")
        try:
            return await asyncio.gather(*(model.infer(one, None) for one in requests))
        finally:
            await model.close()

    return asyncio.run(main())


def wanted(package: str) -> Any:
    """A runtime's package; where `make runtimes-test` runs this none may be missing, elsewhere the test is skipped."""
    return import_module(package) if os.environ.get("EVERY_RUNTIME") else pytest.importorskip(package)


X = np.arange(8, dtype=np.float32).reshape(2, 4)


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_runtimes_agree(runtime: str, models: Path, tmp_path: Path) -> None:
    answers = served(spec(models / "double.onnx", runtime=runtime), tmp_path, [X], [X + 1], [X + 2])
    for n, answer in enumerate(answers):
        assert (answer[0] == 2 * (X + n) + 1).all()


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_a_fault_of_the_data_is_told_from_one_of_the_file(runtime: str, models: Path, tmp_path: Path) -> None:
    loaded = runtimes.load(models / "double.onnx", spec("m", runtime=runtime))
    with pytest.raises(BadInput):
        loaded.run([np.zeros((1, 5), np.float32)])
    (tmp_path / "m.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match="cannot load it"):
        runtimes.load(tmp_path / "m.onnx", spec("m", runtime=runtime))


def test_openvinos_answers_are_not_written_over_by_the_next_run(models: Path) -> None:
    loaded = runtimes.load(models / "double.onnx", spec("m", runtime="openvino"))
    first = loaded.run([X])[0]
    loaded.run([X * 100])
    assert (first == 2 * X + 1).all()


# Who still has such files may serve them; PyTorch would rather nobody wrote new ones.
@pytest.mark.filterwarnings("ignore:`torch.jit.(script|save|load)` is deprecated:FutureWarning")
def test_torchscript(tmp_path: Path) -> None:
    torch = wanted("torch")

    double = torch.nn.Linear(4, 4)
    with torch.no_grad():
        double.weight.copy_(2 * torch.eye(4))
        double.bias.fill_(1)
    torch.jit.save(torch.jit.script(double), str(tmp_path / "m.pt"))
    made = spec(tmp_path / "m.pt", runtime="torchscript", tensors=tensors([-1, 4]))
    assert (served(made, tmp_path, [X])[0][0] == 2 * X + 1).all()
    (tmp_path / "bad.pt").write_bytes(b"no model")
    with pytest.raises(ModelError, match="TorchScript"):
        runtimes.load(tmp_path / "bad.pt", made)


def test_xla(tmp_path: Path) -> None:
    jax = wanted("jax")
    from jax import export

    (rows,) = export.symbolic_shape("rows")
    exported = export.export(jax.jit(lambda x: x * 2 + 1))(jax.ShapeDtypeStruct((rows, 4), np.float32))
    (tmp_path / "m.jax").write_bytes(exported.serialize())
    made = spec(tmp_path / "m.jax", runtime="xla")
    assert [one.name for one in runtimes.load(tmp_path / "m.jax", made).inputs] == ["input_0"]
    assert (served(made, tmp_path, [X])[0][0] == 2 * X + 1).all()
    (tmp_path / "bad.jax").write_bytes(b"no model")
    with pytest.raises(ModelError, match="as an export"):
        runtimes.load(tmp_path / "bad.jax", made)


def test_tvm(tmp_path: Path) -> None:
    wanted("tvm")
    from tvm import relax
    from tvm.relax.frontend import nn

    class Double(nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return x * 2.0 + 1.0

        def other(self, x: Any) -> Any:
            return x

    for name in ("forward", "other"):
        module, _ = Double().export_tvm({name: {"x": nn.spec.Tensor(("rows", 4), "float32")}})
        relax.build(module, target="llvm").export_library(str(tmp_path / f"{name}.so"))
    made = spec(tmp_path / "forward.so", runtime="tvm", tensors=tensors([-1, 4]))
    for n, answer in enumerate(served(made, tmp_path, [X], [X + 1])):
        assert (answer[0] == 2 * (X + n) + 1).all()
    with pytest.raises(BadInput):
        runtimes.load(tmp_path / "forward.so", made).run([X[:, :3].copy()])
    with pytest.raises(ModelError, match="neither a function main nor forward"):
        runtimes.load(tmp_path / "other.so", made)
    (tmp_path / "bad.so").write_bytes(b"no library")
    with pytest.raises(ModelError, match="TVM cannot load it"):
        runtimes.load(tmp_path / "bad.so", spec(tmp_path / "bad.so", runtime="tvm", tensors=tensors([-1, 4])))


@pytest.mark.parametrize(
    ("runtime", "package", "extra"), [("torchscript", "torch", "torch"), ("xla", "jax", "xla"), ("tvm", "tvm", "tvm")]
)
def test_a_runtime_that_is_absent_says_what_to_install(runtime: str, package: str, extra: str) -> None:
    if util.find_spec(package):
        pytest.skip(f"{package} is installed")
    made = spec("m", runtime=runtime, tensors=None if runtime == "xla" else tensors([-1]))
    with pytest.raises(Missing, match=rf"{package} is not installed, .* pip install './serving\[{extra}\]'"):
        runtimes.load(Path("m"), made)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"device": "cuda"}, "no CUDAExecutionProvider"),
        ({"device": "tensorrt"}, "no TensorrtExecutionProvider"),
        ({"precision": "bf16", "files": {"bf16": {"path": "m"}}}, "bf16 needs a GPU"),
    ],
)
def test_a_gpu_that_is_not_there_is_an_error_and_no_fallback(changes: dict[str, Any], said: str, models: Path) -> None:
    with pytest.raises(Missing, match=said):
        runtimes.load(models / "double.onnx", spec("m", **changes))


def test_several_instances_of_a_runtime_that_runs_one_batch_at_a_time_are_refused() -> None:
    with pytest.raises(ModelError, match=r"batching\.instances is 2, and openvino runs one batch at a time"):
        runtimes.check(spec("m", runtime="openvino", batching={"instances": 2}))
    runtimes.check(spec("m", batching={"instances": 2}))


def test_the_precision_picks_the_file(models: Path, tmp_path: Path) -> None:
    files = {"fp32": {"path": str(models / "double.onnx")}, "int8": {"path": str(models / "inverse.onnx")}}
    assert served(spec("m", files=files, precision="fp32"), tmp_path, [X])[0][0].shape == (2, 4)
    assert served(spec("m", files=files, precision="int8"), tmp_path, [X[0, 1:]])[0][0].shape == (3,)


def test_a_warm_up_for_an_input_that_is_not_there_is_refused(models: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"warm_up.shapes has \['z'\], and the inputs are x"):
        served(spec(models / "double.onnx", warm_up={"shapes": {"z": [1, 4]}}), tmp_path)


def test_a_warm_up_that_fails_is_said(models: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"the warm-up with .* failed"):
        served(spec(models / "double.onnx", warm_up={"shapes": {"x": [1, 5]}}), tmp_path)


def test_a_first_dimension_that_counts_no_rows_is_found_before_a_client_does(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Concat", ["x", "x"], ["y"], axis=0)],
        "twice",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["m"])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    with pytest.raises(ModelError, match=r"set batching\.max_batch: 1"):
        served(spec(tmp_path / "m.onnx"), tmp_path)
    one = spec(tmp_path / "m.onnx", batching={"max_batch": 1})
    assert served(one, tmp_path, [X[0]])[0][0].shape == (8,)


def test_a_model_that_breaks_is_not_ready_and_its_process_not_live(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = runtimes.load(models / "double.onnx", spec("m"))

    class Breaks:
        inputs, outputs, device = sound.inputs, sound.outputs, "cuda"

        def run(self, batch: Sequence[Array]) -> list[Array]:
            if batch[0].any():  # the warm-up is all zeros
                raise Broken("CUDA failure 700")
            return sound.run(batch)

    monkeypatch.setattr(runtimes, "load", lambda *_: Breaks())

    async def main() -> None:
        repository = Repository([Source(spec(models / "double.onnx"), "")], Metrics(), tmp_path)
        assert (repository.live, repository.ready) == (True, False)
        await repository.load()
        assert (repository.live, repository.ready) == (True, True)
        model = repository.find("m")
        with pytest.raises(Refusal) as first:
            await model.infer([X], None)
        await asyncio.sleep(0)
        with pytest.raises(Refusal) as then:
            await model.infer([X], None)
        assert (first.value.status, then.value.status) == (500, 503)
        assert "CUDA" not in first.value.reason
        assert (repository.live, repository.ready) == (False, False)
        await repository.close()

    asyncio.run(main())


def _shipped(package: str, pattern: str) -> Path:
    """A trained model that lies in a wheel."""
    return next(Path(str(resources.files(package))).rglob(pattern))


def test_magikas_trained_model_gives_each_request_what_it_gives_alone(tmp_path: Path) -> None:
    path = _shipped("magika", "standard_v3_3/model.onnx")
    loaded = runtimes.load(path, spec(path))
    (bytes_in,) = loaded.inputs
    random = np.random.default_rng(0)
    files = [random.integers(0, 256, (1, *bytes_in.shape[1:])).astype(np.int32) for _ in range(12)]
    together = served(spec(path), tmp_path, *([one] for one in files))
    for one, answer in zip(files, together, strict=True):
        np.testing.assert_allclose(answer[0], loaded.run([one])[0], rtol=1e-4, atol=1e-6)


def test_rapidocrs_convolutions_with_open_sizes_are_put_together_by_shape(tmp_path: Path) -> None:
    found = util.find_spec("rapidocr")
    assert found is not None
    assert found.submodule_search_locations
    # Not imported: its own dependencies are not here.
    model = next(Path(found.submodule_search_locations[0]).rglob("*cls_mobile.onnx"))
    loaded = runtimes.load(model, spec(model))
    images = [np.full((1, 3, 48, width), n / 9, np.float32) for n, width in enumerate((192, 96, 192, 96, 192))]
    for image, answer in zip(images, served(spec(model), tmp_path, *([one] for one in images)), strict=True):
        np.testing.assert_allclose(answer[0], loaded.run([image])[0], rtol=1e-4, atol=1e-6)


def test_the_gpus_pins_are_the_cpus_but_for_the_runtime() -> None:
    folder = Path(__file__).parents[2] / "serving"

    def pins(name: str) -> set[str]:
        lines = (folder / name).read_text().splitlines()
        return {line for line in lines if not line.startswith(("#", "onnxruntime"))}

    assert pins("requirements-gpu.txt") == pins("requirements.txt")
    assert len(pins("requirements.txt")) > 20
