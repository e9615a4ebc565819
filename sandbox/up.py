"""Bring the sandbox up: toolchain, workspace, daemon, in that order; each step is quick when it is done already."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fleet.spec import StackSpec
from fleet.workspace import ROOT, EnvironmentLacksError, Workspace
from sandbox import addons, toolchain
from sandbox.cloud import daemon
from sandbox.workspace import sandbox_workspace

TOOLS = (
    "pulumi",
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok",
    "kubectl",
    "helm",
    "fake-gcs-server",
)


def lacking(specs: Iterable[StackSpec]) -> list[str]:
    """Programs that a sandbox with these stacks needs, and that would have to be built first."""
    wanted = (*TOOLS, *(tool for spec in specs for tool in addons.needed(spec)))
    return [name for name in dict.fromkeys(wanted) if toolchain.find(name) is None]


def up(directory: Path | None = None, program: Path = ROOT) -> Workspace:
    """The sandbox's workspace, with the daemon running.

    Args:
        directory: the sandbox's; default: the user's own. program: the directory of the program to run there.

    Raises:
        EnvironmentLacksError: a tool could not be had, or the daemon did not start.
    """
    try:
        toolchain.ensure(TOOLS)
        workspace = sandbox_workspace(directory, program)
        daemon.start(workspace.sandbox)
    except (RuntimeError, OSError) as problem:
        raise EnvironmentLacksError(str(problem)) from problem
    return workspace
