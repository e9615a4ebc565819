"""Text that others wrote, as one line that no terminal obeys and no CI takes for a command of its own."""

from __future__ import annotations

import re

_LONGEST = 2000
# Controls, line ends, and marks that turn the direction of what follows.
_UNPRINTED = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
# What GitHub's runner obeys at the beginning of a line, and a narrow terminal may begin a line anywhere.
_WORDS = "add-mask|add-matcher|add-path|debug|echo|endgroup|error|group|notice|remove-matcher|save-state|set-env|set-output"
_COMMAND = re.compile(
    rf"^\s*(?=::)|(?<=:)(?=:(?:{_WORDS}|stop-commands|warning)\b)"
    # The older form, `##[name]`, stands anywhere in a line, as do those of Azure Pipelines and TeamCity.
    r"|(?<=##)(?=\w*\[)",
    re.IGNORECASE,
)


def is_plain(text: str) -> bool:
    """Whether all of it can be printed as it is."""
    return text.isprintable() or not _UNPRINTED.search(text)


def one_line(text: str, longest: int = _LONGEST) -> str:
    """The text with what is not printed in Python's escapes, and commands broken by a backslash."""
    shown = _UNPRINTED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
    return _COMMAND.sub(r"\\", shown)[:longest]
