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
# # Knowledge distillation
#
# A small student learns from the digits and from the answers of a large teacher. At a temperature above 1 the teacher's
# softmax also says which wrong digits are nearly right, which a label does not (Hinton, Vinyals, Dean 2015,
# https://arxiv.org/abs/1503.02531). The loss is `a·T²·KL(teacher ‖ student) + (1 - a)·cross entropy`; T² keeps the soft part's
# gradients as large as the hard part's.
#
# Each student is trained several times, alone and distilled, from the same starts in the same order of batches: one run
# says nothing, as students differ by more than distillation gives.

# %%
import statistics
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from projects import digits
from projects.measure import milliseconds, ready
from projects.table import Cell, Table, show, small

Array = Any
TEMPERATURE = 4.0
SOFT = 0.7  # a above


# %%
def distillation_loss(params: digits.Params, x: Array, target: Array) -> Array:
    """Of a student against targets of ten teacher's logits and the digit."""
    teacher, y = target[:, : digits.CLASSES], target[:, digits.CLASSES].astype(jnp.int32)
    logits = digits.forward(params, x)
    soft = jax.nn.log_softmax(teacher / TEMPERATURE)
    gap = jnp.sum(jnp.exp(soft) * (soft - jax.nn.log_softmax(logits / TEMPERATURE)), axis=1)
    hard = -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1)[:, 0]
    return jnp.mean(SOFT * TEMPERATURE**2 * gap + (1 - SOFT) * hard)


def targets(teacher: digits.Params) -> Array:
    """What students are given: the teacher's logits, and the digit as an eleventh column."""
    made = digits.data()
    return jnp.concatenate([digits.forward(teacher, made.train_x), made.train_y[:, None].astype(jnp.float32)], axis=1)


# %%
def right(params: digits.Params) -> float:
    made = digits.data()
    return digits.accuracy(digits.forward(params, made.test_x), made.test_y) * 100


def row(name: str, nets: list[digits.Params], teacher: digits.Params, faster: float) -> tuple[Cell, ...]:
    each = [right(net) for net in nets]
    size = digits.count(nets[0])
    spread = statistics.stdev(each) if len(each) > 1 else None
    return name, size, digits.count(teacher) / size, faster, statistics.mean(each), spread, len(each)


def run() -> Table:
    students: tuple[tuple[int, ...], ...] = ((8,),) if small() else ((4,), (8,), (16,), (32, 32))
    starts, epochs = (2, 8) if small() else (5, 20)
    width = 256 if small() else 512
    teacher = digits.train(digits.init((width, width)), epochs)
    soft = targets(teacher)
    many = jnp.tile(digits.data().test_x, (8, 1))
    forward = jax.jit(digits.forward)
    fresh = {"teacher": teacher, **{str(widths): digits.init(widths) for widths in students}}
    ms = milliseconds(
        {name: partial(lambda net: ready(forward(net, many)), net) for name, net in fresh.items()},
        5 if small() else 50,
    )
    rows = [row("teacher", [teacher], teacher, 1.0)]
    for widths in students:
        first = [digits.init(widths, seed) for seed in range(starts)]
        alone = [digits.train(net, epochs, seed=n) for n, net in enumerate(first)]
        taught = [digits.train(net, epochs, seed=n, loss=distillation_loss, targets=soft) for n, net in enumerate(first)]
        name, faster = "-".join(map(str, widths)), ms["teacher"] / ms[str(widths)]
        rows += [row(f"{name} alone", alone, teacher, faster), row(f"{name} distilled", taught, teacher, faster)]
    return Table(
        f"Distillation, T = {TEMPERATURE:g}, a = {SOFT:g}",
        ("network", "weights", "smaller x", "faster x", "right %", "± %", "runs"),
        tuple(rows),
        ("450 digits; means over starts, ± one standard deviation. Speed: 3,600 images at once on this machine.",),
    )


# %%
if __name__ == "__main__":
    table = run()
    show(table)
