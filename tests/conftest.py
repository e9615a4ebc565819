"""What every test shares: `deploy`, Pulumi's mocks behind a recorder, and no way out to a network.

A test that runs servers is marked `sandbox`; one that needs a loopback socket alone says `enable_socket`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import pytest_socket

from tests.mocked_engine import Recorder
from tests.mocked_engine import deploy as run_program

# They run in environments of their own: make serving-test projects-test.
collect_ignore = ["projects", "serving"]


def pytest_configure(config: pytest.Config) -> None:
    # The SDKs import all of a module with its deprecated classes, and each of those warns when it is imported.
    config.addinivalue_line("filterwarnings", r"ignore:.* has been deprecated in favor of:DeprecationWarning:pulumi_\w+\.")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Sockets off, before any fixture; Unix sockets stay, for event loops need them."""
    if not any(item.get_closest_marker(name) for name in ("sandbox", "enable_socket")):
        pytest_socket.disable_socket(allow_unix_socket=True)


@pytest.fixture
def deploy() -> Callable[..., Recorder]:
    """`deploy(program) -> Recorder`; see `tests.mocked_engine.deploy`."""

    def run(program: Callable[[], None], **options: Any) -> Recorder:
        return run_program(program, **options)

    return run
