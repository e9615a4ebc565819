"""What the policy pack adds to a preview, beside a pack of no rules and one of as many rules by pulumi-policy.

The same program without a pack, with ours and with these, by turns: 300 launch templates, which four rules look at, against
the sandbox's provider. A pack of no rules is what the engine's protocol costs by itself: a process, and two calls a resource.
Processor time of the engine and all it started beside the clock, which a busy machine stretches.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import yaml

from benchmarks.environments import environment
from benchmarks.measure import Aim, Ratio, Run, interleave
from fleet.engine import Engine
from fleet.workspace import POLICIES
from policies.accel_policies.judge import RULES
from sandbox.cloud import daemon
from sandbox.workspace import sandbox_workspace, shadow_project

NAME = "policies"

_RESOURCES = 300
_PEER = ("pulumi-policy==1.21.0",)
_PLAIN, _OURS = "preview of 300 resources", "the same with the policy pack"
_BARE, _THEIRS = "the same with a pack of no rules", "the same with pulumi-policy's"
_PROGRAM = f"""import pulumi_aws as aws

for i in range({_RESOURCES}):
    aws.ec2.LaunchTemplate(
        f"template-{{i}}", metadata_options={{"http_tokens": "required", "http_put_response_hop_limit": 1}}
    )
"""
# What every pack has to answer.
_NOTHING = """import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import analyzer_pb2 as messages, plugin_pb2
from pulumi.runtime.proto.analyzer_pb2_grpc import AnalyzerServicer, add_AnalyzerServicer_to_server


class Nothing(AnalyzerServicer):
    pass


ANSWERS = {
    "Handshake": messages.AnalyzerHandshakeResponse(),
    "GetPluginInfo": plugin_pb2.PluginInfo(version="0.1.0"),
    "Configure": Empty(),
    "ConfigureStack": messages.AnalyzerStackConfigureResponse(),
    "Cancel": Empty(),
    "GetAnalyzerInfo": messages.AnalyzerInfo(name="nothing", version="0.1.0"),
    "Analyze": messages.AnalyzeResponse(),
    "AnalyzeStack": messages.AnalyzeResponse(),
    "Remediate": messages.RemediateResponse(),
}
for name, answer in ANSWERS.items():
    setattr(Nothing, name, lambda self, request, context, answer=answer: answer)
server = grpc.server(ThreadPoolExecutor(4))
add_AnalyzerServicer_to_server(Nothing(), server)
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
"""
# As many rules as ours, four of which look at what the program makes and find it kept.
_AS_MANY = f"""from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy

TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"


def looking_at(type_):
    def rule(args, report_violation):
        if args.resource_type == type_ and args.props["metadataOptions"]["httpTokens"] != "required":
            report_violation("the metadata service answers without a token")

    return rule


PolicyPack(
    "peer",
    [
        ResourceValidationPolicy(
            f"rule-{{i}}", "Tokens are required.", looking_at(TEMPLATE if i < 4 else f"none:{{i}}"), EnforcementLevel.MANDATORY
        )
        for i in range({len(RULES)})
    ],
)
"""


def measure(quick: bool) -> list[Ratio]:
    with tempfile.TemporaryDirectory(prefix="accelfleet-bench-") as scratch:
        home = Path(scratch)
        # As outside the sandbox, where each plugin starts anew.
        daemon.start(home, warm=False)
        try:
            engine = _engine(home)
            sides = {_PLAIN: _side(), _OURS: _side(POLICIES), _BARE: _side(_pack(home / "nothing", _NOTHING))}
            if python := environment("pulumi-policy", _PEER):
                sides[_THEIRS] = _side(_peer(home / "peer", python))
            burnt: dict[str, list[float]] = {name: [] for name in sides}
            on: dict[str, Callable[[], Run]] = {name: _noting(burnt[name], engine, flags) for name, flags in sides.items()}
            runs = interleave(on, 2 if quick else 11)
        finally:
            daemon.stop(home)
    clock = {name: tuple(run.seconds for run in found) for name, found in runs.items()}
    # The first of each only warmed up.
    processor = {name: tuple(found[1:]) for name, found in burnt.items()}
    aim = Aim(1.15, at_least=False)
    made = [
        Ratio(NAME, f"{_OURS}, processor", _PLAIN, "s", processor[_OURS], processor[_PLAIN], aim),
        Ratio(NAME, f"{_OURS}, by the clock", _PLAIN, "s", clock[_OURS], clock[_PLAIN], aim),
    ]
    made += [
        Ratio(NAME, f"{side}, processor", _PLAIN, "s", processor[side], processor[_PLAIN])
        for side in (_BARE, _THEIRS)
        if side in sides
    ]
    made.append(Ratio(NAME, f"{_OURS}, processor", _BARE, "s", processor[_OURS], processor[_BARE]))
    if _THEIRS in sides:
        added = {name: _less(processor[name], processor[_PLAIN]) for name in (_THEIRS, _OURS)}
        made.append(Ratio(NAME, "what pulumi-policy's adds, processor", "what ours adds", "s", added[_THEIRS], added[_OURS]))
    return made


def _side(pack: Path | None = None) -> tuple[str, ...]:
    return ("--policy-pack", str(pack)) if pack else ()


def _less(one: tuple[float, ...], other: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(a - b for a, b in zip(one, other, strict=True))


def _engine(home: Path) -> Engine:
    workspace, program = sandbox_workspace(home), home / "program"
    (project := home / "bench" / "config").mkdir(parents=True)
    program.mkdir()
    (program / "__main__.py").write_text(_PROGRAM)
    (project.parent / "Pulumi.yaml").write_text(yaml.safe_dump(shadow_project(home / "bin", program, "bench")))
    (project / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": {"aws:region": "us-east-1"}}))
    engine = Engine(replace(workspace, project=project.parent), "dev")
    engine.init()
    return engine


def _pack(pack: Path, program: str) -> Path:
    pack.mkdir()
    about = {"name": "python", "options": {"toolchain": "pip", "virtualenv": sys.prefix}}
    (pack / "PulumiPolicy.yaml").write_text(yaml.safe_dump({"runtime": about, "version": "0.1.0"}))
    (pack / "__main__.py").write_text(program)
    return pack


def _peer(pack: Path, python: str) -> Path:
    """With that package alone from its environment: the sandbox's engine runs packs in ours, whose protobuf is newer."""
    (package,) = Path(python).parents[1].glob("lib/*/site-packages/pulumi_policy")
    (_pack(pack, _AS_MANY) / "pulumi_policy").symlink_to(package)
    return pack


def _noting(burnt: list[float], engine: Engine, flags: tuple[str, ...]) -> Callable[[], Run]:
    def run() -> Run:
        before = _processor_s()
        outcome = engine.run("preview", *flags)
        if not outcome.ok:
            raise RuntimeError("preview failed:\n" + "\n".join(outcome.errors))
        burnt.append(_processor_s() - before)
        return Run(outcome.seconds)

    return run


def _processor_s() -> float:
    """Of children that ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
