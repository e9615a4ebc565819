"""No stack file and no pair of them brings down the checks or the report: errors with a place, or all five shapes of a report.

Hundreds here; ten thousand of each by `python -m benchmarks.fuzz`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings

from tests.fuzzing import program_files, sound_stacks, stack_files, trees
from tests.fuzzing_checks import check_program, check_report, check_stack_file

compared: list[bool] = []
read: list[bool] = []
# The same every time: what a run draws anew is `python -m benchmarks.fuzz`.
FEW = {
    "derandomize": True,
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
}


@given(content=stack_files())
@settings(max_examples=150, **FEW)  # type: ignore[arg-type]
def test_a_stack_file_is_sound_or_told_what_is_wrong(tmp_path: Path, content: bytes) -> None:
    check_stack_file(tmp_path / "fuzzed.yaml", content)


@given(after=sound_stacks(), before=sound_stacks() | trees())
@settings(max_examples=50, **FEW)  # type: ignore[arg-type]
def test_any_two_stacks_are_compared_in_every_shape(tmp_path: Path, after: dict[str, Any], before: Any) -> None:
    compared.append(check_report(tmp_path, yaml.safe_dump(after).encode(), yaml.safe_dump(before).encode()))


@given(content=program_files())
@settings(max_examples=100, **FEW)  # type: ignore[arg-type]
def test_a_file_of_any_program_is_reported_on_or_refused(tmp_path: Path, content: bytes) -> None:
    read.append(check_program(tmp_path / "program.json", content))


def test_most_of_them_were_read() -> None:
    assert sum(read) > len(read) / 3, f"only {sum(read)} of {len(read)} were read: the strategy is of no use"


def test_most_of_them_were_compared() -> None:
    assert sum(compared) > len(compared) / 3, f"only {sum(compared)} of {len(compared)} were sound: the strategy is of no use"
