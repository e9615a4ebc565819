"""The real engine on a program of `benchmarks/programs`, in a directory that is thrown away or in a sandbox."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import yaml

from benchmarks.measure import Run
from fleet.engine import Engine
from fleet.workspace import ROOT, Workspace
from sandbox.workspace import sandbox_workspace

PROGRAMS = Path(__file__).parent / "programs"


def engine(home: Path, program: str, stack: str, **env: str) -> Engine:
    """An engine on one of our programs, with the sandbox's plugins, backend and environment.

    Args:
        home: the sandbox's directory; no daemon is needed.
    """
    plain = sandbox_workspace(home)
    project = home / "programs" / program
    project.mkdir(parents=True, exist_ok=True)
    about = {
        "name": f"bench-{program}",
        "runtime": {"name": "python", "options": {"virtualenv": sys.prefix}},
        "main": str(PROGRAMS / program),
    }
    (project / "Pulumi.yaml").write_text(yaml.safe_dump(about))
    # With `main:` the language host leaves the repository, which a program that imports it has to be told.
    made = Engine(replace(plain, project=project, env={**plain.env, "PYTHONPATH": str(ROOT), **env}), stack)
    made.init()
    return made


def platform(workspace: Workspace, stack: str) -> Engine:
    """An engine on the repository's own program."""
    made = Engine(workspace, stack)
    made.init()
    return made


def timed(on: Engine, verb: str) -> Run:
    """One run of the engine.

    Raises:
        RuntimeError: it failed.
    """
    outcome = on.run(verb)
    if not outcome.ok:
        raise RuntimeError(f"{verb} of {on.stack} failed:\n" + "\n".join(outcome.errors))
    return Run(outcome.seconds)
