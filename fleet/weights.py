"""Weights that lie in the repository: the files of a folder, as the store will have them.

Owns what counts as a file of a model. Refuses what a deployment should not carry: what is too big belongs into the store by
the cloud's own tool, once, and links could lead anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fleet.workspace import ROOT

# Together. Every `up` and every preview reads all of it, to see whether it changed.
MOST_MIB = 512


@dataclass(frozen=True)
class WeightsFile:
    """One file: `key` inside the store, below the model's path, and where it lies, from the program's directory."""

    key: str
    path: str


def folder(name: str, root: Path = ROOT) -> Path:
    """The folder that a stack file names, which starts at the repository."""
    return root / name


def files(name: str, root: Path = ROOT) -> list[WeightsFile]:
    """The files of a folder and the folders in it, but for hidden ones, in their order."""
    start = folder(name, root)
    found = sorted(p for p in start.rglob("*") if p.is_file() and not _hidden(p.relative_to(start)))
    return [WeightsFile(p.relative_to(start).as_posix(), p.relative_to(root).as_posix()) for p in found]


def fault(name: str, root: Path = ROOT) -> tuple[str, str] | None:
    """Why a folder cannot be put into a store, and how to mend it; None where it can."""
    start = folder(name, root)
    if not start.resolve().is_relative_to(root.resolve()):
        return "lies outside of the repository", "name a folder of the repository"
    if not start.is_dir():
        return "no such folder in the repository", "make it, or leave files out where the store has the weights already"
    links = [p for p in start.rglob("*") if p.is_symlink()]
    if links:
        return f"{links[0].relative_to(start)} is a link", "put the file itself there"
    there = files(name, root)
    if not there:
        return "the folder is empty", "put the model's files there"
    mib = sum((root / file.path).stat().st_size for file in there) / 2**20
    if mib > MOST_MIB:
        remedy = "put them into the store once with the cloud's own tool, and leave files out"
        return f"has {mib:,.0f} MiB, and every preview would read more than {MOST_MIB}", remedy
    return None


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
