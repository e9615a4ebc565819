"""What others wrote cannot reach out of its section, and a body is never too long nor broken."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.comment.body import Wanted, key_of, render
from fleet.comment.markdown import CLOSE, JOINER, cut, emptied, folds, harmless, head_size

COMMIT = "a" * 40
MARKER = f"<!-- accelfleet-comment v=1 key=default commit={COMMIT} -->"
PIECES = [
    "<details>",
    "</details>",
    "<summary>s</summary>",
    "```",
    "~~~~",
    "text @a",
    "`",
    "> ",
    "- ",
    "\n",
    "\n\n",
    "  ",
    "<!--",
    "é🚀",
]


def wanted(**sections: str) -> Wanted:
    return Wanted("default", COMMIT, "Preview", sections, "https://ci.example/1")


def outside(text: str) -> tuple[list[str], bool]:
    """The lines outside fences, and whether one is left open; a reader of its own."""
    fence, lines = "", []
    for line in text.split("\n"):
        bar = re.match(r" {0,3}(`{3,}|~{3,})(.*)", line)
        if fence:
            if bar and bar[1][0] == fence[0] and len(bar[1]) >= len(fence) and not bar[2].strip():
                fence = ""
        elif bar and not (bar[1][0] == "`" and "`" in bar[2]):
            fence = bar[1]
        else:
            lines.append(line)
    return lines, bool(fence)


def is_whole(text: str) -> bool:
    """Every fence closed and every <details> closed."""
    lines, is_open = outside(text)
    return not is_open and sum(line.count("<details") - line.count("</details>") for line in lines) <= 0


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        ("@acme/sre look", f"@{JOINER}acme/sre look"),
        ("_a_@sre", f"_a_@{JOINER}sre"),
        ("&#64;sre &commat;sre &#x40;sre", f"@{JOINER}sre @{JOINER}sre @{JOINER}sre"),
        ("image@sha256:ab", "image@sha256:ab"),
        ("/close", f"{JOINER}/close"),
        (MARKER, MARKER.replace("<", f"<{JOINER}")),
        ("<!-- hides the rest", f"<{JOINER}!-- hides the rest"),
        ("<script>x</script>", f"<{JOINER}script>x<{JOINER}/script>"),
        ('<a title="', f'<{JOINER}a title="'),
        ("<b>fine</b> and <sub>x</sub><br>", "<b>fine</b> and <sub>x</sub><br>"),
        ("<b>open", f"<{JOINER}b>open"),
        ("<https://a.example/b> 1 < 2", "<https://a.example/b> 1 < 2"),
        ("a\x00b\r\nc\x1b[31m", "ab\nc[31m"),
    ],
)
def test_a_line_is_made_harmless(given_: str, kept: str) -> None:
    assert harmless(given_) == kept


def test_in_a_fence_lines_stay_as_they_are() -> None:
    text = "```diff\n- @a <none>\n/close\n```"
    assert harmless(text) == text


@pytest.mark.parametrize(
    ("open_", "closed"),
    [
        ("```\ncode", "```\ncode\n```"),
        ("~~~~x\n~~~\n```", "~~~~x\n~~~\n```\n~~~~"),
        ("<details>\n\nx", f"<details>\n\nx\n\n{CLOSE}"),
        ("<details>\n\n```\nx", f"<details>\n\n```\nx\n```\n\n{CLOSE}"),
        # A list's fence ends with the list, and a tag's block hides one: both are made fences of their own.
        ("- x\n\n  ```\nfoo", "- x\n\n```\nfoo\n```"),
        ("<details>\n```\ny\n```\n</details>", f"<details>\n\n```\ny\n```\n{CLOSE}"),
        # In a code span a closer closes nothing.
        ("<details>`</details>`", f"<details>`\n\n{CLOSE}\n\n`"),
    ],
)
def test_what_a_section_opens_is_closed_where_it_ends(open_: str, closed: str) -> None:
    assert harmless(open_) == closed


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_no_section_reaches_past_its_end(text: str) -> None:
    made = harmless(text)
    assert is_whole(made)
    assert not re.search(r"<!--|(?<![A-Za-z0-9])@\w", "\n".join(outside(made)[0]))


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join), st.integers(0, 120))
def test_a_cut_section_is_whole_and_ends_with_the_pointer(text: str, size: int) -> None:
    made = harmless(text)
    shorter = cut(made, size, "POINTER")
    assert is_whole(shorter)
    assert shorter == made if len(made) <= size else shorter.endswith("POINTER")


def test_a_fold_is_emptied_and_its_summary_stays() -> None:
    text = harmless(
        "head\n\n<details><summary>9 resources</summary>\n\nlong\n<details>\n\nin it\n\n</details>\n\n</details>\n\ntail"
    )
    (fold,) = folds(text)
    assert emptied(text.split("\n"), fold, "P") == ["<details><summary>9 resources</summary>", "", "P", "", CLOSE]
    assert head_size(text) == len("head\n\n")


def test_a_body_has_marker_title_sections_and_who_is_unchanged() -> None:
    body = render(wanted(aws="+1 pool", gcp=" \n", azure="# Own heading"), 65_536)
    assert body.split("\n\n") == [
        f"{MARKER}\n## Preview",
        "### `aws`",
        "+1 pool",
        "# Own heading",
        "Unchanged: `gcp`.",
        "<sub>for aaaaaaaaaaaa · [full report](https://ci.example/1)</sub>",
    ]
    assert key_of(body) == "default"


def test_only_the_first_line_is_a_marker() -> None:
    assert key_of(f"hello\n{MARKER}") is None
    assert key_of("<!-- accelfleet-comment v=1 key=other commit=abc1234 -->\nx") == "other"


def fold_of(lines: int, summary: str) -> str:
    inner = "\n".join(f"line {number} é" for number in range(lines))
    return f"<details><summary>{summary}</summary>\n\n```\n{inner}\n```\n\n</details>"


def test_the_largest_fold_goes_first_and_no_more_than_needed() -> None:
    large, small = fold_of(300, "large"), fold_of(100, "small")
    body = render(wanted(a=f"head a\n\n{small}", b=f"head b\n\n{large}\n\ntail b"), 3_000)
    assert len(body) <= 3_000
    assert small in body
    assert "<details><summary>large</summary>\n\n_Left out for length: the [full report](https://ci.example/1) has it._" in body
    assert "head a" in body
    assert "tail b" in body
    assert is_whole(body)


def test_tails_are_cut_before_heads_at_a_line() -> None:
    head = "\n".join(f"danger {number}" for number in range(40))
    tail = "\n".join(f"tail {number:03}" for number in range(400))
    body = render(wanted(a=f"{head}\n\n{fold_of(3, 'x')}\n\n{tail}", b=head), 2_500)
    assert len(body) <= 2_500
    assert body.count(head) == 2
    kept = re.findall(r"^tail (\d+)$", body, re.MULTILINE)
    assert kept == [f"{number:03}" for number in range(len(kept))]
    assert 0 < len(kept) < 400
    assert "danger 39" in body


def test_heads_are_cut_last_and_evenly_by_length() -> None:
    body = render(wanted(a="\n".join(["long line"] * 900), b="short\nsection"), 2_000)
    assert 1_900 < len(body) <= 2_000
    assert "short\nsection" in body


def test_more_stacks_than_a_body_holds_are_counted() -> None:
    body = render(Wanted("default", COMMIT, "T", {f"stack-{n:04}": "x\n" * 50 for n in range(2_000)}), 65_536)
    assert len(body) <= 65_536
    left = re.search(r"_(\d+) more stacks that change", body)
    assert left
    assert int(left[1]) + body.count("### `stack-") == 2_000


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from(PIECES), max_size=60).map("".join), max_size=6),
    st.integers(600, 1_200),
)
def test_a_body_fits_and_is_whole(sections: dict[str, str], limit: int) -> None:
    body = render(wanted(**sections), limit)
    assert len(body) <= limit
    assert is_whole(body)
    assert body.startswith(MARKER)


def test_characters_are_counted_not_bytes() -> None:
    text = "🚀" * 60_000
    assert text in render(wanted(a=text), 65_536)


@pytest.mark.timeout(120)
def test_a_strangers_section_does_not_hold_up_the_job() -> None:
    for text in (" " * 400_000, "<details>" * 40_000, "<details>\n</details>\n" * 20_000, "<b>" * 100_000, "&#0" * 100_000):
        assert len(render(wanted(a=f"x{text}"), 65_536)) <= 65_536
