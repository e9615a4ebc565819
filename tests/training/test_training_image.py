"""What the training image promises beside what all do, by its Dockerfile and its requirement files: nothing here builds one."""

from __future__ import annotations

import json
import re

import yaml

from tests.dockerfiles import ROOT, Dockerfile

FILE = Dockerfile("training")
VALUES = yaml.safe_load((ROOT / "charts" / "training" / "values.yaml").read_text())


def pins(name: str) -> dict[str, str]:
    lines = [line.partition("#")[0].strip() for line in (ROOT / "training" / name).read_text().splitlines()]
    found = [re.fullmatch(r"([A-Za-z0-9._-]+)(?:\[[a-z,]+\])?==([^*\s]+)", line) for line in filter(None, lines)]
    assert all(found), f"{name}: every line is a package and its version"
    return {match[1].lower().replace("_", "-"): match[2] for match in found if match}


def test_it_runs_as_the_charts_user_and_without_a_shell() -> None:
    (user,) = FILE.of_final("USER")
    assert user == f"{VALUES['runAsUser']}:{VALUES['runAsUser']}"
    (command,) = FILE.of_final("CMD")
    assert json.loads(command)[-1] == VALUES["script"]["module"], "a form without a shell, so that SIGTERM comes to torchrun"


def test_the_image_has_the_versions_that_the_tests_run_and_the_chart_names() -> None:
    image, tests = pins("requirements.txt"), pins("requirements-cpu.txt")
    assert {"torch", "accelerate", "deepspeed", "lightning", "ray"} <= set(image)
    assert image.items() <= tests.items()
    assert VALUES["ray"]["version"] == image["ray"]
