"""The report as JSON, and its schema: `python -m fleet.report.document` writes docs/report.schema.json, `--check` looks.

A field may be added under the same `schema_version`; one that goes or changes its meaning raises it.
"""

from __future__ import annotations

import json
import sys
from functools import cache

from pydantic import TypeAdapter
from pydantic_core import to_json

from fleet.generated import keep
from fleet.report.model import Report
from fleet.workspace import ROOT

PATH = ROOT / "docs" / "report.schema.json"


@cache
def _adapter() -> TypeAdapter[Report]:
    return TypeAdapter(Report)


def dump(report: Report) -> str:
    """The document that `--format json` prints. Decimals are strings."""
    # By the values' own types: the adapter, of all that a report may hold, is a sixth of the command.
    return to_json(report, indent=2).decode() + "\n"


def parse(text: str) -> Report:
    """The other way round.

    Raises:
        pydantic.ValidationError: it is no such document.
    """
    return _adapter().validate_json(text)


def schema() -> str:
    """The schema as it should stand in docs/."""
    made = {"$schema": "https://json-schema.org/draft/2020-12/schema", **_adapter().json_schema(mode="serialization")}
    return json.dumps(made, indent=2) + "\n"


def main(arguments: list[str]) -> int:
    return keep(PATH, schema(), "make schema", arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
