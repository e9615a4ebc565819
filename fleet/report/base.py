"""What a change starts from: the stack files of a git revision, with the program that reads them, or those of a directory.

Reads git's objects alone: nothing is checked out, and the working tree stays as it is.
"""

from __future__ import annotations

import io
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleet.load import StackErrors, load_stack
from fleet.spec import StackSpec


class BaseError(Exception):
    """The base cannot be had; the message says why and what to do."""


@contextmanager
def at_revision(directory: Path, revision: str) -> Iterator[Path]:
    """A directory as it was at a git revision, for as long as the block runs.

    Raises:
        BaseError: no git, no repository, or no such revision.
    """
    prefix = _git(directory, "rev-parse", "--show-prefix").decode().strip().rstrip("/")
    commit = _git(directory, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").decode().strip()
    root = Path(_git(directory, "rev-parse", "--show-toplevel").decode().strip())
    with tempfile.TemporaryDirectory(prefix="fleet-base-") as scratch:
        listed = _git(root, "ls-tree", "--name-only", commit, "--", prefix or ".")
        if listed.strip():
            raw = _git(root, "archive", "--format=tar", commit, "--", *([prefix] if prefix else []))
            import tarfile  # noqa: PLC0415 - a report with no base need not pay for it

            with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
                archive.extractall(scratch, filter="data")
        yield Path(scratch) / prefix


def base_spec(stacks: Path, name: str) -> tuple[StackSpec | None, tuple[str, ...]]:
    """The stack there, None where there is no such file; and the faults that keep it from being read."""
    file = stacks / f"{name}.yaml"
    if not file.exists():
        return None, ()
    try:
        return load_stack(file), ()
    except StackErrors as wrong:
        return None, tuple(str(error) for error in wrong.errors)


def _git(where: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", "-C", str(where), *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        raise BaseError("--base needs git, which is not installed; --base-dir takes a directory") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        if "not a git repository" in said:
            raise BaseError(f"{where} is in no git repository; --base-dir takes a directory")
        asked = arguments[-1].removesuffix("^{commit}")
        raise BaseError(said or f"git knows no revision {asked!r}; fetch it, or see `git branch --all`")
    return done.stdout
