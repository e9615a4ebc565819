# ---
# jupyter:
#   jupytext:
#     formats: py:percent,ipynb
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Mixed precision: FP32, BF16, FP16, and why FP16 needs loss scaling
#
# The network computes in halves while its weights are kept and updated in FP32 (Micikevicius and others 2018,
# https://arxiv.org/abs/1710.03740). BF16 has FP32's range and 8 bits of precision; FP16 has 11 bits and ends at 65,504 above
# and 6e-8 below, where small gradients become zero. So the loss is multiplied before the gradients are taken and they are
# divided after: the scale doubles after so many good steps, and halves when a gradient is not finite, which skips the step.
#
# TF32 is no type to compute in: it is how Ampere and later tensor cores multiply FP32 matrices, with 10 bits of mantissa.
# A CPU has none of it, so its row is absent here; on a GPU the same script measures it.

# %%
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from projects import digits
from projects.measure import milliseconds, ready
from projects.table import Cell, Table, show, small

Array = Any


@dataclass(frozen=True)
class Policy:
    """How one run computes.

    Attributes:
        dtype: of activations and gradients; weights are kept in float32.
        scale: of the loss at first; 1 and not `dynamic` is none.
        matmul: JAX's precision of FP32 products, where it is not the usual.
    """

    name: str
    dtype: Any
    scale: float = 1.0
    dynamic: bool = False
    matmul: str | None = None


POLICIES = (
    Policy("fp32", jnp.float32),
    Policy("bf16", jnp.bfloat16),
    Policy("fp16, no scaling", jnp.float16),
    # Far too high at first, on purpose: the first steps overflow and are skipped until it fits.
    Policy("fp16, dynamic scaling", jnp.float16, scale=2.0**24, dynamic=True),
)
TF32 = Policy("tf32", jnp.float32, matmul="tensorfloat32")


# %% [markdown]
# ## One step
#
# The state is a tuple, so that all steps are one program on the device.

# %%
GOOD_STEPS = 50  # after so many without an overflow the scale doubles; frameworks say 2,000, for longer runs
State = tuple[digits.Params, digits.Params, Array, Array, Array, Array]


def gradients(policy: Policy, params: digits.Params, x: Array, y: Array, scale: Array) -> digits.Params:
    """Of the scaled loss, in the policy's type, before anything is divided."""

    def loss(half: digits.Params) -> Array:
        logits = digits.forward(half, x.astype(policy.dtype)).astype(jnp.float32)
        # The softmax stays in FP32, as in every recipe.
        picked = jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1)
        return -jnp.mean(picked) * scale

    half = jax.tree.map(lambda one: one.astype(policy.dtype), params)
    with jax.default_matmul_precision(policy.matmul or "default"):
        grads: digits.Params = jax.grad(loss)(half)
    return grads


def step(policy: Policy, state: State, x: Array, y: Array) -> State:
    """One update, or none where a gradient is not finite; counts zeros among the gradients, and skipped steps."""
    params, speed, scale, good, skipped, zeros = state
    grads = gradients(policy, params, x, y, scale)
    leaves = jax.tree.leaves(grads)
    finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(one)) for one in leaves]))
    share = jnp.mean(jnp.concatenate([(one == 0).ravel() for one in leaves]))
    unscaled = jax.tree.map(lambda one: one.astype(jnp.float32) / scale, grads)
    new_speed = jax.tree.map(lambda v, g: 0.9 * v + g, speed, unscaled)
    new_params = jax.tree.map(lambda p, v: p - 0.05 * v, params, new_speed)
    params, speed = jax.tree.map(lambda new, old: jnp.where(finite, new, old), (new_params, new_speed), (params, speed))
    good = jnp.where(finite, good + 1, 0)
    if policy.dynamic:
        doubled = jnp.where(good >= GOOD_STEPS, scale * 2, scale)
        scale, good = jnp.where(finite, doubled, scale / 2), jnp.where(good >= GOOD_STEPS, 0, good)
    return params, speed, scale, good, skipped + ~finite, zeros + share


# %% [markdown]
# ## Training, and what is measured
#
# Memory is what XLA plans for one step's temporaries at a batch of 1,024, where activations outweigh the weights. Time is of
# that step, too. A CPU computes halves by turning them into FP32 and back, so it is slower with them, not faster; with AMX or
# AVX512-BF16 instructions BF16 gains. Tensor cores are where both pay.


# %%
def trained(policy: Policy, widths: tuple[int, ...], epochs: int) -> State:
    made = digits.data()
    params = digits.init(widths)
    zero = jnp.float32(0)
    state: State = (params, jax.tree.map(jnp.zeros_like, params), jnp.float32(policy.scale), zero, zero, zero)

    def one(state: State, rows: Array) -> tuple[State, None]:
        return step(policy, state, made.train_x[rows], made.train_y[rows]), None

    ended: State = jax.jit(lambda state, rows: jax.lax.scan(one, state, rows)[0])(state, digits.batches(epochs))
    return ended


def row(policy: Policy, widths: tuple[int, ...], epochs: int, compiled: Any, ms: float, fp32_ms: float) -> tuple[Cell, ...]:
    made = digits.data()
    params, _, scale, _, skipped, zeros = trained(policy, widths, epochs)
    half = jax.tree.map(lambda one: one.astype(policy.dtype), params)
    right = digits.accuracy(digits.forward(half, jnp.asarray(made.test_x, policy.dtype)), made.test_y)
    steps = len(digits.batches(epochs))
    memory = compiled.memory_analysis()
    mib = memory.temp_size_in_bytes / 2**20 if memory else None
    return policy.name, right * 100, mib, ms, fp32_ms / ms, float(zeros) / steps * 100, int(skipped), float(scale)


def run() -> Table:
    widths, epochs, rounds = ((128, 128), 4, 3) if small() else ((512, 512), 15, 10)
    ampere = jax.default_backend() == "gpu"
    policies = (*POLICIES, TF32) if ampere else POLICIES
    params = digits.init(widths)
    zero = jnp.float32(0)
    x, y = jnp.ones((1024, digits.PIXELS)), jnp.zeros(1024, jnp.int32)
    compiled, sides = {}, {}
    for policy in policies:
        state: State = (params, jax.tree.map(jnp.zeros_like, params), jnp.float32(policy.scale), zero, zero, zero)
        program = jax.jit(lambda state, x, y, policy=policy: step(policy, state, x, y)).lower(state, x, y).compile()
        compiled[policy.name] = program
        sides[policy.name] = lambda program=program, state=state: ready(program(state, x, y))
    ms = milliseconds(sides, rounds)
    rows = [row(p, widths, epochs, compiled[p.name], ms[p.name], ms["fp32"]) for p in policies]
    if not ampere:
        rows.append((TF32.name, *(None,) * 7))
    return Table(
        f"Mixed precision on {jax.default_backend()}, layers {digits.PIXELS}-{'-'.join(map(str, widths))}-{digits.CLASSES}",
        ("policy", "right %", "MiB a step", "ms a step", "faster x", "zero gradients %", "steps skipped", "last scale"),
        tuple(rows),
        (
            "Accuracy on 450 digits; MiB: temporaries that XLA plans for a step of 1,024 images.",
            "tf32 needs tensor cores: NVIDIA Ampere or newer.",
        ),
    )


# %%
if __name__ == "__main__":
    table = run()
    show(table)
