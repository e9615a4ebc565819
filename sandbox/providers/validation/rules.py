"""Checks by the rules no API model carries: `limits` by type, and the regions that AWS has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.providers.validation import botocore_models
from sandbox.providers.validation.failure import Failure, show
from sandbox.providers.validation.limits import ORDERS, RULES
from sandbox.providers.validation.names import did_you_mean
from sandbox.providers.validation.rule_kinds import number
from sandbox.providers.validation.shapes import is_known


def check_values(token: str, inputs: Mapping[str, Any]) -> Iterator[Failure]:
    """Failures by the rules of a type, and by where an aws resource is put."""
    for pattern, rule in RULES.get(token, {}).items():
        for path, value in _found(inputs, pattern):
            complaint = rule.complaint(value) if is_known(value) else None
            if complaint:
                yield Failure(path, complaint)
    for order in ORDERS.get(token, ()):
        yield from _check_order(inputs, order)
    if token.startswith("aws:"):
        yield from _check_region(inputs)


def _check_region(inputs: Mapping[str, Any]) -> Iterator[Failure]:
    known = botocore_models.regions()
    region = inputs.get("region")
    if isinstance(region, str) and is_known(region) and region and region not in known:
        yield Failure("region", f"{show(region)} is no AWS region{did_you_mean(region, known, at_most=0)}")
    zone = inputs.get("availabilityZone")
    # us-east-1a; a local zone is us-west-2-lax-1a, a wavelength zone us-east-1-wl1-bos-wlz-1.
    if isinstance(zone, str) and is_known(zone) and zone and not any(re.fullmatch(f"{r}([a-z]|-.+)", zone) for r in known):
        yield Failure("availabilityZone", f"{show(zone)} is no availability zone of a known region: us-east-1a is one")


def _check_order(inputs: Mapping[str, Any], order: tuple[str, ...]) -> Iterator[Failure]:
    """Where two properties contradict, the greater bound is named: it is the one a cloud's message names."""
    groups: dict[str, list[tuple[str, float]]] = {}
    for pattern in order:
        for path, value in _found(inputs, pattern):
            given = number(value)
            # Ports count from -1, which says all of them.
            if given is not None and given != -1:
                groups.setdefault(path.rpartition(".")[0], []).append((path, given))
    for bounds in groups.values():
        for index, (path, upper) in enumerate(bounds):
            lower = next((b for b in bounds[:index] if b[1] > upper), None)
            if lower is not None:
                yield Failure(path, f"{upper:g} is less than {lower[0].rpartition('.')[2]}, which is {lower[1]:g}")
                break


def _found(value: Any, pattern: str) -> Iterator[tuple[str, Any]]:
    """The values at a path with `[]` for each item of a list: (path with indices, value)."""
    name, _, rest = pattern.partition(".")
    each = name.endswith("[]")
    key = name.removesuffix("[]")
    item = value.get(key) if isinstance(value, Mapping) else None
    if item is None:
        return
    items = (
        [(key, item)]
        if not each
        else [(f"{key}[{i}]", v) for i, v in enumerate(item)]
        if isinstance(item, list | tuple)
        else []
    )
    for where, below in items:
        if not rest:
            yield where, below
        else:
            yield from ((f"{where}.{path}", found) for path, found in _found(below, rest))
