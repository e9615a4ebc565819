"""Names across languages: one spelling for `maxSize`, `max_size` and `MaxSize`, and a nearest guess for a wrong one."""

from __future__ import annotations

import difflib
import functools
import keyword
import re
from collections.abc import Iterable


@functools.cache
def normal(name: str) -> str:
    """Letters and digits only, lower case: `osDiskSizeGB` and `OsDiskSizeGb` are one name."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


@functools.cache
def singular(normalised: str) -> str:
    """English singular of a normalised name, as providers form them: `policies` → `policy`, `addresses` → `address`."""
    if normalised.endswith("ies"):
        return normalised[:-3] + "y"
    if normalised.endswith(("sses", "xes", "ches", "shes")):
        return normalised[:-2]
    if normalised.endswith("s") and not normalised.endswith(("ss", "us", "is")):
        return normalised[:-1]
    return normalised


@functools.cache
def snake(name: str) -> str:
    """The Python name an SDK gives a wire name: `getAMIs` → `get_amis`, `lambda` → `lambda_`."""
    parted = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)).lower()
    return parted + "_" if keyword.iskeyword(parted) else parted


def did_you_mean(wrong: str, known: Iterable[str], *, at_most: int = 6) -> str:
    """`; did you mean 'X'?` where something is near, else what there is, so long as the list stays readable."""
    by_normal = {normal(k): k for k in known}
    near = difflib.get_close_matches(normal(wrong), by_normal, n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{by_normal[near[0]]}'?"
    if 0 < len(by_normal) <= at_most:
        return "; known: " + ", ".join(sorted(by_normal.values()))
    return ""
