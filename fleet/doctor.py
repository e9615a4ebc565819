"""`fleet doctor`: what this machine lacks to run each command, with the exact remedy. Installs nothing, asks no cloud.

Exit codes: 0 nothing is missing for the commands that were asked for, 3 something is.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fleet.arguments import AsFormat, Format
from fleet.workspace import ROOT, STACKS

# What a sandbox with three clusters takes (measured, sandbox/README.md), and what its programs and caches do.
_MEMORY_GIB, _DISK_GIB = 4, 20


@dataclass(frozen=True)
class Check:
    """One thing that some commands need.

    Attributes:
        commands: which. found: what is there, empty where it is missing. remedy: what to do then.
    """

    name: str
    commands: tuple[str, ...]
    found: str
    remedy: str

    @property
    def ok(self) -> bool:
        return bool(self.found)


@dataclass(frozen=True)
class Machine:
    """What checks look at, so that a test can have another."""

    env: Mapping[str, str]
    which: Callable[[str], str | None]
    python: tuple[int, int]
    memory_gib: float
    disk_gib: float
    root: Path


def this_machine() -> Machine:
    """The one that this runs on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    disk = shutil.disk_usage(Path.home()).free / 2**30
    return Machine(os.environ, shutil.which, sys.version_info[:2], memory, disk, ROOT)


_FILES = ("check", "report", "place", "quota")
_ENGINE = ("preview", "up", "destroy", "status", "drift")
# A cloud's own program, and what kubectl calls to log in to its clusters.
_CLOUDS = {
    "aws": ("aws", "https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html", ()),
    "gcp": ("gcloud", "https://cloud.google.com/sdk/docs/install", ("gke-gcloud-auth-plugin",)),
    "azure": ("az", "https://learn.microsoft.com/cli/azure/install-azure-cli", ("kubelogin",)),
}
COMMANDS = (*_FILES, *_ENGINE, "sandbox", "comment github", "comment gitlab")


def checks(machine: Machine, clouds: Iterable[str]) -> Iterator[Check]:
    """Everything, for stacks on these clouds."""
    version = ".".join(map(str, machine.python))
    yield Check("Python", COMMANDS, version if machine.python >= (3, 11) else "", "install Python 3.11 or newer")
    git = machine.which("git") or ""
    yield Check("git", ("report",), git, "install git, or compare with `--base-dir DIR`, which needs none")
    yield from _engine(machine, clouds)
    yield from _sandbox(machine)
    for forge, variable in (("github", "GITHUB_TOKEN"), ("gitlab", "GITLAB_TOKEN")):
        there = "is set" if machine.env.get(variable) else ""
        yield Check(variable, (f"comment {forge}",), there, f"export {variable}=…, a token that may write comments")


def _engine(machine: Machine, clouds: Iterable[str]) -> Iterator[Check]:
    pulumi = machine.which("pulumi") or ""
    yield Check("pulumi", _ENGINE, pulumi, "https://www.pulumi.com/docs/install/, or add --sandbox, which builds its own")
    backend = machine.env.get("PULUMI_BACKEND_URL") or ("logged in" if _logged_in(machine) else "")
    yield Check("a state backend", _ENGINE, backend, "pulumi login, or export PULUMI_BACKEND_URL=s3://…")
    yield Check("kubectl", ("status",), machine.which("kubectl") or "", "https://kubernetes.io/docs/tasks/tools/")
    for cloud in sorted(set(clouds) & set(_CLOUDS)):
        program, page, more = _CLOUDS[cloud]
        yield Check(program, _ENGINE, machine.which(program) or "", f"{page}, then log in; the sandbox needs none")
        for one in more:
            yield Check(one, _ENGINE, machine.which(one) or "", f"install {one}: the kubeconfigs of this cloud call it")


def _logged_in(machine: Machine) -> bool:
    home = Path(machine.env.get("PULUMI_HOME") or Path(machine.env.get("HOME", "/")) / ".pulumi")
    return (home / "credentials.json").exists() or bool(machine.env.get("PULUMI_ACCESS_TOKEN"))


def _sandbox(machine: Machine) -> Iterator[Check]:
    needs = ("sandbox",)
    memory, disk = f"{machine.memory_gib:.0f} GiB", f"{machine.disk_gib:.0f} GiB free"
    yield Check("memory", needs, memory if machine.memory_gib >= _MEMORY_GIB else "", f"{_MEMORY_GIB} GiB: there are {memory}")
    yield Check("disk", needs, disk if machine.disk_gib >= _DISK_GIB else "", f"{_DISK_GIB} GiB for a first build: {disk}")
    packages = [name for name in ("moto", "cryptography", "starlette") if importlib.util.find_spec(name) is None]
    yield Check("the sandbox's packages", needs, "" if packages else "installed", "pip install -r requirements-dev.txt")


def doctor(
    command: Annotated[list[str] | None, typer.Option("--for", help="Command to look for; repeatable. Default: all.")] = None,
    as_: AsFormat = Format.TEXT,
) -> None:
    """Say what this machine lacks to run each command, with the exact remedy.

    Example: `fleet doctor --for up`

    Exit codes: 0 nothing is missing for these commands, 2 wrong usage, 3 something is missing.
    """
    wanted = command or list(COMMANDS)
    if wrong := [one for one in wanted if one not in COMMANDS]:
        raise typer.BadParameter(f"{wrong[0]!r} is none of {', '.join(COMMANDS)}", param_hint="--for")
    found = [one for one in checks(this_machine(), _clouds()) if set(one.commands) & set(wanted)]
    lacks = {name: [one for one in found if name in one.commands and not one.ok] for name in wanted}
    if as_ is Format.JSON:
        print(json.dumps({"version": 1, "checks": [{**asdict(one), "ok": one.ok} for one in found]}, indent=2))  # noqa: T201
    else:
        _print(found, lacks)
    raise typer.Exit(3 if any(lacks.values()) else 0)


def _print(found: list[Check], lacks: Mapping[str, list[Check]]) -> None:
    console = Console(soft_wrap=True, highlight=False)
    for one in found:
        if not one.ok:
            console.print(f"missing  {one.name}: {one.remedy}", style="red", markup=False)
    for name, missing in lacks.items():
        said = f"lacks {', '.join(one.name for one in missing)}" if missing else "ready"
        console.print(f"fleet {name}: {said}", style="" if missing else "green", markup=False)


def _clouds() -> list[str]:
    """Clouds of the stack files; of those that cannot be read, whichever they name."""
    names = []
    for file in STACKS.glob("*.yaml"):
        if not file.name.startswith("Pulumi."):
            text = file.read_text(encoding="utf-8", errors="replace")
            names += [line.split(":", 1)[1].strip() for line in text.splitlines() if line.strip().startswith("cloud:")]
    return names
