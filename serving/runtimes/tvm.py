"""TVM: a library that Relax compiled and exported (`.so`), on a CPU or CUDA.

A library does not say what its tensors are: model.yaml's `tensors` does. The function that is run
is `main`, as importers of ONNX and PyTorch call it, or else `forward`, as `nn.Module` does.
https://tvm.apache.org/docs/reference/api/python/relax/relax.html
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tvm
from tvm import relax

from serving import runtimes
from serving.errors import BadInput, Missing, ModelError
from serving.spec import Device, ModelSpec
from serving.tensors import Array


class _Function:
    def __init__(self, function: Any, spec: ModelSpec, device: Any, where: Device) -> None:
        assert spec.tensors is not None
        self.inputs, self.outputs = spec.tensors.input_specs, spec.tensors.output_specs
        self.device = where.value
        self._function, self._on = function, device

    def run(self, batch: Sequence[Array]) -> list[Array]:
        try:
            found = self._function(*(tvm.runtime.tensor(one, self._on) for one in batch))
        except (ValueError, TypeError, RuntimeError) as wrong:
            raise BadInput(str(wrong)[:500]) from wrong
        many = [found] if hasattr(found, "numpy") else list(found)
        return [one.numpy() for one in many]


def load(path: Path, spec: ModelSpec) -> runtimes.Runtime:
    where = Device.CPU if spec.device is Device.AUTO else spec.device
    device = tvm.device(where.value)
    if not device.exist:
        raise Missing(f"model '{spec.name}': this TVM has no {where}; build it with CUDA, or say device: cpu")
    try:
        machine = relax.VirtualMachine(tvm.runtime.load_module(str(path)), device)
    except Exception as wrong:  # TVM's own kinds come from C++ under many names
        raise ModelError(f"{path}: TVM cannot load it: {str(wrong)[:500]}; export it with Executable.export_library") from wrong
    for name in ("main", "forward"):
        try:
            return _Function(machine[name], spec, device, where)
        except AttributeError:
            continue
    raise ModelError(f"{path}: has neither a function main nor forward; compile the module that has one")
