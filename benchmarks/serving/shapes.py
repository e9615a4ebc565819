"""Shape of one row of each model: for those that write them, in a server's environment, and for those that ask."""

from __future__ import annotations

SHAPES: dict[str, tuple[int, ...]] = {"tiny": (64,), "mlp": (1024,), "transformer": (16, 256), "convolutional": (3, 32, 32)}
