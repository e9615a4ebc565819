"""What is printed of a stranger's text: one line, which neither a terminal nor a CI's runner obeys."""

from __future__ import annotations

import pytest

from fleet.printed import is_plain, one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("main-cluster", "main-cluster"),
        ("urn:pulumi:dev::shop::aws:s3/bucket:Bucket::b", "urn:pulumi:dev::shop::aws:s3/bucket:Bucket::b"),
        ("é ✓ 漢", "é ✓ 漢"),
        ("a\nb\r\u2028c", "a\\nb\\r\\u2028c"),
        ("\x1b[2J\x9b", "\\x1b[2J\\x9b"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("::x::y", "\\::x::y"),
        ("  ::add-mask::x", "\\:\\:add-mask::x"),
        # A narrow terminal may begin a line with it.
        ("said ::ERROR file=x::y", "said :\\:ERROR file=x::y"),
        ("##[add-path]x ##vso[task.x]y ##teamcity[z]", "##\\[add-path]x ##\\vso[task.x]y ##\\teamcity[z]"),
        ("## a heading [x]", "## a heading [x]"),
    ],
)
def test_text_is_one_line_that_nothing_obeys(text: str, shown: str) -> None:
    assert one_line(text) == shown
    assert is_plain(shown)


def test_a_long_text_is_cut() -> None:
    assert one_line("x" * 5000, 10) == "x" * 10
    assert not is_plain("a\x1bb")
