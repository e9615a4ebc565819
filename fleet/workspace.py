"""Where an engine run happens: the project directory, the environment, and what must be cleaned up after it.

A real workspace is the repository as it is. The sandbox makes its own (`sandbox.workspace`), with a state of its own
and no credential in reach; nothing else tells the two apart.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fleet.leftovers import View
from fleet.lookup import Finder, RealClouds
from fleet.spec import StackSpec

# Whose stacks and program: by $ACCELFLEET_ROOT those of another checkout, a stranger's request say (docs/threat-model.md).
ROOT = Path(os.environ.get("ACCELFLEET_ROOT") or Path(__file__).parents[1]).resolve()
STACKS = ROOT / "stacks"
POLICIES = ROOT / "policies"


class EnvironmentLacksError(Exception):
    """Something this machine lacks; the message says how to get it."""


@dataclass(frozen=True)
class Workspace:
    """A place to run the engine in.

    Attributes:
        project: directory of the Pulumi.yaml that the engine reads.
        engine, kubectl: programs to run.
        sandbox: the sandbox's directory, None for real clouds.
    """

    project: Path
    env: dict[str, str] = field(repr=False)
    # Where an unfinished resource is.
    finder: Finder
    engine: str = "pulumi"
    kubectl: str = "kubectl"
    sandbox: Path | None = None
    # The policy pack that changes are held to; None for programs of other people's.
    policies: Path | None = None
    # What the clouds hold, asked behind the engine's back; None where nobody can tell.
    view: View | None = None
    # Lets stand what a stack says stands already, and returns secrets of its configuration; None where that is not ours.
    prepare: Callable[[str, StackSpec], dict[str, str]] | None = None

    @property
    def running(self) -> Path:
        """Directory of the marks that a run leaves until it ends well."""
        return (self.sandbox or ROOT / ".accelfleet") / "running"

    @property
    def backups(self) -> Path:
        """Directory of the copies of states (`fleet.state`); $ACCELFLEET_BACKUPS names another, but never for the sandbox's."""
        if self.sandbox:
            return self.sandbox / "backups"
        return Path(self.env.get("ACCELFLEET_BACKUPS") or ROOT / ".accelfleet" / "backups")


def real_workspace() -> Workspace:
    """The repository against real clouds, with the user's own credentials and backend.

    Raises:
        EnvironmentLacksError: the Pulumi CLI is not installed.
    """
    if shutil.which("pulumi") is None:
        raise EnvironmentLacksError(
            "the Pulumi CLI is not on PATH: install it (https://www.pulumi.com/docs/install/), or add --sandbox to run locally"
        )
    return Workspace(ROOT, dict(os.environ), RealClouds(os.environ), policies=POLICIES)
