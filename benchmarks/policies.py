"""What the policy pack adds to a preview: the same program with and without it, by turns. `python -m benchmarks.policies`.

The program registers 300 launch templates, which four rules look at, against the sandbox's provider.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import yaml

from fleet.engine import Engine
from fleet.workspace import POLICIES
from sandbox.cloud import daemon
from sandbox.workspace import sandbox_workspace, shadow_project

_ROUNDS = 5
_RESOURCES = 300
_PROGRAM = f"""import pulumi_aws as aws

for i in range({_RESOURCES}):
    aws.ec2.LaunchTemplate(
        f"template-{{i}}", metadata_options={{"http_tokens": "required", "http_put_response_hop_limit": 1}}
    )
"""


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        home, program = Path(scratch) / "sandbox", Path(scratch) / "program"
        workspace = sandbox_workspace(home)
        (project := home / "bench" / "config").mkdir(parents=True)
        program.mkdir()
        (program / "__main__.py").write_text(_PROGRAM)
        (project.parent / "Pulumi.yaml").write_text(yaml.safe_dump(shadow_project(home / "bin", program, "bench")))
        (project / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": {"aws:region": "us-east-1"}}))
        daemon.start(home)
        try:
            engine = Engine(replace(workspace, project=project.parent), "dev")
            engine.init()
            seconds: dict[bool, list[float]] = {False: [], True: []}
            burnt: dict[bool, list[float]] = {False: [], True: []}
            for turn in range(2 * _ROUNDS + 2):
                held = bool(turn % 2)
                started, before = time.monotonic(), _processor_s()
                outcome = engine.run("preview", *(("--policy-pack", str(POLICIES)) if held else ()))
                assert outcome.ok, outcome.errors
                if turn > 1:  # the first of each only warms up
                    seconds[held].append(time.monotonic() - started)
                    burnt[held].append(_processor_s() - before)
        finally:
            daemon.stop(home)
    without, with_pack = (statistics.median(seconds[held]) for held in (False, True))
    print(f"preview of {_RESOURCES} resources: {without:.2f} s without the pack, {with_pack:.2f} s with it")
    for held, label in ((False, "without"), (True, "with")):
        print(f"  {label}: {min(seconds[held]):.2f} to {max(seconds[held]):.2f} s of {_ROUNDS}")
    print(f"the pack adds {with_pack / without - 1:.1%}")
    # What a busy machine does not change: processor time of the engine and all it started.
    without, with_pack = (statistics.median(burnt[held]) for held in (False, True))
    print(f"processor: {without:.2f} s without, {with_pack:.2f} s with it: {with_pack / without - 1:.1%}")
    return 0


def _processor_s() -> float:
    """Of children that ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
