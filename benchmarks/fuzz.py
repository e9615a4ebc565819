"""`python -m benchmarks.fuzz [--stacks N] [--reports N] [--programs N]`: generated inputs, until one fails.

Not a ratio, so it is no row of `python -m benchmarks`. It prints how many were sound, and ends with 1 on the first traceback,
hang or control character, with the smallest input that shows it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, Phase, given, settings

from tests.fuzzing import program_files, sound_stacks, stack_files, trees
from tests.fuzzing_checks import check_program, check_report, check_stack_file


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--stacks", type=int, default=10_000)
    parser.add_argument("--reports", type=int, default=10_000, help="pairs of stack files")
    parser.add_argument("--programs", type=int, default=10_000, help="files for `fleet report --from`")
    asked = parser.parse_args()
    many: Any = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
    many["phases"] = (Phase.generate, Phase.shrink)
    counted: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="accelfleet-fuzz-") as scratch:
        place = Path(scratch)

        @settings(max_examples=max(1, asked.stacks), **many)
        @given(content=stack_files())
        def stacks(content: bytes) -> None:
            counted["sound" if check_stack_file(place / "fuzzed.yaml", content) else "refused"] += 1

        @settings(max_examples=max(1, asked.reports), **many)
        @given(after=sound_stacks(), before=sound_stacks() | trees())
        def reports(after: dict[str, Any], before: Any) -> None:
            known = check_report(place, yaml.safe_dump(after).encode(), yaml.safe_dump(before).encode())
            counted["compared" if known else "refused"] += 1

        @settings(max_examples=max(1, asked.programs), **many)
        @given(content=program_files())
        def programs(content: bytes) -> None:
            counted["read" if check_program(place / "program.json", content) else "refused"] += 1

        kinds = (
            ("stack files", stacks, asked.stacks),
            ("reports", reports, asked.reports),
            ("programs", programs, asked.programs),
        )
        for name, run, number in kinds:
            if number:
                started = time.monotonic()
                run()
                print(f"{name}: {dict(counted)} in {time.monotonic() - started:.0f} s")
                counted.clear()


if __name__ == "__main__":
    main()
