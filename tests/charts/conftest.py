"""Both helms, and one API server for all charts."""

from __future__ import annotations

import json

import pytest

from sandbox import toolchain
from sandbox.control_plane import ControlPlane
from tests.charts.rendering import run


@pytest.fixture(scope="session")
def helm():
    """`helm(*arguments, values=…) -> stdout`; `by="helm3"` for the older one."""

    def call(*arguments, values=None, by="helm"):
        given = () if values is None else ("--values", "-")
        return run(toolchain.path(by), *arguments, *given, stdin=json.dumps(values))

    return call


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory):
    made = ControlPlane("charts", tmp_path_factory.mktemp("control-plane"))
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def kubectl(control_plane):
    def call(*arguments, stdin=None):
        config = control_plane.directory / "kubeconfig"
        return run(toolchain.path("kubectl"), "--kubeconfig", config, *arguments, stdin=json.dumps(stdin))

    return call
