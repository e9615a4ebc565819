"""What the model server's tests share. They run in its own environment: `make serving-test`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.serving.running import Running


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every model of `tests.serving.made`."""
    from tests.serving import made

    folder = tmp_path_factory.mktemp("models")
    made.write_all(folder)
    return folder


@pytest.fixture(scope="session")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server with all of them, for tests that leave it as it was."""
    from tests.serving.running import start

    places = [str(path) for path in sorted(models.glob("*.yaml"))]
    flags = [flag for place in places for flag in ("--model", place)]
    with start(*flags, "--max-body-mib", "1", log=tmp_path_factory.mktemp("server") / "log") as running:
        yield running
