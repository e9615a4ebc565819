"""Device memory that a decoder-only language model takes, to serve and to train: arithmetic on its shape, nothing measured.

Weights, KV cache and optimizer states are exact sums. Activations are a published estimate; what a framework keeps besides
(CUDA context, NCCL buffers, fragments) is what `USABLE` leaves. GiB throughout. Sources:
ZeRO, arXiv:1910.02054 section 3.1 (16 bytes a parameter with Adam in mixed precision, and what each stage divides);
QLoRA, arXiv:2305.14314 section 3 (4-bit weights with doubly quantized constants: 0.127 bits a parameter more);
activations, arXiv:2205.05198 (34 bytes a token, layer and hidden unit without attention scores; 2 of each layer's input).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

_DATA = Path(__file__).parent / "catalog" / "data" / "models.csv"
_GIB = 1024**3
# vLLM's gpu_memory_utilization: the part of a device that weights and cache may take.
# https://docs.vllm.ai/en/v0.11.0/configuration/engine_args.html
USABLE = 0.9
# Adam in mixed precision, bytes a trained parameter: 16-bit weight and gradient; 32-bit weight, momentum and variance.
_WEIGHT, _GRADIENT, _OPTIMIZER = 2, 2, 12
_ACTIVATION, _KEPT_INPUT = 34, 2
_CONSTANTS_BITS = 0.127


class Precision(StrEnum):
    """How a number is kept; INT8 and INT4 are of the weights alone, which are made wider as they are used."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    FP8 = "fp8"
    INT8 = "int8"
    INT4 = "int4"

    @property
    def bits(self) -> int:
        return _BITS[self]

    @property
    def weights_only(self) -> bool:
        return self in (Precision.INT8, Precision.INT4)


_BITS = {
    Precision.FP32: 32,
    Precision.FP16: 16,
    Precision.BF16: 16,
    Precision.FP8: 8,
    Precision.INT8: 8,
    Precision.INT4: 4,
}


class Training(StrEnum):
    """What is trained: every weight, or low-rank adapters beside frozen weights of 16 or 4 bits."""

    FULL = "full"
    LORA = "lora"
    QLORA = "qlora"


@dataclass(frozen=True, kw_only=True)
class Model:
    """A decoder-only transformer by its shape; `params` counts parameters, one by one."""

    name: str
    params: int
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int

    @property
    def kv_width(self) -> int:
        """Numbers of one key, or value, of one token in one layer."""
        return self.hidden // self.heads * self.kv_heads

    def adapters(self, rank: int) -> int:
        """Parameters of LoRA adapters of this rank on all seven matrices of each layer."""
        attention = 2 * (self.hidden + self.hidden) + 2 * (self.hidden + self.kv_width)
        return self.layers * rank * (attention + 3 * (self.hidden + self.intermediate))


@cache
def known() -> dict[str, Model]:
    """Models whose shape is in data/models.csv, by name."""
    with _DATA.open(newline="") as file:
        return {
            row["model"]: Model(
                name=row["model"],
                params=round(float(row["params_billion"]) * 1e9),
                **{key: int(row[key]) for key in ("layers", "hidden", "intermediate", "heads", "kv_heads")},
            )
            for row in csv.DictReader(file)
        }


def weights_gib(params: int, precision: Precision) -> float:
    """All weights, once."""
    return params * precision.bits / 8 / _GIB


def kv_cache_gib(model: Model, tokens: int, precision: Precision = Precision.BF16) -> float:
    """Keys and values of so many tokens, of all requests together."""
    return 2 * model.layers * model.kv_width * tokens * precision.bits / 8 / _GIB


def activations_gib(model: Model, tokens: int, *, checkpointing: bool) -> float:
    """What the backward pass keeps of so many tokens a device; with checkpointing each layer's input, and one layer whole.

    For attention that never writes its scores down (flash attention). Logits are not in it.
    """
    layer = _ACTIVATION * tokens * model.hidden
    kept = _KEPT_INPUT * tokens * model.hidden * model.layers + layer if checkpointing else layer * model.layers
    return kept / _GIB


def states_gib(model: Model, how: Training, *, stage: int = 0, devices: int = 1, rank: int = 16) -> float:
    """Weights, gradients and optimizer states on each of `devices` that ZeRO's stage divides them among.

    Args:
        stage: 0 divides nothing, 1 the optimizer's states, 2 gradients, too, 3 (FSDP's full sharding) the weights as well.
        rank: of LoRA's adapters.

    Raises:
        ValueError: ZeRO has no such stage.
    """
    if stage not in range(4):
        raise ValueError(f"ZeRO has stages 0 to 3, not {stage}")
    trained = model.params if how is Training.FULL else model.adapters(rank)
    frozen_bits = {Training.FULL: 0.0, Training.LORA: 16.0, Training.QLORA: 4 + _CONSTANTS_BITS}[how]
    weights = trained * _WEIGHT + model.params * frozen_bits / 8
    parts = (trained * _OPTIMIZER, trained * _GRADIENT, weights)
    return sum(part / (devices if stage > i else 1) for i, part in enumerate(parts)) / _GIB
