"""Peers' own Python environments, made when they are asked for and kept in the toolchain's cache."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from sandbox.toolchain import cache


def environment(name: str, packages: Sequence[str]) -> str | None:
    """A peer's Python with these packages, installed on first use; None where they cannot be had, which is said."""
    home = cache() / "benchmarks" / name.lower().replace(" ", "-")
    wanted = " ".join(packages)
    stamp = home / "packages"
    python = str(home / "bin" / "python")
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
    done = subprocess.run(
        [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        sys.stderr.write(f"{name} is absent: {done.stderr.strip().splitlines()[-1]}\n")
        return None
    stamp.write_text(wanted)
    return python
