"""Which SHA-256 a download must have: the pinned one, else the one its project publishes beside it.

A published one is fetched over TLS and remembered in the cache when a download first used it; from then on it must not
change (trust on first use). `releases.csv` has the pins and ships empty, as the machine it was written on could not reach the
projects' hosts and nobody should commit a digest unseen. `python -m sandbox.toolchain --pin` fills it where they can be
reached: for every tool and platform, from the published files. Read the difference, compare it with a second source, commit.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Mapping
from pathlib import Path

import httpx2

from sandbox.toolchain import TOOLS, cache, fetch
from sandbox.toolchain.releases import PLATFORMS, Release, UnpublishedError, release

PINS = Path(__file__).with_name("releases.csv")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def lock() -> Path:
    """The digests of first use."""
    return cache() / "releases.lock.csv"


def expected(http: httpx2.Client, wanted: Release) -> tuple[str, str]:
    """The digest a release must have, and who says so.

    Raises:
        RuntimeError: the published digest is missing, or is not the one of first use.
    """
    if pinned := read(PINS).get(wanted.url):
        return pinned, f"{PINS.name} pins"
    said = published(fetch.text(http, wanted.checksums), wanted)
    first = read(lock()).get(wanted.url, said)
    if first != said:
        raise RuntimeError(
            f"the published checksum of {wanted.url} has changed: {first} when it was first used, now {said}\n"
            "A release is not expected to change: its project replaced it, or somebody is in between. Mend: ask the project; "
            f"if the new one is right, delete the row in {lock()}; or unset TOOLCHAIN to build from Go modules instead."
        )
    return said, f"{fetch.shown(fetch.address(wanted.checksums))} says"


def published(checksums: str, wanted: Release) -> str:
    """The digest of a release in the text of its checksum file: alone in it, or in the line with the file's name.

    Raises:
        RuntimeError: it is not there.
    """
    lines = [line.split() for line in checksums.lower().splitlines() if line.strip()]
    for words in lines:
        alone = len(words) == 1 and len(lines) == 1
        named = len(words) == 2 and words[1].removeprefix("*").removeprefix("./") == wanted.file.lower()
        if (alone or named) and _SHA256.fullmatch(words[0]):
            return words[0]
    raise RuntimeError(
        f"{fetch.shown(fetch.address(wanted.checksums))} was expected to have the SHA-256 of {wanted.file}, and has none\n"
        "Mend: check that it is the project's file and no sign-in page, or unset TOOLCHAIN to build from Go modules instead."
    )


def remember(wanted: Release, digest: str) -> None:
    """Record a digest that a download had."""
    _write(lock(), {**read(lock()), wanted.url: digest})


def pin() -> int:
    """Fill `releases.csv` for the versions in use from the published checksums, and return the number of rows.

    Raises:
        RuntimeError: a file could not be had, or contradicts a row; the file is then as it was.
    """
    before, rows, files = read(PINS), {}, dict[str, str]()
    with fetch.client() as http:
        for wanted in _all_releases():
            if wanted.checksums not in files:
                files[wanted.checksums] = fetch.text(http, wanted.checksums)
            digest = published(files[wanted.checksums], wanted)
            if before.get(wanted.url, digest) != digest:
                raise RuntimeError(f"{wanted.url} is pinned as {before[wanted.url]}, but {wanted.checksums} says {digest}")
            rows[wanted.url] = digest
    _write(PINS, rows)
    return len(rows)


def _all_releases() -> list[Release]:
    found = []
    for tool in TOOLS.values():
        for platform in PLATFORMS:
            try:
                found.append(release(tool, platform))
            except UnpublishedError:
                continue
    return found


def read(path: Path) -> dict[str, str]:
    """Digests by URL.

    Raises:
        RuntimeError: a row is not a URL and a SHA-256.
    """
    if not path.exists():
        return {}
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    for number, row in enumerate(rows, 2):
        if not row.get("url") or not _SHA256.fullmatch(row.get("sha256") or ""):
            raise RuntimeError(f"{path}, line {number}: expected url,sha256 with 64 lower-case digits; mend or delete it")
    return {row["url"]: row["sha256"] for row in rows}


def _write(path: Path, rows: Mapping[str, str]) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text("".join(f"{url},{digest}\n" for url, digest in [("url", "sha256"), *sorted(rows.items())]))
    part.replace(path)
