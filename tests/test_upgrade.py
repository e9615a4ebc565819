"""A state of the first version is taken over by this one: all that it holds is still declared, under the same URN and name.

`tests/corpus/first` has the stack files of then and what they were made into. A URN that is no longer declared is deleted by
`up`, and a physical name that is another is a replacement: an alias, or a name kept, is due. New resources may come.
To record again, for a new major version alone: `python -m tests.test_upgrade`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fleet.load import load_stack
from fleet.workspace import ROOT
from infra.platform import deploy as platform
from infra.stack import Stack
from tests.mocked_engine import Recorder, set_accounts
from tests.mocked_engine import deploy as run_program

FIRST = ROOT / "tests" / "corpus" / "first"
RECORD = FIRST / "resources.json"
STACKS = ("aws-dev", "azure-dev", "gcp-dev")
# Inputs that no cloud changes in place; another value is another resource.
_NAMES = (
    "accountName",
    "agentPoolName",
    "bucket",
    "cidrBlock",
    "clusterName",
    "containerName",
    "location",
    "name",
    "nodeGroupName",
    "resourceGroupName",
    "resourceName",
    "virtualNetworkName",
)


def made(stack: str) -> Recorder:
    def program() -> None:
        set_accounts()
        platform(Stack(stack, load_stack(FIRST / f"{stack}.yaml")))

    return run_program(program, stack=stack)


def identities(found: Recorder) -> dict[str, dict[str, Any]]:
    """URN -> what names it in its cloud; mocks answer with ids of their own, which are no names."""
    return {r.urn: {k: r.inputs[k] for k in _NAMES if isinstance(r.inputs.get(k), str)} for r in found.resources}


@pytest.mark.parametrize("stack", STACKS)
def test_no_resource_of_the_first_version_is_lost_or_replaced(stack: str) -> None:
    recorded = json.loads(RECORD.read_text())[stack]
    assert len(recorded) > 30
    found = made(stack)
    now = identities(found)
    aliases = {alias for r in found.resources for alias in r.aliases}
    lost = [urn for urn in recorded if urn not in now and urn not in aliases and urn.rpartition("::")[2] not in aliases]
    assert lost == []
    renamed = {urn: (names, now[urn]) for urn, names in recorded.items() if urn in now and names != now[urn]}
    assert renamed == {}


if __name__ == "__main__":
    import sys

    # One stack a process: mocks are set once.
    (stack,) = sys.argv[1:]
    kept = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    Path(RECORD).write_text(json.dumps({**kept, stack: identities(made(stack))}, indent=1, sort_keys=True) + "\n")
