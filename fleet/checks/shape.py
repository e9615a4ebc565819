"""The shape of a stack file: keys nobody knows, values of the wrong kind, and what of the file is sound all the same.

Pydantic finds the faults; this module says them in a person's words and hands on a spec in which every misshapen
value is replaced, so that the checks of facts can run on all the rest. What hangs on a replaced value is
`broken`, and no check may speak of it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from types import UnionType
from typing import Any, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from fleet.checks.finding import Finding, Path, closest, listed, nearest
from fleet.positions import Document
from fleet.spec import StackSpec

_CLUSTER = {"cloud": "aws", "region": "us-east-1"}
# What stands in for a required field that is missing or misshapen; no check speaks of it, as its path is broken.
_STAND_INS: dict[str, Any] = {
    "owner": "nobody",
    "environment": "dev",
    "clusters": {"unknown": _CLUSTER},
    "accelerator": "nvidia-l4",
    "pool": "unknown",
    "store": "unknown",
    "names": ["unknown"],
    "vcpus": 1,
    "memory_gib": 1,
    "kind": "savings-plan",
    "discount_percent": 1,
    "image": "unknown:1",
    "model": "unknown",
    "state": "unknown",
    "percent": 0,
    "gateway": "unknown",
    "stores": ["unknown"],
    "steps": ["unknown"],
    "of": "unknown",
    "when": "errors",
    "above": 0,
    "emails": ["unknown@example.com"],
    "ends": "2999-01-01T00:00:00Z",
    "rule": "unknown",
    "resource": "unknown",
    "reason": "nobody knows",
    "expires": "2999-01-01",
    "hours": 1,
    "id": "unknown",
    "subnets": {"unknown": "unknown"},
    "purchase": "spot",
    "address": "unknown",
    "start": "0 8 * * *",
    "end": "0 18 * * *",
    "replicas": 1,
    "type": "v3-8",
    **_CLUSTER,
}
# For an item of a list, which must not go: the items after it would move up, and their errors to other lines.
_ITEM_STAND_INS: dict[str, Any] = {
    "allowed_cidrs": "203.0.113.0/24",
    "names": "unknown",
    "taints": "unknown:NoSchedule",
    "reads": "unknown",
    "writes": "unknown",
    "stores": "unknown",
    "steps": "unknown",
    "emails": "unknown@example.com",
    "hosts": "unknown",
    "without": "offered",
    "remediate": "aws-node-imdsv2",
}


@dataclass
class Shape:
    """Faults of shape, the paths they break, and a spec of the rest."""

    spec: StackSpec
    faults: list[Finding] = field(default_factory=list)
    broken: set[Path] = field(default_factory=set)


def check(document: Document) -> Shape:
    """The shape of a document whose data is a map; its misspelt keys are taken for what they mean from here on."""
    shape = Shape(spec=StackSpec.model_construct())
    shape.broken.update(double.path for double in document.twice)
    for fault, broken in _respell(document, StackSpec, document.data, ()):
        shape.faults.append(fault)
        shape.broken.update(broken)
    data = copy.deepcopy(document.data)
    replaced: set[Path] = set()
    before: list[ErrorDetails] = []
    while True:
        try:
            shape.spec = StackSpec.model_validate(data)
        except ValidationError as wrong:
            details = wrong.errors(include_url=False)
        else:
            return shape
        assert details != before, f"a stand-in is as wrong as what it stands for: {details}"
        before = details
        # Names first: another fault in the entry is then found under its new name, once.
        names = [detail for detail in details if "[key]" in detail["loc"]]
        for detail in names or details:
            path: Path = tuple(part for part in detail["loc"] if part != "[key]")
            fault = _finding(document, path, detail)
            if not fault.hangs_on(replaced):  # else a gap that an earlier round made
                shape.faults.append(fault)
            shape.broken.add(path)
            if names:
                _rename(document, data, path)
            else:
                replaced.add(path)
                _replace(data, path)


def _respell(document: Document, model: Any, data: Any, path: Path) -> Iterator[tuple[Finding, list[Path]]]:
    """Unknown keys, each with what it breaks; one that is near a missing field's name is moved there."""
    if get_origin(model) is dict and isinstance(data, dict):
        for key, value in data.items():
            yield from _respell(document, get_args(model)[-1], value, (*path, key))
    if not (isinstance(model, type) and issubclass(model, BaseModel) and isinstance(data, dict)):
        return
    known = sorted(model.model_fields)
    for key in [k for k in data if k not in known]:
        absent = [name for name in known if name not in data]
        meant, value = closest(key, absent), data.pop(key)
        remedy = nearest(key, absent, nearest(key, known, "remove it"))
        message = f"unknown key '{key}'"
        if meant is None:
            # It may have been meant as any of the fields that are not there.
            yield Finding((*path, key), message, "", listed(known), remedy, at_key=True), [(*path, name) for name in absent]
        else:
            data[meant] = value
            document.respelt[*path, meant] = key
            # A guess is no ground to find more fault with a plain value; what is inside a map speaks for itself.
            guessed = [] if isinstance(value, dict) else [(*path, meant)]
            yield Finding((*path, meant), message, "", listed(known), remedy, at_key=True), guessed
    for key, value in data.items():
        yield from _respell(document, _plain(model.model_fields[key].annotation), value, (*path, key))


