"""Which values a cloud accepts: its own models, then the rules no model carries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.providers.validation import botocore_models, discovery_models, documented, rules, sdk_enums
from sandbox.providers.validation.failure import Failure

_MODELS = {
    "aws": botocore_models.check_values,
    "gcp": discovery_models.check_values,
    "azure-native": sdk_enums.check_values,
}


def check_values(package: str, token: str, args: type, inputs: Mapping[str, Any]) -> Iterator[Failure]:
    """Failures of values whose types are right.

    Args:
        token: without an API version.
        args: the SDK's `…Args` class of the type.
    """
    for failure in _MODELS[package](token, inputs):
        if not documented.allows(args, failure.path, documented.value_at(inputs, failure.path)):
            yield failure
    yield from rules.check_values(token, inputs)
