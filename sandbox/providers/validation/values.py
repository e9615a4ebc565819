"""Which values a cloud accepts; each cloud's models in a module of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.providers.validation.failure import Failure


def check_values(package: str, token: str, inputs: Mapping[str, Any]) -> Iterator[Failure]:
    """Failures of values whose types are right."""
    yield from ()
