"""The comment's body: marker, title, a section a stack, footer, and what is left out where a forge's limit is near.

Both forges count characters, that is code points. The order of leaving out is fixed: contents of <details>, the
largest first; then sections' tails from the longest down; then lines before a first <details>; then whole stacks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fleet.comment.markdown import Fold, cut, emptied, folds, harmless, head_size, plain

# What a forge takes; longer bodies are refused with 422.
GITHUB_LIMIT = 65_536
GITLAB_LIMIT = 1_000_000
KEY = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_MARKER = re.compile(r"<!-- accelfleet-comment v=1 key=(?P<key>[a-z0-9._-]+) commit=(?P<commit>[0-9a-f]+) -->")


@dataclass(frozen=True)
class Wanted:
    """What is to be said.

    Attributes:
        sections: markdown by stack; empty where the stack does not change.
        link: where the full report is; empty where there is none.
    """

    key: str
    commit: str
    title: str
    sections: Mapping[str, str]
    link: str = ""

    @property
    def quiet(self) -> bool:
        return not any(text.strip() for text in self.sections.values())


def key_of(body: str) -> str | None:
    """The key of a comment of ours; None for others'. Only the first line counts, which no section can be."""
    found = _MARKER.match(body)
    return found["key"] if found else None


def render(wanted: Wanted, limit: int) -> str:
    """The body, in `limit` characters."""
    texts = {name: harmless(text) for name, text in wanted.sections.items() if text.strip()}

    def body(made: Mapping[str, str], left_out: int = 0) -> str:
        return _body(wanted, made, left_out)

    if len(body(texts)) <= limit:
        return body(texts)
    pointer = f"_Left out for length: the {_report(wanted)} has it._"
    texts = _fold(texts, len(body(texts)) - limit, pointer)
    if len(body(texts)) <= limit:
        return body(texts)
    heads = {name: head_size(text) for name, text in texts.items()}

    def tails_cut(cap: int) -> dict[str, str]:
        return {name: cut(text, heads[name] + cap, pointer) for name, text in texts.items()}

    def heads_cut(cap: int) -> dict[str, str]:
        return {name: cut(text, min(cap, heads[name]), pointer) for name, text in texts.items()}

    for way in (tails_cut, heads_cut):
        size = _largest(max(map(len, texts.values())), lambda cap, way=way: len(body(way(cap))) <= limit)  # type: ignore[misc]
        if size is not None:
            return body(way(size))
    names = list(texts)
    bare = heads_cut(0)
    shown = _largest(len(names), lambda count: len(body({n: bare[n] for n in names[:count]}, len(names) - count)) <= limit)
    return body({name: bare[name] for name in names[: shown or 0]}, len(names) - (shown or 0))


def _fold(texts: Mapping[str, str], excess: int, pointer: str) -> dict[str, str]:
    """Contents of <details> replaced, the largest first, until so much is saved or none is left that is worth it."""
    lines = {name: text.split("\n") for name, text in texts.items()}
    todo = [(fold, name) for name, text in texts.items() for fold in folds(text)]
    chosen: list[tuple[int, str, Fold, list[str]]] = []
    for fold, name in sorted(todo, key=lambda one: (-one[0].size, one[1], one[0].start)):
        if excess <= 0:
            break
        short = emptied(lines[name], fold, pointer)
        saved = fold.size - sum(len(line) + 1 for line in short)
        if saved > 0:
            excess -= saved
            chosen.append((fold.start, name, fold, short))
    # From the end on, so that the numbers of the lines before stay true.
    for _, name, fold, short in sorted(chosen, key=lambda one: -one[0]):
        lines[name][fold.start : fold.end] = short
    return {name: "\n".join(made) for name, made in lines.items()}


def _largest(most: int, fits: Callable[[int], bool]) -> int | None:
    """The largest number from 0 to `most` that fits; None where 0 does not."""
    if not fits(0):
        return None
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _report(wanted: Wanted) -> str:
    return f"[full report]({wanted.link})" if wanted.link else "full report"


def _body(wanted: Wanted, texts: Mapping[str, str], left_out: int) -> str:
    parts = [f"<!-- accelfleet-comment v=1 key={wanted.key} commit={wanted.commit} -->\n## {plain(wanted.title)}"]
    if wanted.quiet:
        parts.append("No changes.")
    # A section that brings a heading needs none of ours.
    parts += [text if text.startswith("#") else f"### `{name}`\n\n{text}" for name, text in texts.items()]
    if left_out:
        parts.append(f"_{left_out} more stacks that change: the {_report(wanted)} has them._")
    same = [f"`{name}`" for name, text in wanted.sections.items() if not text.strip()]
    if same and not left_out:
        parts.append(f"Unchanged: {', '.join(same)}." if len(same) <= 50 else f"Unchanged: {len(same)} stacks.")
    parts.append(f"<sub>for {wanted.commit[:12]}{f' · {_report(wanted)}' if wanted.link else ''}</sub>")
    return "\n\n".join(parts)
