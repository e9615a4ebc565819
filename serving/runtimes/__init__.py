"""What runs a model, behind one interface: `load`, then `inputs`, `outputs` and `run`.

Owns which runtime can which precision on which device, and what to install for one that is absent. A runtime's module
is imported when a model asks for it; ONNX Runtime alone is always there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module, util
from pathlib import Path
from typing import Protocol

from serving.errors import Missing, ModelError
from serving.spec import Device, Kind, ModelSpec, Precision
from serving.tensors import Array, TensorSpec


class Runtime(Protocol):
    """A loaded model. `run` is called from `batching.instances` threads at a time: one, but for kinds that say `concurrent`."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def device(self) -> str:
        """Where it runs, for metadata and logs."""

    def run(self, batch: Sequence[Array]) -> list[Array]:
        """Run once.

        Args:
            batch: one array for each of `inputs`, contiguous and aligned, rows along the first dimension.

        Returns:
            One array for each of `outputs`.

        Raises:
            BadInput: the model cannot work with these tensors.
            Broken: the process cannot run it any more.
        """


class Loader(Protocol):
    def load(self, path: Path, spec: ModelSpec) -> Runtime:
        """Load a model's file.

        Raises:
            ModelError: it is no such model, or this machine cannot run it.
            Missing: a device or package is not here.
        """


_EVERY = frozenset(Precision)


@dataclass(frozen=True)
class _Kind:
    """A runtime before it is imported.

    Attributes:
        module: with `load`.
        package: what must be importable.
        extra: of this package's, that installs it.
        can: precisions by device; a device that is not there cannot be asked for.
        concurrent: whether one loaded model may run in several threads at once.
    """

    module: str
    package: str
    extra: str
    can: Mapping[Device, frozenset[Precision]]
    concurrent: bool = False


# bf16 on a CPU: ONNX Runtime's CPU provider has next to no bfloat16 kernels; the others compute in it or fall back.
# https://onnxruntime.ai/docs/reference/operators/OperatorKernels.html
KINDS: dict[Kind, _Kind] = {
    Kind.ONNX: _Kind(
        "serving.runtimes.onnx",
        "onnxruntime",
        "gpu",
        {Device.CPU: _EVERY - {Precision.BF16}, Device.CUDA: _EVERY, Device.TENSORRT: _EVERY},
        # Run is safe to be called from several threads: https://github.com/microsoft/onnxruntime/pull/19301
        concurrent=True,
    ),
    Kind.OPENVINO: _Kind("serving.runtimes.openvino", "openvino", "openvino", {Device.CPU: _EVERY}),
    Kind.TORCHSCRIPT: _Kind(
        "serving.runtimes.torchscript", "torch", "torch", {Device.CPU: _EVERY, Device.CUDA: _EVERY - {Precision.INT8}}
    ),
    Kind.XLA: _Kind(
        "serving.runtimes.xla", "jax", "xla", {Device.CPU: _EVERY - {Precision.INT8}, Device.CUDA: _EVERY - {Precision.INT8}}
    ),
    Kind.TVM: _Kind("serving.runtimes.tvm", "tvm", "tvm", {Device.CPU: _EVERY, Device.CUDA: _EVERY}),
}


def check(spec: ModelSpec) -> None:
    """Whether this machine may serve the model, before any file is fetched.

    Raises:
        ModelError: the runtime cannot do this precision on this device.
        Missing: its package is not installed.
    """
    kind = KINDS[spec.runtime]
    devices = kind.can if spec.device is Device.AUTO else {d: p for d, p in kind.can.items() if d is spec.device}
    if not devices:
        raise ModelError(f"model '{spec.name}': {spec.runtime} does not run on {spec.device}; say device: {_or(kind.can)}")
    if not any(spec.precision in can for can in devices.values()):
        could = [f"{p} on {d}" for d, can in kind.can.items() for p in sorted(can)]
        raise ModelError(
            f"model '{spec.name}': {spec.runtime} cannot run {spec.precision} on {spec.device}; it can {', '.join(could)}"
        )
    if spec.batching.instances > 1 and not kind.concurrent:
        can_so = ", ".join(name for name, one in KINDS.items() if one.concurrent)
        raise ModelError(
            f"model '{spec.name}': batching.instances is {spec.batching.instances}, and {spec.runtime} runs one batch at a "
            f"time; leave it out, or use runtime: {can_so}"
        )
    if util.find_spec(kind.package) is None:
        raise Missing(
            f"model '{spec.name}': {kind.package} is not installed, and runtime: {spec.runtime} needs it; "
            f"pip install './serving[{kind.extra}]'"
        )


def load(path: Path, spec: ModelSpec) -> Runtime:
    """Load a model's file with its runtime.

    Raises:
        ModelError: it is no such model, or this machine cannot run it.
        Missing: a device or package is not here.
    """
    check(spec)
    module: Loader = import_module(KINDS[spec.runtime].module)
    return module.load(path, spec)


def on(spec: ModelSpec, device: Device) -> bool:
    """Whether the runtime can do the model's precision on a device."""
    return spec.precision in KINDS[spec.runtime].can.get(device, frozenset())


def _or(names: Mapping[Device, object]) -> str:
    return " or ".join(names)
