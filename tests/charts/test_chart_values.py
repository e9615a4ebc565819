"""What is made from each values.yaml: the schema that helm refuses values by, and the table of the README."""

from __future__ import annotations

import json
import shutil

import jsonschema
import pytest
import yaml

from charts import __main__ as command
from charts import schema
from charts.values import values

CHARTS = command.CHARTS
NAMES = sorted(made.parent.name for made in CHARTS.glob("*/Chart.yaml"))


def copied(tmp_path, name="model-serving"):
    shutil.copytree(CHARTS / name, tmp_path / name)
    return tmp_path / name


def test_nothing_made_is_stale(capsys):
    assert command.main(["--check"]) == 0, capsys.readouterr().err
    assert {"model-serving", "training"} <= set(NAMES)


def test_what_is_stale_is_told_by_check_and_mended_without_it(tmp_path, capsys):
    chart = copied(tmp_path)
    assert command.main(["--check"], tmp_path) == 0
    text = (chart / "values.yaml").read_text()
    (chart / "values.yaml").write_text(
        text.replace("  port: 8000", "  port: 9000").replace("# @ {minimum: 10}", "# @ {minimum: 11}")
    )
    before = [(chart / made).read_text() for made in ("README.md", "values.schema.json")]
    assert command.main(["--check"], tmp_path) == 1
    said = capsys.readouterr().err
    assert said.count("run python -m charts") == 2
    assert [(chart / made).read_text() for made in ("README.md", "values.schema.json")] == before, "--check writes nothing"
    assert command.main([], tmp_path) == 0
    assert "| `server.port` | `9000` |" in (chart / "README.md").read_text()
    grace = json.loads((chart / "values.schema.json").read_text())["properties"]["terminationGracePeriodSeconds"]
    assert (grace["type"], grace["minimum"]) == ("integer", 11)
    assert command.main(["--check"], tmp_path) == 0


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("# -- Fine.\na: 1\nb:\n  c: 2\n", r"b\.c \(line 4\) has no comment"),
        ("# -- A list.\na: []\n", r"a takes anything: write '# @ \{items: …\}'"),
        ("# -- A map.\na: {}\n", r"a takes anything: write '# @ \{additionalProperties: …\}'"),
        ("# -- Words.\n# @ minimum\na: 1\n", r"a: '# @ minimum' is no mapping"),
        ("# -- Words.\n# @ {minimum: 1\na: 1\n", r"a: '# @ \{minimum: 1' is no YAML"),
        ('# -- Words.\n# @ {$ref: "#/definitions/cpus"}\na: 1\n', r"#/definitions/cpus is not in shapes\.yaml.*cpu"),
    ],
)
def test_a_value_that_says_too_little_is_refused(tmp_path, text, wrong):
    (tmp_path / "values.yaml").write_text(text)
    with pytest.raises(ValueError, match=wrong):
        schema.text(tmp_path)


def parts(thing):
    """Every schema in a schema."""
    if isinstance(thing, dict):
        yield thing
        for inner in thing.values():
            yield from parts(inner)
    elif isinstance(thing, list):
        for inner in thing:
            yield from parts(inner)


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_is_closed_and_takes_the_defaults_with_the_least(name):
    made = json.loads((CHARTS / name / "values.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(made)
    open_ones = [part for part in parts(made) if part.get("type") == "object" and "additionalProperties" not in part]
    assert open_ones == []
    given = {value.path: value for value in values((CHARTS / name / "values.yaml").read_text())}
    for path, value in given.items():
        at = made
        for key in path:
            at = at["properties"][key]
        assert value.default is None or at["description"] == value.words
    least = yaml.safe_load((CHARTS / name / "ci" / "minimal-values.yaml").read_text())
    assert list(jsonschema.Draft7Validator(made).iter_errors(least)) == []
    for value in given.values():
        if value.default is None:
            wrong = {**least}
            at = wrong
            for key in value.path:
                at[key] = dict(at.get(key, {}))
                at = at[key]
            at["misspelt"] = True
            assert list(jsonschema.Draft7Validator(made).iter_errors(wrong)), f"{value.path} takes anything"
