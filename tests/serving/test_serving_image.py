"""What the image's Dockerfile promises, read as text: nothing here builds an image."""

from __future__ import annotations

import json
import re

from tests.serving.running import ROOT

DOCKERFILE = ROOT / "serving" / "Dockerfile"
# Instructions in their order, continued lines joined.
LINES = re.sub(r"\\\n\s*", " ", DOCKERFILE.read_text()).splitlines()
STEPS = [tuple(line.split(maxsplit=1)) for line in LINES if line and not line.startswith("#")]
FINAL = STEPS[max(n for n, (word, _) in enumerate(STEPS) if word == "FROM") :]


def of(word: str, steps: list[tuple[str, ...]] = STEPS) -> list[str]:
    return [rest for found, rest in steps if found == word]


def test_packages_are_installed_in_a_stage_that_is_not_shipped() -> None:
    assert len(of("FROM")) == 2
    assert any("pip install" in run for run in of("RUN"))
    assert not any("pip install" in run or "apt" in run for run in of("RUN", FINAL))


def test_the_base_is_one_of_a_version_and_is_to_be_pinned_by_digest() -> None:
    (base,) = [one.removeprefix("BASE=") for one in of("ARG") if one.startswith("BASE=")]
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", base), "a version, never latest"
    assert {stage.split()[0] for stage in of("FROM")} == {"${BASE}"}, "one digest pins every stage"
    assert f"--build-arg BASE={base}@sha256:" in DOCKERFILE.read_text(), "a tag moves, and the file says how to pin it"


def test_it_runs_as_nobody_and_takes_signals_itself() -> None:
    (user,) = of("USER", FINAL)
    assert all(int(part) >= 10_000 for part in user.split(":")), "a number, so that runAsNonRoot can tell"
    order = [word for word, _ in FINAL]
    assert order.index("USER") < order.index("ENTRYPOINT")
    assert not any(word in ("RUN", "COPY") for word in order[order.index("USER") :]), "nothing it could write is its own"
    (entry,) = of("ENTRYPOINT", FINAL)
    assert json.loads(entry) == ["python", "-m", "serving"], "no shell in between"


def test_all_that_it_copies_is_there_and_nothing_else_is_sent() -> None:
    sources = [copy.split()[0] for copy in of("COPY") if not copy.startswith("--from")]
    assert sources
    for source in sources:
        assert list(ROOT.glob(source)), source
    ignored = (ROOT / "serving" / "Dockerfile.dockerignore").read_text().split()
    assert ignored[:2] == ["*", "!serving"], "all is left out but the package"


def test_every_requirement_is_pinned() -> None:
    for file in (ROOT / "serving").glob("requirements*.txt"):
        lines = [line.partition("#")[0].strip() for line in file.read_text().splitlines()]
        for line in filter(None, lines):
            assert line.startswith("-r ") or re.match(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[^*\s]+", line), f"{file.name}: {line}"
