"""OpenVINO, on CPUs: its own IR (.xml with .bin beside it), and ONNX as it is.

Owns the compiled model and its one infer request. https://docs.openvino.ai/2026/openvino-workflow/running-inference.html
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from serving import runtimes
from serving.errors import BadInput, ModelError
from serving.spec import ModelSpec, Precision
from serving.tensors import Array, TensorSpec, datatype_of

# What it computes in; files of int8 say so themselves.
_COMPUTES = {Precision.FP32: "f32", Precision.FP16: "f16", Precision.BF16: "bf16"}


class _Compiled:
    device = "cpu"

    def __init__(self, compiled: Any) -> None:
        self.inputs = tuple(_tensor(port, n) for n, port in enumerate(compiled.inputs))
        self.outputs = tuple(_tensor(port, n) for n, port in enumerate(compiled.outputs))
        self._request = compiled.create_infer_request()

    def run(self, batch: Sequence[Array]) -> list[Array]:
        try:
            found = self._request.infer(dict(enumerate(batch)), share_inputs=True)
        except RuntimeError as wrong:
            raise BadInput(str(wrong)[:500]) from wrong
        # Its own memory is written over by the next run.
        return [np.array(found[n]) for n in range(len(self.outputs))]


def load(path: Path, spec: ModelSpec) -> runtimes.Runtime:
    settings: dict[str, Any] = {"INFERENCE_NUM_THREADS": spec.threads, "NUM_STREAMS": 1}
    if spec.precision in _COMPUTES:
        settings["INFERENCE_PRECISION_HINT"] = _COMPUTES[spec.precision]
    try:
        compiled = openvino.Core().compile_model(str(path), "CPU", settings)
    except RuntimeError as wrong:
        raise ModelError(f"{path}: OpenVINO cannot load it: {str(wrong)[:500]}") from wrong
    return _Compiled(compiled)


def _tensor(port: Any, n: int) -> TensorSpec:
    name = port.get_any_name() if port.get_names() else str(n)
    datatype = datatype_of(np.empty(0, port.get_element_type().to_dtype()))
    shape = tuple(d.get_length() if d.is_static else -1 for d in port.get_partial_shape())
    return TensorSpec(name, datatype, shape)
