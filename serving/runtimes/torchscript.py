"""TorchScript: what `torch.jit.save` wrote, on a CPU or CUDA.

A TorchScript file does not say what its tensors are called, of which type and shape: model.yaml's `tensors` does.
https://docs.pytorch.org/docs/stable/jit.html
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from serving import runtimes
from serving.errors import BadInput, Broken, Missing, ModelError
from serving.spec import Device, ModelSpec, Precision
from serving.tensors import Array

# Meant for who writes such files; the server's log is read by who runs it.
warnings.filterwarnings("ignore", "`torch.jit.load` is deprecated", FutureWarning)
_HALVES = {Precision.FP16: torch.float16, Precision.BF16: torch.bfloat16}


class _Script:
    def __init__(self, module: Any, spec: ModelSpec, device: Device) -> None:
        assert spec.tensors is not None
        self.inputs, self.outputs = spec.tensors.input_specs, spec.tensors.output_specs
        self.device = device.value
        self._module = module
        # The wire has no bfloat16: clients send fp32, and it is turned here.
        self._half = _HALVES.get(spec.precision)

    def run(self, batch: Sequence[Array]) -> list[Array]:
        try:
            with torch.inference_mode():
                found = self._module(*(self._moved(one) for one in batch))
        except RuntimeError as wrong:
            if "CUDA error" in str(wrong):
                raise Broken(str(wrong)) from wrong
            raise BadInput(str(wrong)[:500]) from wrong
        many = found if isinstance(found, tuple | list) else [found]
        if len(many) != len(self.outputs):
            raise RuntimeError(f"the model has {len(many)} outputs, and tensors.outputs in model.yaml {len(self.outputs)}")
        return [self._back(one) for one in many]

    def _moved(self, array: Array) -> Any:
        # A copy where it may not be written to: torch has no tensors that are for reading only.
        tensor = torch.from_numpy(array if array.flags.writeable else array.copy()).to(self.device)
        return tensor.to(self._half) if self._half is not None and tensor.is_floating_point() else tensor

    @staticmethod
    def _back(tensor: Any) -> Array:
        made: Array = (tensor.float() if tensor.dtype in _HALVES.values() else tensor).cpu().numpy()
        return made


def load(path: Path, spec: ModelSpec) -> runtimes.Runtime:
    device = spec.device
    if device is Device.AUTO:
        device = Device.CUDA if torch.cuda.is_available() and runtimes.on(spec, Device.CUDA) else Device.CPU
    if device is Device.CUDA and not torch.cuda.is_available():
        raise Missing(f"model '{spec.name}': this PyTorch finds no GPU; check the driver, or say device: cpu")
    torch.set_num_threads(spec.threads)
    try:
        module = torch.jit.load(str(path), map_location=device.value).eval()
    except (RuntimeError, ValueError) as wrong:
        raise ModelError(f"{path}: PyTorch cannot load it as TorchScript: {str(wrong)[:500]}") from wrong
    return _Script(module, spec, device)
