"""What people write under `terraform:`: states of Terraform whose outputs stand in for values of the stack file."""

from __future__ import annotations

import re

from pydantic import Field

from fleet.spec_base import Spec

_STATE, _OUTPUT = r"[a-z](?:-?[a-z0-9])*", r"[A-Za-z_][A-Za-z0-9_-]*"
_REFERENCE = re.compile(rf"terraform:({_STATE})\.({_OUTPUT})")
# The name of a secret of the stack, or an output that may be sensitive.
SECRET = rf"^([A-Za-z][A-Za-z0-9_-]*|terraform:{_STATE}\.{_OUTPUT})$"


class TerraformSpec(Spec):
    """A state file, version 4; only its outputs are read."""

    state: str = Field(description="File below the repository's root, as `terraform state pull` prints it; keep it out of git.")


def reference(text: object) -> tuple[str, str] | None:
    """State and output that a value names; None where it is no `terraform:<state>.<output>`.

    >>> reference("terraform:net.vpc_id"), reference("terraform.net"), reference(3)
    (('net', 'vpc_id'), None, None)
    """
    found = _REFERENCE.fullmatch(text) if isinstance(text, str) else None
    return (found[1], found[2]) if found else None
