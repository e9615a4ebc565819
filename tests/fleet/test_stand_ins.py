"""What stands in for a required field that is missing or misshapen: something does, wherever a stack file has one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel, TypeAdapter

from fleet.checks import shape
from fleet.load import StackErrors, load_stack
from fleet.spec import StackSpec

WRONG = """
owner: ml-platform
environment: dev
clusters:
  main:
    cloud: aws
    region: us-east-1
    api: {allowed_cidrs: [203.0.113.0/24]}
    pools:
      a: {accelerator: nvidia-l4, nodes: {max: 2}, capacity: %s}
"""


def models(of: Any, seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    """Every model below an annotation, once."""
    if isinstance(of, type) and issubclass(of, BaseModel) and of not in seen:
        seen.add(of)
        yield of
        for field in of.model_fields.values():
            yield from models(field.annotation, seen)
    for part in get_args(of):
        yield from models(part, seen)


def lists() -> Iterator[tuple[str, Any]]:
    """Every field of a stack file that is a list, or may be one, and its items."""
    for model in models(StackSpec, set()):
        for name, field in model.model_fields.items():
            for kind in (field.annotation, *get_args(field.annotation)):
                if get_origin(kind) in (list, tuple):
                    yield name, get_args(kind)[0]


def test_every_items_stand_in_is_one_that_its_list_takes() -> None:
    found = {name: item for name, item in lists() if not (isinstance(item, type) and issubclass(item, BaseModel))}
    assert {"reads", "emails", "taints"} <= set(found)
    for name, item in found.items():
        TypeAdapter(item).validate_python(shape._ITEM_STAND_INS.get(name, ""))


@pytest.mark.parametrize("item", ["[spot]", "[3, {}]", "[{purchase: 3}]"])
def test_a_list_of_what_is_no_map_is_told_item_by_item(tmp_path: Path, item: str) -> None:
    (tmp_path / "wrong.yaml").write_text(WRONG % item)
    with pytest.raises(StackErrors, match=r"capacity\.0"):
        load_stack(tmp_path / "wrong.yaml")


def test_every_required_field_has_a_stand_in_that_its_model_takes() -> None:
    required = [
        (model, name, field)
        for model in models(StackSpec, set())
        for name, field in model.model_fields.items()
        if field.is_required()
    ]
    assert len(required) > 30
    for model, name, field in required:
        assert name in shape._STAND_INS, f"{model.__name__}.{name}: fleet.checks.shape has nothing to put in its place"
        kind: Any = field.rebuild_annotation()
        TypeAdapter(kind).validate_python(shape._STAND_INS[name])
