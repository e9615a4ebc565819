"""A stack's own secrets, taken out of text that `fleet` prints or writes: as they are, and as they are commonly encoded.

The engine masks the configuration's secrets where they stand in clear; of their base64 it knows nothing, and an exception
that quotes a header or a kubeconfig has just that (measured, Pulumi 3.259). Hides what it was told of, and no more: a
secret that a program makes up by itself is the engine's to keep.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

from fleet.engine import Engine, Outcome

MASK = "[secret]"
# Shorter ones are words and numbers, and would be found everywhere.
_SHORTEST = 6


def forms(secret: str) -> set[str]:
    """How it may stand in a text; inside longer base64 at any of three offsets."""
    raw = secret.encode()
    found = {secret, json.dumps(secret)[1:-1], quote(secret, safe=""), quote(secret), quote_plus(secret)}
    for offset in range(3):
        # Characters that also hold bits of what stands before or after say nothing certain.
        coded = base64.b64encode(b"\0" * offset + raw).decode().rstrip("=")
        first, last = (0, 2, 3)[offset], len(coded) - (0 if (offset + len(raw)) % 3 == 0 else 1)
        found |= {core := coded[first:last], core.replace("+", "-").replace("/", "_")}
    return {form for form in found if len(form) >= _SHORTEST}


class Redactor:
    """Takes secrets out of texts.

    Args:
        secrets: what to hide; short ones are left.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {form for secret in secrets if len(secret) >= _SHORTEST for form in forms(secret)}
        # The longest first: one secret may be a part of another.
        words = sorted(known, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, words))) if words else None

    def __call__(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._pattern else text

    def clean(self, outcome: Outcome) -> None:
        """All that an outcome says."""
        outcome.output = self(outcome.output)
        outcome.errors = [self(said) for said in outcome.errors]
        outcome.notes = [self(said) for said in outcome.notes]


def of(engine: Engine, beside: Iterable[str] = ()) -> Redactor:
    """One for the secrets of the stack's configuration; it asks the engine only where there are any.

    Args:
        beside: secrets that come from elsewhere.
    """
    return Redactor(leaf for secret in [*beside, *_configured(engine)] for leaf in _leaves(secret))


def _configured(engine: Engine) -> list[str]:
    settings = engine.workspace.project.glob(f"**/Pulumi.{engine.stack}.yaml")
    if not any("secure:" in file.read_text() for file in settings):
        return []
    done = engine.plain("config", "--show-secrets", "--json", "--stack", engine.stack)
    if done.returncode != 0:  # what cannot be opened has not been read by anybody else
        return []
    return [value.get("value") or "" for value in json.loads(done.stdout).values() if value.get("secret")]


def _leaves(text: str) -> set[str]:
    """The value itself; of a document, a kubeconfig say, each of its long words, too."""
    return {text, *re.findall(r"[\w.+/=~-]{20,}", text)}
