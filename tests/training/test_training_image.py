"""What the training image's Dockerfile and its requirement files promise, read as text: nothing here builds an image."""

from __future__ import annotations

import json
import re

import yaml

from fleet.workspace import ROOT

DOCKERFILE = ROOT / "training" / "Dockerfile"
# Instructions in their order, continued lines joined.
LINES = re.sub(r"\\\n\s*", " ", DOCKERFILE.read_text()).splitlines()
STEPS = [line.split(maxsplit=1) for line in LINES if line and not line.startswith("#")]
FINAL = STEPS[max(n for n, (word, _) in enumerate(STEPS) if word == "FROM") :]
VALUES = yaml.safe_load((ROOT / "charts" / "training" / "values.yaml").read_text())


def of(word: str, steps: list[list[str]] = STEPS) -> list[str]:
    return [rest for found, rest in steps if found == word]


def pins(name: str) -> dict[str, str]:
    lines = [line.partition("#")[0].strip() for line in (ROOT / "training" / name).read_text().splitlines()]
    found = [re.fullmatch(r"([A-Za-z0-9._-]+)(?:\[[a-z,]+\])?==([^*\s]+)", line) for line in filter(None, lines)]
    assert all(found), f"{name}: every line is a package and its version"
    return {match[1].lower().replace("_", "-"): match[2] for match in found if match}


def test_packages_are_installed_in_a_stage_that_is_not_shipped() -> None:
    assert len(of("FROM")) == 2
    assert any("pip install" in run for run in of("RUN"))
    assert not any("pip install" in run or "apt" in run for run in of("RUN", FINAL))


def test_the_base_is_one_of_a_version_and_is_to_be_pinned_by_digest() -> None:
    (base,) = [one.removeprefix("BASE=") for one in of("ARG") if one.startswith("BASE=")]
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", base), "a version, never latest"
    assert {stage.split()[0] for stage in of("FROM")} == {"${BASE}"}, "one digest pins every stage"
    assert f"--build-arg BASE={base}@sha256:" in DOCKERFILE.read_text(), "a tag moves, and the file says how to pin it"


def test_it_runs_as_the_charts_user_and_without_a_shell() -> None:
    (user,) = of("USER", FINAL)
    assert user == f"{VALUES['runAsUser']}:{VALUES['runAsUser']}"
    order = [word for word, _ in FINAL]
    assert not any(word in ("RUN", "COPY") for word in order[order.index("USER") :]), "nothing it could write is its own"
    (command,) = of("CMD", FINAL)
    assert json.loads(command)[-1] == VALUES["script"]["module"], "a form without a shell, so that SIGTERM comes to torchrun"


def test_all_that_it_copies_is_there_and_nothing_else_is_sent() -> None:
    sources = [copy.split()[0] for copy in of("COPY") if not copy.startswith("--from")]
    assert sources
    for source in sources:
        assert list(ROOT.glob(source)), source
    assert (ROOT / "training" / "Dockerfile.dockerignore").read_text().split()[:2] == ["*", "!training"]


def test_the_image_has_the_versions_that_the_tests_run_and_the_chart_names() -> None:
    image, tests = pins("requirements.txt"), pins("requirements-cpu.txt")
    assert {"torch", "accelerate", "deepspeed", "lightning", "ray"} <= set(image)
    assert image.items() <= tests.items()
    assert VALUES["ray"]["version"] == image["ray"]
