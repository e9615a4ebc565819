"""Ten things that a stranger's pull request may bring, and what becomes of each: one error at most, nothing run, nothing read.

Its code is another matter: that runs with a read-only token on the forge's own machine, see docs/threat-model.md and
tests/fleet/test_workflow_rules.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.load import StackErrors, load_stack
from fleet.weights import fault
from fleet.workspace import ROOT, STACKS

GOOD = (STACKS / "aws-dev.yaml").read_text()
SECRET = "aws_secret_access_key = canary-of-the-machine"


def elsewhere(place: Path) -> Path:
    home = place / "home"
    home.mkdir()
    (home / "credentials").write_text(SECRET)
    return home / "credentials"


def link_to_credentials(file: Path) -> None:
    file.symlink_to(elsewhere(file.parent.parent))


def link_to_a_device(file: Path) -> None:
    file.symlink_to("/dev/zero")


def pipe(file: Path) -> None:
    os.mkfifo(file)


def huge(file: Path) -> None:
    with file.open("wb") as stream:
        stream.truncate(10 * 2**30)


def alias_bomb(file: Path) -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    file.write_text("\n".join(levels))


def deep(file: Path) -> None:
    file.write_text("a: " + "[" * 100_000)


def python_tag(file: Path) -> None:
    file.write_text("owner: !!python/object/apply:os.system ['touch /tmp/hostile']")


def terminal_codes(file: Path) -> None:
    file.write_text(GOOD + '"\\e]0;owned\\a\\e[2J\\e[31m": 1\n')


def workflow_commands(file: Path) -> None:
    file.write_text(GOOD + '"x\\n::add-mask::y\\n::error::owned": 1\n')


def giant_number(file: Path) -> None:
    file.write_text(GOOD.replace("max: 3", f"max: {'9' * 6000}"))


HOSTILE: list[Callable[[Path], None]] = [
    link_to_credentials,
    link_to_a_device,
    pipe,
    huge,
    alias_bomb,
    deep,
    python_tag,
    terminal_codes,
    workflow_commands,
    giant_number,
]


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_a_hostile_stack_file_is_contained(make: Callable[[Path], None], tmp_path: Path) -> None:
    file = tmp_path / "stacks" / "hostile.yaml"
    file.parent.mkdir()
    make(file)
    started = time.monotonic()
    with pytest.raises(StackErrors) as refused:
        load_stack(file)
    assert time.monotonic() - started < 10
    said = [str(error) for error in refused.value.errors]
    assert said
    for line in said:
        assert line.isprintable(), repr(line)
        assert not line.startswith("::")
        assert "canary" not in line
        assert len(line) <= 2000
    assert not Path("/tmp/hostile").exists()


@pytest.mark.parametrize("name", ["../../etc", "/etc", "models/../../outside", "linked"])
def test_weights_from_outside_of_the_repository_are_refused(tmp_path: Path, name: str) -> None:
    root = tmp_path / "repository"
    (root / "models").mkdir(parents=True)
    elsewhere(tmp_path)
    (root / "linked").symlink_to(tmp_path / "home")
    (tmp_path / "outside").mkdir()
    found = fault(name, root)
    assert found is not None
    assert "outside of the repository" in found[0]


def test_the_command_says_it_in_one_line_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "hostile.yaml"
    workflow_commands(file)
    program = "import sys; from pathlib import Path; import fleet.cli, fleet.arguments, fleet.rollout\n"
    program += "fleet.arguments.STACKS = Path(sys.argv.pop(1)); fleet.cli.main()"
    command = [sys.executable, "-c", program, str(tmp_path), "check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert not [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("::")]
