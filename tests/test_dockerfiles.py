"""What every image of ours is held to, by its Dockerfile; what one alone promises stands with its own tests."""

from __future__ import annotations

import re

import pytest

from tests.dockerfiles import ROOT, Dockerfile

FOLDERS = ("serving", "training")


@pytest.fixture(params=FOLDERS)
def folder(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def file(folder: str) -> Dockerfile:
    return Dockerfile(folder)


def test_packages_are_installed_in_a_stage_that_is_not_shipped(file: Dockerfile) -> None:
    assert len(file.of("FROM")) == 2
    assert any("pip install" in run for run in file.of("RUN"))
    assert not any("pip install" in run or "apt" in run for run in file.of_final("RUN"))


def test_the_base_is_one_of_a_version_and_is_to_be_pinned_by_digest(file: Dockerfile) -> None:
    (base,) = [one.removeprefix("BASE=") for one in file.of("ARG") if one.startswith("BASE=")]
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", base), "a version, never latest"
    assert {stage.split()[0] for stage in file.of("FROM")} == {"${BASE}"}, "one digest pins every stage"
    assert f"--build-arg BASE={base}@sha256:" in file.text, "a tag moves, and the file says how to pin it"


def test_nothing_that_it_could_write_is_its_own(file: Dockerfile) -> None:
    order = [word for word, _ in file.final]
    assert not any(word in ("RUN", "COPY") for word in order[order.index("USER") :])


def test_all_that_it_copies_is_there_and_nothing_else_is_sent(file: Dockerfile, folder: str) -> None:
    sources = [copy.split()[0] for copy in file.of("COPY") if not copy.startswith("--from")]
    assert sources
    for source in sources:
        assert list(ROOT.glob(source)), source
    ignored = (ROOT / folder / "Dockerfile.dockerignore").read_text().split()
    assert ignored[:2] == ["*", f"!{folder}"], "all is left out but the package"