def _plain(annotation: Any) -> Any:
    """`WeightsSpec | None` without the None."""
    if isinstance(annotation, UnionType):
        return next(part for part in get_args(annotation) if part is not type(None))
    return annotation


def _rename(document: Document, data: Any, path: Path) -> None:
    """Give an entry with an impossible name a possible one, so that what is in it is still checked."""
    parent = _at(data, path[:-1])
    name = next(f"unknown-{i}" for i in range(len(parent) + 1) if f"unknown-{i}" not in parent)
    parent[name] = parent.pop(path[-1])
    document.respelt[*path[:-1], name] = str(path[-1])


def _replace(data: Any, path: Path) -> None:
    """Put a stand-in at the path, or nothing where a default does."""
    # A field inside something misshapen that went before it, in the same round.
    parent = _at(data, path[:-1])
    if isinstance(parent, list):
        item = _model_at(path)
        parent[int(path[-1])] = (
            {name: copy.deepcopy(_STAND_INS[name]) for name in _required(item)}
            if item
            else _ITEM_STAND_INS.get(str(path[-2]), "")
        )
    elif isinstance(parent, dict):
        model, name = _model_at(path[:-1]), str(path[-1])
        if model and name in _required(model):
            parent[name] = copy.deepcopy(_STAND_INS[name])
        else:
            parent.pop(path[-1], None)


def _required(model: type[BaseModel]) -> list[str]:
    return [name for name, field in model.model_fields.items() if field.is_required()]


def _at(data: Any, path: Path) -> Any:
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _model_at(path: Path) -> type[BaseModel] | None:
    """The spec model that a path leads into."""
    here: Any = StackSpec
    for part in path:
        if isinstance(here, type) and issubclass(here, BaseModel):
            known = here.model_fields.get(str(part))
            here = _plain(known.annotation) if known else None
        else:
            # The value type of a map, or the item type of a list.
            here = get_args(here)[-1] if get_args(here) else None
    return here if isinstance(here, type) and issubclass(here, BaseModel) else None


def _field_at(path: Path) -> FieldInfo | None:
    model = _model_at(path[:-1])
    return model.model_fields.get(str(path[-1])) if model else None


# Pydantic's kind of error -> what is wrong, what would do, how to mend it.
_WORDS = {
    "float": ("is not a number", "a number", "write a number, without quotes"),
    "int": ("is not a whole number", "a whole number", "write a whole number, without quotes"),
    "bool": ("is neither true nor false", "true or false", "write true or false, without quotes"),
    "list": ("is not a list", "a list", "write it in brackets: [one, two]"),
    "dict": ("is not a map", "a map of names to entries", "write entries as `name: {…}`, or {} for none"),
    "model": ("is not a map", "a map of fields", "write fields as `key: value`, or {} for defaults"),
    "datetime": ("is no point in time", "such as 2027-01-31T11:30:00Z", "write date and time, and Z for UTC"),
    "date": ("is no day", "such as 2027-01-31", "write year, month and day"),
    "timezone": ("does not say its time zone", "such as 2027-01-31T11:30:00Z", "end it with Z for UTC, or +01:00"),
}


