"""What KWOK plays of pods' lives: its own stages and ours, for all pods but those whose program runs on this machine.

The life of those is their process's, and `sandbox.cluster.programs` tells it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from fleet.carbon import EXPORTER
from fleet.catalog.servers import OURS
from sandbox import toolchain

_OURS = sorted((Path(__file__).parent / "stages").glob("*.yaml"))
# Where these yield nothing the pod is KWOK's (`sandbox.cluster.program.entry_point` is the same in Python).
_RUNS_HERE = (
    f'.spec.containers.[].image | select( test("(^|/){OURS}([:@]|$)") )',
    f'.spec.containers.[].name | select( . == "{EXPORTER}" )',
)


def stages(directory: Path) -> list[Path]:
    """The stages, written as files to `directory`."""
    directory.mkdir(exist_ok=True)
    written = []
    for file in (*toolchain.carried("kwok"), *_OURS):
        found: list[dict[str, Any]] = [stage for stage in yaml.safe_load_all(file.read_text()) if stage]
        for stage in found:
            if stage["spec"]["resourceRef"]["kind"] == "Pod":
                kept = [{"key": key, "operator": "DoesNotExist"} for key in _RUNS_HERE]
                stage["spec"]["selector"]["matchExpressions"] += kept
        written.append(directory / file.name)
        written[-1].write_text(yaml.safe_dump_all(found))
    return written
