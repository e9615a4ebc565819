"""Bring the sandbox up: toolchain, workspace, daemon, in that order; each step is quick when it is done already."""

from __future__ import annotations

from fleet.workspace import EnvironmentLacksError, Workspace
from sandbox import toolchain
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


def up() -> Workspace:
    """The sandbox's workspace, with the daemon running.

    Raises:
        EnvironmentLacksError: a tool could not be had, or the daemon did not start.
    """
    try:
        toolchain.ensure(TOOLS)
        workspace = sandbox_workspace()
        daemon.start(workspace.sandbox)
    except (RuntimeError, OSError) as problem:
        raise EnvironmentLacksError(str(problem)) from problem
    return workspace
