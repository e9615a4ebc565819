"""The rules behind the engine's analyzer protocol: `pulumi preview --policy-pack policies`.

Speaks the protocol itself, with the messages that the Pulumi SDK brings, and not through the pulumi-policy package: that
one hides a whole resource from a rule where one field is unknown, and holds protobuf at 5 (docs/adr/0017).
Stack rules judge what was registered, as the others do, and not what the providers answered: one shape for all.
"""
# ruff: noqa: N802 - the protocol names the methods

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc, plugin_pb2

from fleet.spec_policies import Enforcement
from policies.accel_policies.judge import RULES, Judgement, Violation, of_resource, of_stack
from policies.accel_policies.remedies import remedied
from policies.accel_policies.rule import Resource, Rule, Severity, Stack
from policies.accel_policies.settings import Settings
from policies.accel_policies.wire import plain

NAME = "accelfleet"
_ROOT = Path(__file__).resolve().parents[2]
_VERSION = "0.1.0"
_LEVEL = {
    Enforcement.MANDATORY: analyzer_pb2.MANDATORY,
    Enforcement.ADVISORY: analyzer_pb2.ADVISORY,
    Enforcement.DISABLED: analyzer_pb2.DISABLED,
}
_SEVERITY = {severity: getattr(analyzer_pb2, f"POLICY_SEVERITY_{severity.name}") for severity in Severity}


class Analyzer(analyzer_pb2_grpc.AnalyzerServicer):
    """One run of the engine."""

    def __init__(self, stacks: Path) -> None:
        self._stacks = stacks
        self._settings = settings_of(stacks, os.environ.get("PULUMI_STACK", ""))
        self._seen: dict[str, Resource] = {}
        self._lock = threading.Lock()

    def Handshake(self, request: Any, context: Any) -> Any:
        return analyzer_pb2.AnalyzerHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=_VERSION)

    def Configure(self, request: Any, context: Any) -> Any:
        """The stack file is where the pack is configured: one place, reviewed with the stack."""
        return empty_pb2.Empty()

    def ConfigureStack(self, request: Any, context: Any) -> Any:
        self._settings = settings_of(self._stacks, request.stack)
        return analyzer_pb2.AnalyzerStackConfigureResponse()

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def GetAnalyzerInfo(self, request: Any, context: Any) -> Any:
        return analyzer_pb2.AnalyzerInfo(
            name=NAME,
            displayName="Accelfleet",
            version=_VERSION,
            supportsConfig=False,
            policies=[
                analyzer_pb2.PolicyInfo(
                    name=rule.id,
                    description=rule.what,
                    message=rule.why,
                    enforcementLevel=_LEVEL[self._settings.enforcement(rule)],
                    severity=_SEVERITY[rule.severity],
                    remediation_steps=rule.mend,
                    tags=[rule.topic],
                    policy_type=analyzer_pb2.POLICY_TYPE_STACK if rule.whole else analyzer_pb2.POLICY_TYPE_RESOURCE,
                )
                for rule in RULES.values()
            ],
        )

    def Analyze(self, request: Any, context: Any) -> Any:
        props = plain(json_format.MessageToDict(request.properties))
        one = Resource(type=request.type, name=request.name, urn=request.urn, props=props, parent=request.options.parent)
        with self._lock:
            self._seen[one.urn] = one
        return _response(of_resource(one, self._settings), _quiet(one.type))

    def AnalyzeStack(self, request: Any, context: Any) -> Any:
        there = {one.urn for one in request.resources}
        with self._lock:
            stack = Stack(tuple(one for urn, one in self._seen.items() if urn in there))
        return _response(of_stack(stack, self._settings), _quiet_stack(stack))

    def Remediate(self, request: Any, context: Any) -> Any:
        """What the stack file wants set by itself; the engine goes on with the last answer's properties."""
        rules = [rule for rule in self._settings.remediate if request.type in RULES[rule].types]
        if not rules:
            return _NO_REMEDY
        done = []
        raw = json_format.MessageToDict(request.properties)
        for rule in rules:
            one = Resource(type=request.type, name=request.name, urn=request.urn, props=plain(raw))
            if self._settings.waiver(rule, request.name):
                continue
            if (changed := remedied(rule, one, raw)) is not None:
                raw = changed
                done.append(_remediation(RULES[rule], raw))
        others = [one for one in _NO_REMEDY.not_applicable if one.policy_name not in rules]
        return analyzer_pb2.RemediateResponse(remediations=done, not_applicable=others)


def settings_of(stacks: Path, stack: str) -> Settings:
    """What the stack file says; the defaults where there is none, or a faulty one, which the program refuses itself."""
    file = stacks / f"{stack}.yaml"
    if not file.is_file():
        return Settings()
    from fleet.load import StackErrors, load_stack  # noqa: PLC0415 - elsewhere the pack runs without a stack file

    try:
        return Settings.of(load_stack(file))
    except StackErrors:
        return Settings()


def _response(judgement: Judgement, quiet: Any) -> Any:
    if not judgement.unwaived:
        return quiet
    told = [_diagnostic(violation) for violation in judgement.unwaived]
    return analyzer_pb2.AnalyzeResponse(diagnostics=told, not_applicable=quiet.not_applicable)


@cache
def _quiet(type_: str) -> Any:
    """The answer where nothing is wrong. The engine takes each rule for kept that it does not name as looking elsewhere."""
    elsewhere = (rule for rule in RULES.values() if not rule.whole and type_ not in rule.types)
    return analyzer_pb2.AnalyzeResponse(not_applicable=_not_applicable(elsewhere))


def _quiet_stack(stack: Stack) -> Any:
    """The same of the rules that look at the stack."""
    elsewhere = (rule for rule in RULES.values() if rule.whole and not rule.concerns(stack))
    return analyzer_pb2.AnalyzeResponse(not_applicable=_not_applicable(elsewhere))


def _not_applicable(rules: Iterable[Rule]) -> list[Any]:
    return [analyzer_pb2.PolicyNotApplicable(policy_name=rule.id) for rule in rules]


# What a resource is told that no remedy is for: every rule is answered when it is analyzed.
_NO_REMEDY = analyzer_pb2.RemediateResponse(not_applicable=_not_applicable(rule for rule in RULES.values() if not rule.whole))


def _remediation(rule: Rule, props: dict[str, Any]) -> Any:
    struct = struct_pb2.Struct()
    struct.update(props)
    return analyzer_pb2.Remediation(
        policyName=rule.id,
        policyPackName=NAME,
        policyPackVersion=_VERSION,
        description=f"{rule.what} Set by itself: {rule.mend}.",
        properties=struct,
    )


def _diagnostic(violation: Violation) -> Any:
    rule = violation.rule
    return analyzer_pb2.AnalyzeDiagnostic(
        policyName=rule.id,
        policyPackName=NAME,
        policyPackVersion=_VERSION,
        description=rule.what,
        message=violation.message,
        enforcementLevel=_LEVEL[violation.enforcement],
        severity=_SEVERITY[rule.severity],
        urn=violation.resource.urn,
    )


def main(stacks: Path = _ROOT / "stacks") -> None:
    """Serve on a free loopback port, written to stdout as the engine expects, until the engine ends it."""
    server = grpc.server(ThreadPoolExecutor(4), options=_GRPC_CHANNEL_OPTIONS)
    analyzer_pb2_grpc.add_AnalyzerServicer_to_server(Analyzer(stacks), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()
