"""Which stack file this run is about, and what Pulumi's own configuration adds: the only reader of both in `infra`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pulumi

from fleet.load import StackErrors, load_stack
from fleet.spec import StackSpec
from fleet.spec_terraform import reference
from fleet.terraform import references
from fleet.terraform.state import StateError

STACKS = Path(__file__).resolve().parents[1] / "stacks"


@dataclass(frozen=True)
class Stack:
    """A checked stack file and the Pulumi stack's name, which is the file's."""

    name: str
    spec: StackSpec

    def secret(self, named: str) -> pulumi.Output[str]:
        """A secret of the stack by its key, or an output of a Terraform state, whose setting goes before it if it is there.

        Raises:
            pulumi.RunError: the state no longer has the output.
        """
        if reference(named) is None:
            return pulumi.Config().require_secret(named)
        given = pulumi.Config().get_secret(references.setting(named))
        if given is not None:
            return given
        try:
            return pulumi.Output.secret(references.secret(self.spec.terraform, named))
        except StateError as wrong:
            raise pulumi.RunError(str(wrong)) from None


def this_stack() -> Stack:
    """The stack the engine runs.

    Raises:
        pulumi.RunError: the stack file is missing or wrong; the message is one line per fault, with file and line.
    """
    name = pulumi.get_stack()
    path = STACKS / f"{name}.yaml"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in STACKS.glob("*.yaml") if not p.name.startswith("Pulumi.")))
        raise pulumi.RunError(
            f"{path.relative_to(STACKS.parent)} does not exist: a stack needs a file of its name; there are {known}"
        )
    try:
        return Stack(name, load_stack(path))
    except StackErrors as wrong:
        # The engine prints the message; a traceback would say nothing about the file.
        sys.tracebacklimit = 0
        raise pulumi.RunError(str(wrong)) from None
