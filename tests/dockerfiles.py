"""A Dockerfile as its instructions. Needs nothing but Python: the model server's tests have an environment of their own."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class Dockerfile:
    """Attributes:
    text: the file's. steps: instructions in their order, continued lines joined. final: those of the last stage.
    """

    def __init__(self, folder: str) -> None:
        self.text = (ROOT / folder / "Dockerfile").read_text()
        lines = re.sub(r"\\\n\s*", " ", self.text).splitlines()
        self.steps = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
        self.final = self.steps[max(n for n, (word, _) in enumerate(self.steps) if word == "FROM") :]

    def of(self, word: str) -> list[str]:
        return [rest for found, rest in self.steps if found == word]

    def of_final(self, word: str) -> list[str]:
        return [rest for found, rest in self.final if found == word]
