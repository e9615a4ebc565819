"""A provider's plugin is killed: the next `fleet` run converges with no human step."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.killing import converges
from tests.e2e.rig import Rig, standing

pytestmark = pytest.mark.sandbox
SEEDS = range(1, 20, 2)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with standing(tmp_path_factory.mktemp("plugin-crashes"), latency=0.2) as made:
        yield made


@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_whose_provider_is_killed_converges(rig: Rig, seed: int) -> None:
    converges(rig, seed, "plugin", resources=59, tagged=43)
