"""XLA: what `jax.export` wrote (StableHLO), on whatever device this JAX has.

The file says shapes and types and no names: they are `input_0`, `output_0` and so on, unless model.yaml's `tensors` says
others. https://docs.jax.dev/en/latest/export/export.html
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import export

from serving import runtimes
from serving.errors import BadInput, Missing, ModelError
from serving.spec import Device, ModelSpec
from serving.tensors import Array, TensorSpec, datatype_of


class _Exported:
    def __init__(self, exported: Any, spec: ModelSpec, device: Any) -> None:
        named = spec.tensors
        self.inputs = named.input_specs if named else tuple(_tensor("input", n, a) for n, a in enumerate(exported.in_avals))
        self.outputs = named.output_specs if named else tuple(_tensor("output", n, a) for n, a in enumerate(exported.out_avals))
        self.device = str(device.platform)
        self._call, self._on = jax.jit(exported.call), device

    def run(self, batch: Sequence[Array]) -> list[Array]:
        try:
            found = self._call(*(jax.device_put(one, self._on) for one in batch))
        except (ValueError, TypeError) as wrong:
            raise BadInput(str(wrong)[:500]) from wrong
        return [np.asarray(one) for one in jax.tree.leaves(found)]


def load(path: Path, spec: ModelSpec) -> runtimes.Runtime:
    wanted = None if spec.device is Device.AUTO else {Device.CPU: "cpu", Device.CUDA: "cuda"}[spec.device]
    try:
        device = jax.devices(wanted)[0]
    except RuntimeError as wrong:
        raise Missing(f"model '{spec.name}': this JAX has no {spec.device}: {wrong}; pip install 'jax[cuda13]'") from None
    try:
        exported = export.deserialize(bytearray(path.read_bytes()))
    except Exception as wrong:  # flatbuffers' and XLA's own, with no common ancestor
        raise ModelError(f"{path}: JAX cannot read it as an export: {str(wrong)[:500]}; write it with jax.export") from wrong
    return _Exported(exported, spec, device)


def _tensor(side: str, n: int, aval: Any) -> TensorSpec:
    shape = tuple(size if isinstance(size, int) else -1 for size in aval.shape)
    return TensorSpec(f"{side}_{n}", datatype_of(np.empty(0, aval.dtype)), shape)
