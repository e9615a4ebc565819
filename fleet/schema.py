"""The JSON Schema of stack files, for editors: `python -m fleet.schema` writes it, `--check` fails where it is stale."""

from __future__ import annotations

import json
import sys

from fleet.generated import keep
from fleet.spec import StackSpec
from fleet.workspace import STACKS

PATH = STACKS / "schema.json"


def text() -> str:
    """The schema as it should stand in `stacks/schema.json`."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **StackSpec.model_json_schema()}
    return json.dumps(schema, indent=2) + "\n"


def main(arguments: list[str]) -> int:
    return keep(PATH, text(), "make schema", arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
