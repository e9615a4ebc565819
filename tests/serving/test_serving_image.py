"""What the image's Dockerfile promises beside what all do, read as text: nothing here builds an image."""

from __future__ import annotations

import json
import re

from tests.dockerfiles import ROOT, Dockerfile

FILE = Dockerfile("serving")


def test_it_runs_as_nobody_and_takes_signals_itself() -> None:
    (user,) = FILE.of_final("USER")
    assert all(int(part) >= 10_000 for part in user.split(":")), "a number, so that runAsNonRoot can tell"
    order = [word for word, _ in FILE.final]
    assert order.index("USER") < order.index("ENTRYPOINT")
    (entry,) = FILE.of_final("ENTRYPOINT")
    assert json.loads(entry) == ["python", "-m", "serving"], "no shell in between"


def test_every_requirement_is_pinned() -> None:
    for file in (ROOT / "serving").glob("requirements*.txt"):
        lines = [line.partition("#")[0].strip() for line in file.read_text().splitlines()]
        for line in filter(None, lines):
            assert line.startswith("-r ") or re.match(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[^*\s]+", line), f"{file.name}: {line}"
