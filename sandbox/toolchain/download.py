"""Fetches the projects' official releases instead of building them, where $TOOLCHAIN=download asks for it.

Each is verified (see `pins`) before it is opened, only the program is taken out of it, and it goes into place by rename.
"""

from __future__ import annotations

import gzip
import os
import shutil
import stat
import tarfile
import time
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from sandbox.toolchain import Tool, cache, fetch, find, pins, releases
from sandbox.toolchain.build import alone
from sandbox.toolchain.releases import Release, UnpublishedError

_MB = 1_000_000


def download(tools: Sequence[Tool], console: Console | None = None) -> list[Tool]:
    """Fetch each tool into the cache, and return those that have to be built, having said why.

    Raises:
        RuntimeError: a release could not be had, or was not what was published. Nothing of it is kept.
    """
    console = console or Console(stderr=True)
    wanted, to_build = _sorted_out(tools, console)
    with alone(), fetch.client() as http:
        for number, (tool, release) in enumerate(wanted, 1):
            if find(tool.name) is None:
                _download_one(http, tool, release, f"[{number}/{len(wanted)}] {tool.name} {tool.version}", console)
    return to_build


def _sorted_out(tools: Sequence[Tool], console: Console) -> tuple[list[tuple[Tool, Release]], list[Tool]]:
    wanted, to_build = [], []
    for tool in tools:
        try:
            wanted.append((tool, releases.release(tool, releases.here())))
        except UnpublishedError as reason:
            console.print(f"{tool.name} {tool.version} is built, not downloaded: {reason}", highlight=False)
            to_build.append(tool)
    return wanted, to_build


def _download_one(http: httpx2.Client, tool: Tool, release: Release, title: str, console: Console) -> None:
    started = time.monotonic()
    place = cache() / (releases.key(tool) or "")
    part = place.with_name(f".{place.name}.{os.getpid()}")
    part.mkdir(parents=True, exist_ok=True)
    try:
        archive, program = part / "download", part / tool.name
        digest = _fetch_verified(http, tool, release, archive, title, console)
        unpack(archive, release, program)
        archive.unlink(missing_ok=True)
        program.chmod(0o755)
        pins.remember(release, digest)
        part.replace(place)
    except OSError as problem:
        raise RuntimeError(
            f"{tool.name} {tool.version} could not be kept: {problem}\n"
            f"Mend: see that {cache()} can be written and has 1 GB free."
        ) from problem
    finally:
        shutil.rmtree(part, ignore_errors=True)
    console.print(f"✓ {title} in {time.monotonic() - started:.0f} s", highlight=False, markup=False)


def _fetch_verified(http: httpx2.Client, tool: Tool, release: Release, archive: Path, title: str, console: Console) -> str:
    digest, who = pins.expected(http, release)
    with _shown(f"{title} from {urlsplit(fetch.address(release.url)).hostname}", console) as progress:
        got = fetch.file(http, release.url, archive, progress)
    if got != digest:
        raise RuntimeError(
            f"{tool.name} {tool.version} from {fetch.shown(fetch.address(release.url))} is not what was published, "
            f"and was deleted: its SHA-256 is {got}, but {who} {digest}\n"
            "Mend: run again; if it stays so, a proxy, the mirror or somebody in between changes it. "
            "Unset TOOLCHAIN to build from Go modules instead."
        )
    return digest


def unpack(archive: Path, release: Release, program: Path) -> None:
    """Take the program out of the archive, and nothing else.

    Raises:
        RuntimeError: it is not in there, or is no plain file.
    """
    if release.member is None:
        archive.replace(program)
        return
    try:
        if release.file.endswith(".zip"):
            _unzip(archive, release.member, program)
        else:
            _untar(archive, release.member, program)
    except (LookupError, EOFError, gzip.BadGzipFile, zlib.error, tarfile.TarError, zipfile.BadZipFile) as problem:
        raise RuntimeError(
            f"{release.url} was expected to have {release.member} as a plain file: {problem}\n"
            "Mend: the release is packed another way than `releases.py` says; unset TOOLCHAIN to build from Go modules instead."
        ) from problem


def _untar(archive: Path, name: str, program: Path) -> None:
    with tarfile.open(archive) as opened:
        # The first of that name: the rest, up to half a gigabyte, is not even read.
        member = next((m for m in opened if m.name.removeprefix("./") == name), None)
        if member is None:
            raise LookupError("there is none of that name")
        if not member.isreg():
            raise LookupError("it is a link, a directory or a device")
        opened.extract(member.replace(name=program.name, deep=False), program.parent, filter="data")


def _unzip(archive: Path, name: str, program: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        member = opened.getinfo(name)
        if member.is_dir() or stat.S_ISLNK(member.external_attr >> 16):
            raise LookupError("it is a link or a directory")
        with opened.open(member) as packed, program.open("wb") as out:
            shutil.copyfileobj(packed, out)


@contextmanager
def _shown(what: str, console: Console) -> Iterator[fetch.Progress]:
    """Progress with size: a bar on a terminal, elsewhere one line when the size is known."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        told = console.is_terminal

        def progress(had: int, total: int | None) -> None:
            nonlocal told
            bar.update(task, completed=had, total=total)
            if not told:
                size = f"{total / _MB:.1f} MB" if total else "size unknown"
                console.print(f"{what}: {size}", highlight=False, markup=False)
                told = True

        yield progress
