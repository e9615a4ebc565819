"""Secrets are taken out of text however they are encoded; what is no secret stays."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.engine import Outcome
from fleet.redact import MASK, Redactor

SECRET = 'tok3n/with+all "kinds"=of&chars'


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        json.dumps({"a": SECRET}),
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        *(base64.b64encode(f"{'u' * n}:{SECRET}{'x' * n}".encode()).decode() for n in range(6)),
    ],
)
def test_each_encoding_is_masked(text: str) -> None:
    said = Redactor([SECRET])(f"error: {text} was refused")
    assert MASK in said
    assert said.startswith("error: ")
    assert said.endswith(" was refused")
    for part in ("tok3n", "kinds", "dG9rM24v", "tok3n%2F"):
        assert part not in said


@given(st.text(min_size=9, max_size=40), st.binary(max_size=9), st.binary(max_size=9))
@settings(max_examples=200, deadline=None)
def test_no_secret_is_left_inside_base64(secret: str, before: bytes, after: bytes) -> None:
    coded = base64.b64encode(before + secret.encode() + after).decode()
    left = Redactor([secret])(coded).replace(MASK, "\0")
    # What stays is what stood around it: at most that much, and the characters that hold bits of both.
    assert len(left.replace("\0", "")) <= len(base64.b64encode(before)) + len(base64.b64encode(after)) + 4


def test_words_and_short_values_stay() -> None:
    redact = Redactor(["eu", "1", ""])
    assert redact("eu-west-1 has 1 quota") == "eu-west-1 has 1 quota"
    assert Redactor([])("anything") == "anything"


def test_a_secret_inside_another_leaves_nothing() -> None:
    assert Redactor(["secret-one", "secret-one-and-more"])("x secret-one-and-more y") == f"x {MASK} y"


def test_all_that_an_outcome_says_is_cleaned() -> None:
    outcome = Outcome(1, 0, errors=[f"bad {SECRET}"], notes=[SECRET], output=f"log {SECRET}\n")
    Redactor([SECRET]).clean(outcome)
    assert (outcome.errors, outcome.notes, outcome.output) == ([f"bad {MASK}"], [MASK], f"log {MASK}\n")
