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
# # Magnitude pruning, with a schedule and with NVIDIA's 2:4 pattern
#
# Weights of the least magnitude become zero. *At once* zeroes them after training and stops there. *Gradual* raises the
# sparsity in steps along a cubic curve and trains on after each, with the zeros held (Zhu and Gupta 2017,
# https://arxiv.org/abs/1710.01878). *2:4* keeps the two greatest of every four weights along the input, the pattern that
# tensor cores of Ampere and later multiply at twice the rate (https://arxiv.org/abs/2104.08378).
#
# Zeros alone make nothing faster: a dense kernel multiplies by them all the same. What they save anywhere is the file.

# %%
import zlib
from typing import Any

import jax.numpy as jnp
import numpy as np

from projects import digits
from projects.table import Cell, Table, show, small

Array = Any


# %% [markdown]
# ## Masks


# %%
def magnitude_mask(weights: Array, sparsity: float) -> Array:
    """Ones, and zeros for the least of `weights`: `sparsity` of them, to the nearest weight."""
    flat = np.abs(np.asarray(weights)).ravel()
    mask = np.ones(flat.shape, np.float32)
    # By rank and not by a threshold, or equal weights would fall together.
    mask[np.argsort(flat, kind="stable")[: round(flat.size * sparsity)]] = 0
    return jnp.asarray(mask.reshape(np.shape(weights)))


def two_of_four_mask(weights: Array) -> Array:
    """Ones for the two greatest of each four weights that follow each other along the input, where its size allows."""
    inputs, outputs = np.shape(weights)
    if inputs % 4:
        return jnp.ones((inputs, outputs))
    groups = np.abs(np.asarray(weights)).T.reshape(-1, 4)
    mask = np.zeros(groups.shape, np.float32)
    np.put_along_axis(mask, np.argsort(groups, axis=1, kind="stable")[:, 2:], 1, axis=1)
    return jnp.asarray(mask.reshape(outputs, inputs).T)


def schedule(last: float, steps: int) -> list[float]:
    """Sparsities that rise fast at first, when much can go, and slowly at the end: 1 - (1 - t)³ of the last."""
    return [last * (1 - (1 - n / steps) ** 3) for n in range(1, steps + 1)]


# %% [markdown]
# ## The ways to prune


# %%
def masks_at(params: digits.Params, sparsity: float) -> list[Array]:
    return [magnitude_mask(w, sparsity) for w, _ in params]


def masked(params: digits.Params, masks: list[Array]) -> digits.Params:
    return [(w * mask, b) for (w, b), mask in zip(params, masks, strict=True)]


def gradual(params: digits.Params, last: float, steps: int, epochs: int) -> digits.Params:
    for n, sparsity in enumerate(schedule(last, steps)):
        params = digits.train(params, epochs, masks=masks_at(params, sparsity), rate=0.02, seed=n)
    return params


def two_of_four(params: digits.Params, epochs: int) -> digits.Params:
    return digits.train(params, epochs, masks=[two_of_four_mask(w) for w, _ in params], rate=0.02, seed=1)


# %%
def row(name: str, params: digits.Params, dense: digits.Params) -> tuple[Cell, ...]:
    made = digits.data()
    zeros = sum(int(np.sum(np.asarray(w) == 0)) for w, _ in params)
    of = sum(int(np.size(w)) for w, _ in params)
    packed, was = (
        len(zlib.compress(b"".join(np.asarray(one).tobytes() for layer in net for one in layer), 6)) for net in (params, dense)
    )
    right, before = (digits.accuracy(digits.forward(net, made.test_x), made.test_y) for net in (params, dense))
    return name, zeros / of * 100, right * 100, (before - right) * 100, packed / 1024, was / packed


def run() -> Table:
    widths, epochs, steps, each = ((128, 128), 5, 2, 2) if small() else ((256, 256), 15, 5, 3)
    dense = digits.train(digits.init(widths), epochs)
    rows = [row("dense", dense, dense)]
    for sparsity in (0.5, 0.9) if small() else (0.5, 0.8, 0.9, 0.95, 0.98):
        rows.append(row(f"{sparsity:.0%} at once", masked(dense, masks_at(dense, sparsity)), dense))
        rows.append(row(f"{sparsity:.0%} gradual", gradual(dense, sparsity, steps, each), dense))
    rows.append(row("2:4", two_of_four(dense, each), dense))
    return Table(
        f"Magnitude pruning, layers {digits.PIXELS}-{'-'.join(map(str, widths))}-{digits.CLASSES}",
        ("how", "zeros %", "right %", "loss points", "KiB packed", "smaller x"),
        tuple(rows),
        (
            "450 digits. Packed: zlib of the weights as they are, 32 bits each.",
            "Speed is not shown: dense kernels gain nothing by zeros, and 2:4 needs NVIDIA Ampere or newer.",
        ),
    )


# %%
if __name__ == "__main__":
    table = run()
    show(table)
