"""Each chart's values.schema.json, out of its values.yaml and `shapes.yaml`: closed, so that helm refuses unknown keys.

A value has the type of its default, and what its `# @` line demands on top. Shapes that several values or charts share,
and rules between values, are in `shapes.yaml`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from charts.values import Value, values

SHAPES = Path(__file__).with_name("shapes.yaml")
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
_REF = "#/definitions/"


def text(chart: Path) -> str:
    """What the chart's values.schema.json should be.

    Raises:
        ValueError: a value's shape is open or unknown; see `_shape`.
    """
    shapes = yaml.safe_load(SHAPES.read_text())
    title = {"$schema": "http://json-schema.org/draft-07/schema#", "title": f"Values of the chart {chart.name}"}
    root: dict[str, Any] = {**title, **_section(), **shapes["rules"].get(chart.name, {})}
    for value in values((chart / "values.yaml").read_text()):
        section = root
        for key in value.path[:-1]:
            section = section["properties"][key]
        section["properties"][value.path[-1]] = _shape(value, shapes["definitions"])
    used = {name: shape for name, shape in shapes["definitions"].items() if f'"{_REF}{name}"' in json.dumps(root)}
    return json.dumps({**root, "definitions": used}, indent=2) + "\n"


def _section() -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": {}}


def _shape(value: Value, definitions: dict[str, Any]) -> dict[str, Any]:
    """A value's schema.

    Raises:
        ValueError: a list or a map of anything, or a shape that `shapes.yaml` does not have.
    """
    name = ".".join(value.path)
    if value.default is None:
        return {**_section(), **value.demands}
    for ref in _refs(value.demands):
        if ref.removeprefix(_REF) not in definitions:
            raise ValueError(f"{name}: {ref} is not in {SHAPES.name}, which has {', '.join(definitions)}")
    described = {"description": value.words}
    if "$ref" in value.demands:  # beside one, draft 7 knows no other word
        return {**described, "allOf": [value.demands]}
    wanted = {"type": _TYPES[type(value.default)], **value.demands}
    closing = {"array": "items", "object": "additionalProperties"}.get(str(wanted["type"]))
    if closing and closing not in wanted:
        raise ValueError(f"{name} takes anything: write '# @ {{{closing}: …}}' above it")
    return {**described, **wanted}


def _refs(thing: Any) -> list[str]:
    if isinstance(thing, list):
        return [ref for inner in thing for ref in _refs(inner)]
    if isinstance(thing, dict):
        return [ref for key, inner in thing.items() for ref in ([inner] if key == "$ref" else _refs(inner))]
    return []
