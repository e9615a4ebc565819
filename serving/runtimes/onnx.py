"""ONNX Runtime: on the CPU, CUDA or TensorRT execution provider.

Owns the session's options. Refuses to fall back: a model asked for on a GPU that ends up on the CPU is an error here,
not a warning in a log. https://onnxruntime.ai/docs/execution-providers/
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime as ort

from serving import runtimes
from serving.errors import BadInput, Broken, Missing, ModelError
from serving.spec import Device, ModelSpec, Precision
from serving.tensors import Array, TensorSpec, filled

_PROVIDERS = {
    Device.CPU: "CPUExecutionProvider",
    Device.CUDA: "CUDAExecutionProvider",
    Device.TENSORRT: "TensorrtExecutionProvider",
}
_DATATYPES = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}
# After one of these every later call in the process fails, too.
_FATAL = ("CUDA failure", "CUDNN failure", "CUBLAS failure", "cudaError")
_STATE = ort.capi.onnxruntime_pybind11_state
_MODEL_SAYS_NO = (_STATE.InvalidArgument, _STATE.Fail, _STATE.RuntimeException, _STATE.NotImplemented)


class _Session:
    def __init__(self, session: ort.InferenceSession, device: Device) -> None:
        self.inputs = tuple(_tensor(one, "input") for one in session.get_inputs())
        self.outputs = tuple(_tensor(one, "output") for one in session.get_outputs())
        self.device = device.value
        self._run = session.run
        self._names = [one.name for one in self.inputs]
        self._wanted = [one.name for one in self.outputs]
        self._texts = any(one.datatype == "BYTES" for one in self.inputs)

    def run(self, batch: Sequence[Array]) -> list[Array]:
        if self._texts:
            batch = [_text(one) if one.dtype == object else one for one in batch]
        try:
            outputs: list[Array] = self._run(self._wanted, dict(zip(self._names, batch, strict=True)))
            return outputs
        except _MODEL_SAYS_NO as wrong:
            said = str(wrong)
            if any(sign in said for sign in _FATAL):
                raise Broken(said) from wrong
            raise BadInput(said[:500]) from wrong


def load(path: Path, spec: ModelSpec) -> runtimes.Runtime:
    device = _device(spec)
    options = ort.SessionOptions()
    options.intra_op_num_threads = spec.threads
    options.inter_op_num_threads = 1
    # A spinning thread is quick to start and takes the time in which requests are read and answers written.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(str(path), options, providers=_providers(device, spec, path))
    except Exception as wrong:  # a dozen kinds, none with a common ancestor of its own
        raise ModelError(f"{path}: ONNX Runtime cannot load it: {str(wrong)[:500]}") from wrong
    if session.get_providers()[0] != _PROVIDERS[device]:
        raise Missing(
            f"model '{spec.name}': {_PROVIDERS[device]} did not start, {session.get_providers()[0]} would run instead; "
            "check the driver, CUDA and cuDNN against https://onnxruntime.ai/docs/execution-providers/"
        )
    try:
        return _Session(session, device)
    except ModelError as wrong:
        raise ModelError(f"{path}: {wrong}") from None


def _text(array: Array) -> Array:
    """Bytes as the text they are: ONNX Runtime would take their Python notation for it.

    Raises:
        BadInput: they are none.
    """
    try:
        return filled([one.decode() if isinstance(one, bytes) else one for one in array.flat], array.shape)
    except UnicodeDecodeError as wrong:
        raise BadInput(f"a text is no UTF-8: {wrong}") from None


def _device(spec: ModelSpec) -> Device:
    has = ort.get_available_providers()
    if spec.device is Device.AUTO:
        # TensorRT compiles for minutes at the first start; who wants that says so.
        if _PROVIDERS[Device.CUDA] in has and runtimes.on(spec, Device.CUDA):
            return Device.CUDA
        if not runtimes.on(spec, Device.CPU):
            raise Missing(
                f"model '{spec.name}': {spec.precision} needs a GPU and this ONNX Runtime has none, only {', '.join(has)}; "
                "pip install './serving[gpu]' in place of onnxruntime, or serve another precision"
            )
        return Device.CPU
    if _PROVIDERS[spec.device] not in has:
        raise Missing(
            f"model '{spec.name}': this ONNX Runtime has no {_PROVIDERS[spec.device]}, only {', '.join(has)}; "
            "pip install './serving[gpu]' in place of onnxruntime, or say device: cpu"
        )
    return spec.device


def _providers(device: Device, spec: ModelSpec, path: Path) -> list[str | tuple[str, dict[str, Any]]]:
    cpu: list[str | tuple[str, dict[str, Any]]] = [_PROVIDERS[Device.CPU]]
    # Not the default, which doubles the arena with each growth.
    cuda = (_PROVIDERS[Device.CUDA], {"arena_extend_strategy": "kSameAsRequested"})
    if device is Device.CPU:
        return cpu
    if device is Device.CUDA:
        return [cuda, *cpu]
    engines = {
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(path.parent),
        "trt_fp16_enable": spec.precision is Precision.FP16,
        "trt_bf16_enable": spec.precision is Precision.BF16,
        "trt_int8_enable": spec.precision is Precision.INT8,
    }
    return [(_PROVIDERS[Device.TENSORRT], engines), cuda, *cpu]


def _tensor(one: Any, side: str) -> TensorSpec:
    if one.type not in _DATATYPES:
        raise ModelError(
            f"{side} '{one.name}' is {one.type}, which the protocol cannot carry; export it as a tensor of "
            f"{', '.join(sorted(set(_DATATYPES.values())))}, such as with a Cast at the {side}"
        )
    return TensorSpec(one.name, _DATATYPES[one.type], tuple(d if isinstance(d, int) and d > 0 else -1 for d in one.shape))
