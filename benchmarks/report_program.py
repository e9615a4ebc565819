"""`fleet report --from` of events, with policies and all: its own time, and whether ten times as much takes ten times as long.

The events are those of a preview that creates machines, networks, buckets and roles; CPU seconds, as a busy machine else
interrupts the larger side more often.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measure import Aim, Ratio, Run, interleave, seconds
from fleet.inventory.file import read
from fleet.report.markdown import markdown
from fleet.report.program import report

NAME = "report-program"

_SMALL, _MANY = 1_000, 10_000
_PREVIEW = 300
_KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("aws:ec2/instance:Instance", {"instanceType": "g6.xlarge", "ami": "ami-1", "tags": {"a": "1"}}),
    ("aws:eks/nodeGroup:NodeGroup", {"instanceTypes": ["g6.xlarge"], "scalingConfig": {"minSize": 0, "maxSize": 4}}),
    ("aws:s3/bucket:Bucket", {"forceDestroy": False}),
    ("aws:iam/role:Role", {"assumeRolePolicy": '{"Version":"2012-10-17","Statement":[]}'}),
    ("aws:ec2/subnet:Subnet", {"cidrBlock": "10.0.0.0/24", "vpcId": "vpc-1"}),
)


def measure(quick: bool) -> list[Ratio]:
    rounds = 2 if quick else 5
    with tempfile.TemporaryDirectory(prefix="accelfleet-bench-") as scratch:
        sides: dict[str, Callable[[], Run]] = {}
        for count in (_PREVIEW, _SMALL, _MANY):
            file = Path(scratch) / f"{count}.json"
            file.write_text("\n".join(json.dumps(_event(number)) for number in range(count)))
            sides[f"{count:,} resources"] = lambda file=file: _timed(file)  # type: ignore[misc]
        runs = interleave(sides, rounds)
    few, small, many = sides
    # A hundredth more for each tenfold is a logarithm's, two tenths more a defect's.
    return [
        seconds(NAME, runs, many, small, Aim(1.2 * _MANY / _SMALL, at_least=False)),
        seconds(NAME, runs, small, few, Aim(1.2 * _SMALL / _PREVIEW, at_least=False)),
    ]


def _event(number: int) -> dict[str, Any]:
    kind, inputs = _KINDS[number % len(_KINDS)]
    urn = f"urn:pulumi:dev::shop::{kind}::thing-{number}"
    new = {"urn": urn, "type": kind, "custom": True, "parent": "", "inputs": inputs, "outputs": {}}
    return {"sequence": number, "resourcePreEvent": {"metadata": {"op": "create", "urn": urn, "type": kind, "new": new}}}


def _timed(file: Path) -> Run:
    started = time.process_time()
    markdown(report(read(file), "what stands", {}))
    return Run(time.process_time() - started)
