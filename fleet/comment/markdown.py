"""Text that others wrote, made harmless and cut to a length; it knows no forge and reads no file.

A section may hold what a pull request's author chose. So tags are an allow-list without attributes, mentions and quick
actions are broken by a zero-width joiner, and what a section opens (a fence, a <details>) is closed where it ends.
Lines inside a fence stay as they are, since no forge reads tags or mentions there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

JOINER = "\u200d"
CLOSE = "</details>"
_FENCE = re.compile(r" {0,3}(`{3,}[^`]*|~{3,}.*)")
# A closer in the middle of a line may stand in a code span, where it closes nothing: each gets a line of its own.
_CLOSER = re.compile(r"</details\s*>", re.IGNORECASE)
_SAFE = r"</?details>|<details open>|</?summary>|<br ?/?>|<https?://[^\s<>\"]+>"
_TAG = re.compile(rf"(?P<safe>{_SAFE}|<(?P<pair>b|em|strong|code|sub|sup|kbd)>[^<>`\n]*</(?P=pair)>)|<(?=[A-Za-z/!?])")
# Text nodes are searched for mentions after entities were read, so that an entity is an @ too.
_AT_ENTITY = re.compile(r"&(?:#0*64|#[xX]0*40|commat);?")
# Not after an underscore's word only: `_a_@b` is emphasis, and then a mention.
_MENTION = re.compile(r"(?<![A-Za-z0-9])@(?=\w)")
_QUICK_ACTION = re.compile(r"^(\s*)/(?=[A-Za-z])")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass
class _Reader:
    """Goes through lines and knows what is open."""

    fence: str = ""
    depth: int = 0

    def read(self, line: str) -> bool:
        """Whether the line opens a fence."""
        found = _FENCE.fullmatch(line)
        if self.fence:
            bar = line.strip()
            if found and len(bar) >= len(self.fence) and set(bar) == {self.fence[0]}:
                self.fence = ""
            return False
        if found:
            bar = found[1]
            self.fence = bar[: len(bar) - len(bar.lstrip(bar[0]))]
            return True
        self.depth = max(0, self.depth + len(re.findall(r"<details(?: open)?>", line)) - (line == CLOSE))
        return False

    def closing(self) -> list[str]:
        return ([self.fence] if self.fence else []) + [word for _ in range(self.depth) for word in ("", CLOSE)]


def plain(line: str) -> str:
    """One line outside a fence: no tag but the allowed, no mention, no quick action."""
    line = _TAG.sub(lambda found: found["safe"] or f"<{JOINER}", line)
    line = _MENTION.sub(f"@{JOINER}", _AT_ENTITY.sub("@", line))
    return _QUICK_ACTION.sub(rf"\1{JOINER}/", line)


def harmless(text: str) -> str:
    """A section as it may stand among others; nothing in it reaches past its end."""
    reader, made = _Reader(), list[str]()
    for raw in _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).split("\n"):
        if reader.fence:
            reader.read(raw)
            made.append(raw)
            continue
        if _FENCE.fullmatch(raw):
            # Unindented and after a blank line it is a fence to every reader, never text of a list or of a tag.
            line = raw.lstrip(" ")
            made += [line] if not made or not made[-1] else ["", line]
            reader.read(line)
            continue
        for line in _own_lines(raw):
            safe = plain(line)
            reader.read(safe)
            made.append(safe)
    return "\n".join(made + reader.closing()).strip("\n").rstrip()


def _own_lines(line: str) -> Iterator[str]:
    parts = _CLOSER.split(line)
    if len(parts) == 1:
        yield line
        return
    for part in parts[:-1]:
        yield from (part.rstrip(), "", CLOSE) if part.strip() else (CLOSE,)
    if parts[-1].strip():
        yield from ("", parts[-1].strip())


@dataclass(frozen=True)
class Fold:
    """A <details> of a harmless section, as the half-open range of its lines."""

    start: int
    end: int
    size: int


def folds(text: str) -> list[Fold]:
    """The outermost ones, in their order."""
    reader, found, start = _Reader(), list[Fold](), -1
    lines = text.split("\n")
    for number, line in enumerate(lines):
        before = reader.depth
        reader.read(line)
        if not before and reader.depth:
            start = number
        elif before and not reader.depth:
            found.append(Fold(start, number + 1, sum(len(one) + 1 for one in lines[start : number + 1])))
    return found


def emptied(lines: list[str], fold: Fold, pointer: str) -> list[str]:
    """The fold's lines without its content; its summary stays, where it stands on the fold's first two lines."""
    shown = re.search(r"<summary>.*</summary>", "".join(lines[fold.start : min(fold.start + 2, fold.end)]))
    before = lines[fold.start].partition("<details")[0]
    return [f"{before}<details>{shown[0] if shown else ''}", "", pointer, "", CLOSE]


def head_size(text: str) -> int:
    """Characters before the first <details>: all of them where there is none."""
    first = next(iter(folds(text)), None)
    return len(text) if first is None else sum(len(line) + 1 for line in text.split("\n")[: first.start])


def cut(text: str, size: int, pointer: str) -> str:
    """The section's first whole lines, `size` characters at most, with all closed that they open; then the pointer."""
    if len(text) <= size:
        return text
    reader, kept, used = _Reader(), list[str](), 0
    for line in text.split("\n"):
        used += len(line) + 1
        if used > size:
            break
        reader.read(line)
        kept.append(line)
    return "\n".join([*kept, *reader.closing(), "", pointer]).strip("\n")
