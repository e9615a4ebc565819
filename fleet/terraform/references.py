"""Values of a stack file that are outputs of a Terraform state: `terraform:<state>.<output>` as a whole value.

Put in before anything is checked, so that `fleet check`, the report and the program see the value itself, offline. A sensitive
output stays a reference: it may stand only where a secret is named, and becomes one when the program runs. Reads files of the
repository and no backend: `terraform state pull` has Terraform's own credentials for each of those.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Any

from fleet.checks.finding import Finding, Path, listed, nearest
from fleet.spec import StackSpec
from fleet.spec_terraform import TerraformSpec, reference
from fleet.terraform.state import Output, StateError, read

_ROOT = File(__file__).resolve().parents[2]
# What names a secret, by the last key of its path.
_SECRETS = ("kubeconfig", "grid_token")
_PULL = "run `terraform state pull` there, and write its output to this file"


@dataclass
class Resolved:
    """What could not be put in: faults, and the paths that are of no use beside them."""

    faults: list[Finding] = field(default_factory=list)
    broken: set[Path] = field(default_factory=set)


def resolve(data: dict[str, Any]) -> Resolved:
    """Put the outputs into the parsed stack file, in place; what is misshapen is `fleet.checks.shape`'s to say."""
    found = Resolved()
    named = data.get("terraform")
    named = named if isinstance(named, dict) else {}
    states: dict[str, Mapping[str, Output] | None] = {}
    for path, value in list(_references({k: v for k, v in data.items() if k != "terraform"}, ())):
        name, output = reference(value) or ("", "")
        where = ("terraform", name, "state")
        if name not in named:
            remedy = nearest(name, named, "add it under terraform:, with its state")
            found.faults.append(Finding(path, f"no Terraform state '{name}' is named", repr(value), listed(named), remedy))
            found.broken.add(path)
            continue
        if name not in states:
            states[name] = _outputs(found, where, named[name])
        outputs = states[name]
        if outputs is None:
            found.broken.add(path)
        elif (fault := _fault(path, value, output, outputs)) is not None:
            found.faults.append(fault)
            found.broken.add(path)
        elif path[-1] not in _SECRETS:
            _put(data, path, outputs[output].value)
    return found


def secret(states: Mapping[str, TerraformSpec], value: str) -> str:
    """The text of an output that a secret field names.

    Raises:
        StateError: the state has changed since the stack file was checked.
    """
    name, output = reference(value) or ("", "")
    try:
        return str(read(_ROOT / states[name].state).outputs[output].value)
    except KeyError:
        raise StateError(f"{value}: no such output") from None


def secrets(spec: StackSpec) -> list[str]:
    """Every sensitive text that the stack file names; what cannot be read by now is left out."""
    found = []
    for cluster in spec.clusters.values():
        for value in (cluster.kubeconfig, cluster.grid_token):
            if value and reference(value):
                with suppress(StateError):
                    found.append(secret(spec.terraform, value))
    return found


def setting(value: str) -> str:
    """The key of Pulumi's configuration that stands before the output, where somebody set it; the sandbox does."""
    return value.replace(":", "-").replace(".", "-")


def _outputs(found: Resolved, where: Path, given: Any) -> Mapping[str, Output] | None:
    """A state's outputs; None where there are none to be had, which is then said once."""
    path = given.get("state") if isinstance(given, dict) else None
    if not isinstance(path, str):
        return None
    file = _ROOT / path
    if not file.resolve().is_relative_to(_ROOT):
        message, remedy = "lies outside of the repository", "put the state file below the repository's root"
    else:
        try:
            return read(file).outputs
        except StateError as wrong:
            # The message begins with the file, as the error's own place does not.
            message, remedy = str(wrong).removeprefix(f"{file}: "), _PULL
    found.faults.append(Finding(where, message, repr(path), "a state of version 4", remedy))
    found.broken.add(where)
    return None


def _fault(path: Path, value: str, output: str, outputs: Mapping[str, Output]) -> Finding | None:
    if output not in outputs:
        remedy = nearest(output, outputs, "add it as an output there, apply, and pull the state anew")
        return Finding(path, f"the state has no output '{output}'", repr(value), listed(outputs), remedy)
    secrets = path[-1] in _SECRETS
    if outputs[output].sensitive and not secrets:
        message = f"output '{output}' is sensitive, and would stand here in clear"
        return Finding(path, message, repr(value), f"in {listed(_SECRETS)}", "use one that is not sensitive")
    plain = outputs[output].value
    if secrets and not isinstance(plain, str):
        return Finding(path, f"output '{output}' is no text", repr(value), "a text", "name an output that is one")
    if not isinstance(plain, str | int | float) and not (isinstance(plain, list) and all(isinstance(i, str) for i in plain)):
        message = f"output '{output}' is neither text nor number nor a list of texts"
        return Finding(path, message, repr(value), "a text, a number or a list of texts", "add an output with the one value")
    return None


def _references(data: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _references(value, (*path, key))
    elif isinstance(data, list):
        for i, value in enumerate(data):
            yield from _references(value, (*path, i))
    elif reference(data):
        yield path, data


def _put(data: Any, path: Path, value: Any) -> None:
    for part in path[:-1]:
        data = data[part]
    data[path[-1]] = value