def _finding(document: Document, path: Path, detail: ErrorDetails) -> Finding:
    """Pydantic's detail in our words."""
    kind, value, about = detail["type"], detail["input"], _field_at(path)
    got = _got(document, path, value)
    if kind == "missing":
        allowed = _allowed(about) or (about.description if about else "") or ""
        return Finding(path, f"'{path[-1]}' is missing", "", allowed, f"add {path[-1]}:", at_key=True)
    if kind == "enum":
        # Values of a map have no field of their own.
        known = _allowed(about) or detail["ctx"]["expected"].replace("'", "").replace(" or ", ", ")
        remedy = nearest(str(value), known.split(", "), "use one of the allowed values")
        return Finding(path, "is none of the allowed values", got, known, remedy)
    if kind.startswith("ip_v4_network"):
        return _range(path, got, value)
    if words := _WORDS.get(kind.partition("_")[0]):
        message = "is empty" if value is None else words[0]
        return Finding(path, message, got, _allowed(about) or words[1], words[2])
    if kind.startswith(("greater_than", "less_than")):
        # Values of a map of numbers have no field of their own.
        allowed = _allowed(about) or f"at least {detail['ctx']['ge']:g}"
        return Finding(path, "is out of range", got, allowed, f"write a number: {allowed}")
    return _text(path, got, about, detail)


def _text(path: Path, got: str, about: FieldInfo | None, detail: ErrorDetails) -> Finding:
    """Of what is no text, or not such a text; and of `clusters: {}`, the one map that must not be empty."""
    kind, context, value = detail["type"], detail.get("ctx") or {}, detail["input"]
    if kind == "string_pattern_mismatch":
        pattern = f"the pattern {context['pattern']}"
        if "[key]" in detail["loc"]:
            remedy = "use lower-case letters, digits and single hyphens, from a letter to a letter or digit"
            return Finding(path, f"'{path[-1]}' is not of the allowed form", "", pattern, remedy, at_key=True)
        return Finding(path, "is not of the allowed form", got, pattern, "write it in the allowed form")
    if kind == "string_too_long":
        most = context["max_length"]
        message = f"'{path[-1] if '[key]' in detail['loc'] else value}' is too long a name"
        return Finding(path, message, "", f"up to {most} characters", "shorten it", at_key="[key]" in detail["loc"])
    if kind == "string_type" and isinstance(value, int | float):
        what = "true or false" if isinstance(value, bool) else "a number"
        return Finding(path, f"is {what}, not text", got, "text", f'write it in quotes: "{got}"')
    if kind == "too_short":
        return Finding(path, "is empty", got, "one entry or more", f"add one under {path[-1]}:")
    help_ = (about.description if about else "") or ""
    return Finding(path, "is empty" if value is None else "is not text", got, help_ or "text", "write a plain word")


def _got(document: Document, path: Path, value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return "a map" if isinstance(value, dict) else "a list"
    # As written: 1.30 and not the 1.3 that YAML makes of it.
    return document.texts.get(document.written(path), str(value)) if not isinstance(value, str) else repr(value)


def _allowed(about: FieldInfo | None) -> str:
    """The choices or bounds a field declares, in words; empty where there are none."""
    if about is None:
        return ""
    kind = _plain(about.annotation)
    if isinstance(kind, type) and hasattr(kind, "__members__"):
        return listed(kind.__members__.values())
    low = next((m.ge for m in about.metadata if isinstance(m, Ge)), None)
    high = next((m.le for m in about.metadata if isinstance(m, Le)), None)
    if low is not None and high is not None:
        return f"{low} to {high}"
    return f"at least {low}" if low is not None else ""


def _range(path: Path, got: str, value: Any) -> Finding:
    try:
        fixed = IPv4Network(value, strict=False) if isinstance(value, str) else None
    except ValueError:
        fixed = None
    if fixed is not None:
        return Finding(path, "has bits set behind its prefix length", got, f"{fixed}, which it lies in", f"write {fixed}")
    return Finding(path, "is no IPv4 range", got, "an address and a prefix length", "write it as in 10.0.0.0/16")
