"""The engine is killed, of sixty resources and of ten: the next `fleet` run converges with no human step."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.killing import converges
from tests.e2e.rig import SMALL, Rig, standing

pytestmark = pytest.mark.sandbox
SEEDS, MORE_SEEDS = range(0, 20, 2), range(20, 30)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with standing(tmp_path_factory.mktemp("crashes"), latency=0.2) as made:
        yield made


@pytest.fixture(scope="module")
def small_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with standing(tmp_path_factory.mktemp("few"), latency=0.2, program=SMALL) as made:
        yield made


@pytest.mark.parametrize("seed", SEEDS)
def test_a_killed_run_converges(rig: Rig, seed: int) -> None:
    converges(rig, seed, "engine", resources=59, tagged=43)


@pytest.mark.parametrize("seed", MORE_SEEDS)
def test_a_killed_run_of_few_resources_converges(small_rig: Rig, seed: int) -> None:
    converges(small_rig, seed, "engine", resources=10, tagged=10)
