"""What people write in `model.yaml`: its shape, its defaults and nothing else.

Closed: an unknown key is a fault. Reading the file, with line numbers, is `serving.describe`'s; what a runtime can do is
`serving.runtimes`'.
"""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StringConstraints, model_validator

from serving.tensors import TensorSpec


class Kind(StrEnum):
    ONNX = "onnx"
    OPENVINO = "openvino"
    TORCHSCRIPT = "torchscript"
    XLA = "xla"
    TVM = "tvm"


class Device(StrEnum):
    """Where it runs; `auto` is a GPU where the runtime finds one, and the CPU elsewhere."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"


class Precision(StrEnum):
    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    INT8 = "int8"


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Place = Annotated[str, StringConstraints(min_length=1, max_length=2048)]
Milliseconds = Annotated[float, Field(ge=0, le=3_600_000, allow_inf_nan=False)]


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileSpec(_Spec):
    path: Place = Field(description="s3://, gs://, abfss://, or a path; relative to the model.yaml.")
    sha256: Sha256 | None = Field(default=None, description="What `sha256sum` prints; another file is refused.")


class ModelFileSpec(FileSpec):
    beside: list[FileSpec] = Field(
        default_factory=list, description="What must lie next to it: ONNX external data, OpenVINO's .bin."
    )


class BatchingSpec(_Spec):
    max_batch: StrictInt = Field(default=32, ge=1, le=4096, description="Rows that run together at most; 1 for no batching.")
    instances: StrictInt = Field(
        default=1, ge=1, le=64, description="Batches that run at the same time, each on `threads` of its own; onnx only."
    )
    max_wait_ms: Milliseconds = Field(
        default=0, description="How long a batch may wait for more, straight after another; an idle model never waits."
    )
    max_queue: StrictInt = Field(default=256, ge=1, le=100_000, description="Requests that wait at most; more get 429.")
    timeout_ms: Milliseconds = Field(default=30_000, gt=0, description="Longest a request may take; it can ask for less.")


class WarmUpSpec(_Spec):
    shapes: dict[str, list[Annotated[StrictInt, Field(ge=1, le=1_000_000)]]] = Field(
        default_factory=dict, description="By input: one request's shape, where the model leaves sizes open."
    )


class TensorShape(_Spec):
    """A tensor of a model whose file does not describe it."""

    name: Place
    datatype: Literal["BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64"]
    shape: list[Annotated[StrictInt, Field(ge=-1, le=2**31 - 1)]] = Field(description="-1 where any size will do.")

    @property
    def spec(self) -> TensorSpec:
        return TensorSpec(self.name, self.datatype, tuple(self.shape))


class TensorsSpec(_Spec):
    """Inputs and outputs in the model's order, for runtimes whose files do not say them."""

    inputs: list[TensorShape] = Field(min_length=1)
    outputs: list[TensorShape] = Field(min_length=1)

    @property
    def input_specs(self) -> tuple[TensorSpec, ...]:
        return tuple(one.spec for one in self.inputs)

    @property
    def output_specs(self) -> tuple[TensorSpec, ...]:
        return tuple(one.spec for one in self.outputs)


class ModelSpec(_Spec):
    """One model: what it is, where its files are, how requests are put together."""

    name: Name = Field(description="What clients call it.")
    version: Name = Field(default="1", description="The one version that is served.")
    runtime: Kind = Kind.ONNX
    device: Device = Device.AUTO
    precision: Precision = Field(default=Precision.FP32, description="Which of `files` is served.")
    files: dict[Precision, ModelFileSpec] = Field(min_length=1, description="The model by precision.")
    threads: StrictInt = Field(
        default_factory=lambda: max(1, len(os.sched_getaffinity(0)) - 1 if hasattr(os, "sched_getaffinity") else 1),
        ge=1,
        le=1024,
        description="Threads one run may use on a CPU; default: all but one, which reads and writes requests.",
    )
    allow_non_finite: StrictBool = Field(default=False, description="Take NaN and infinity as inputs.")
    tensors: TensorsSpec | None = Field(default=None, description="For torchscript and tvm; xla's names.")
    batching: BatchingSpec = BatchingSpec()
    warm_up: WarmUpSpec = WarmUpSpec()

    @property
    def file(self) -> ModelFileSpec:
        return self.files[self.precision]

    @model_validator(mode="after")
    def _the_precision_has_a_file(self) -> ModelSpec:
        if self.precision not in self.files:
            has = ", ".join(sorted(self.files))
            raise ValueError(f"files has none for precision {self.precision}: add files.{self.precision}, or say one of {has}")
        return self

    @model_validator(mode="after")
    def _tensors_are_described_once(self) -> ModelSpec:
        if self.runtime in (Kind.TORCHSCRIPT, Kind.TVM) and self.tensors is None:
            raise ValueError(f"tensors is missing: a {self.runtime} file does not say its inputs and outputs")
        if self.runtime in (Kind.ONNX, Kind.OPENVINO) and self.tensors is not None:
            raise ValueError(f"tensors has no place here: {self.runtime} files say their inputs and outputs themselves")
        return self
