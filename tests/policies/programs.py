"""Fixtures of rules as Pulumi programs: the SDKs' own classes under mocks, and what reaches a rule of them.

A fixture is a list of (builder, changes); a builder makes one resource that no rule minds, and `changes` go over its
arguments. All fixtures are one program, so that each SDK is loaded once: what belongs to which is in the names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pulumi
from google.protobuf import json_format
from pulumi.runtime import mocks

from policies.accel_policies.judge import of_resource, of_stack
from policies.accel_policies.rule import Resource, Rule, Stack
from policies.accel_policies.settings import Settings
from policies.accel_policies.wire import plain

Build = Callable[..., Any]
Fixture = Sequence[tuple[Build, Mapping[str, Any]]]
TODAY = date(2026, 6, 1)
PROD = Settings(environment="prod", today=TODAY)
DEV = Settings(environment="dev", today=TODAY)


class _Mark:
    """Stands in a change for something that only a running program can make."""


U = _Mark()  # a value that is known only after the apply
GONE = _Mark()  # the argument is not given


@dataclass(frozen=True, kw_only=True)
class Case:
    """The fixtures of one rule.

    Attributes:
        edge: just on the border, and whether the rule minds it.
        unknown: what would be minded is not known yet.
        more: further ones, with whether the rule minds them.
    """

    good: Fixture
    bad: Fixture
    edge: tuple[Fixture, bool]
    unknown: Fixture
    more: tuple[tuple[Fixture, bool], ...] = ()
    settings: Settings = PROD
    # Settings of a fixture that needs others, by its kind.
    others: Mapping[str, Settings] = field(default_factory=dict)

    def kinds(self) -> dict[str, tuple[Fixture, bool]]:
        """Every fixture by what it is, and whether it is minded."""
        extra = {f"more-{i}": one for i, one in enumerate(self.more)}
        return {
            "good": (self.good, False),
            "bad": (self.bad, True),
            "edge": self.edge,
            "unknown": (self.unknown, False),
        } | extra


def case(
    make: Build,
    bad: Mapping[str, Any],
    edge: Mapping[str, Any],
    minded: bool,
    unknown: Mapping[str, Any],
    *more: tuple[Mapping[str, Any], bool],
    good: Mapping[str, Any] | None = None,
    **options: Any,
) -> Case:
    """Fixtures of one resource each; the good one is the builder's own where nothing else is said."""

    def one(changes: Mapping[str, Any]) -> Fixture:
        return [(make, changes)]

    return Case(
        good=one(good or {}),
        bad=one(bad),
        edge=(one(edge), minded),
        unknown=one(unknown),
        more=tuple((one(changes), found) for changes, found in more),
        **options,
    )


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments with changes over them, map by map; lists are replaced."""
    made = dict(base)
    for key, value in changes.items():
        if value is GONE:
            made.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(made.get(key), Mapping):
            made[key] = merged(made[key], value)
        else:
            made[key] = value
    return made


def live(value: Any) -> Any:
    """The value with marks replaced; inside a program only."""
    if value is U:
        loop = asyncio.get_running_loop()
        nothing, no = loop.create_future(), loop.create_future()
        nothing.set_result(None)
        no.set_result(False)
        return pulumi.Output(set(), nothing, no)
    if isinstance(value, Mapping):
        return {key: live(one) for key, one in value.items() if one is not GONE}
    return [live(one) for one in value] if isinstance(value, list) else value


def builder(make: Callable[..., Any], **base: Any) -> Build:
    """A resource with these arguments, and changes over them."""

    def build(name: str, **changes: Any) -> None:
        make(name, **live(merged(base, changes)))

    return build


class _Cloud(mocks.Mocks):
    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args: mocks.MockCallArgs) -> Any:
        raise AssertionError(f"a fixture asks a cloud: {args.token}")


class _Monitor(mocks.MockMonitor):
    """Keeps what the engine would send to the pack, in its own encoding."""

    def __init__(self) -> None:
        super().__init__(_Cloud())
        self.made: list[Resource] = []

    def RegisterResource(self, request: Any) -> Any:
        response = super().RegisterResource(request)
        props = plain(json_format.MessageToDict(request.object))
        self.made.append(Resource(type=request.type, name=request.name, urn=response.urn, props=props))
        return response


def record(cases: Mapping[str, Case]) -> dict[tuple[str, str], Stack]:
    """Run every fixture, and return the resources of each by (rule, kind)."""
    monitor = _Monitor()
    mocks.set_mocks(_Cloud(), project="fixtures", stack="fixtures", preview=True, monitor=monitor)

    def program() -> None:
        for rule, of in cases.items():
            for kind, (fixture, _) in of.kinds().items():
                for i, (build, changes) in enumerate(fixture):
                    build(f"{rule}~{kind}~{i}", **changes)

    pulumi.runtime.test(program)()
    found: dict[tuple[str, str], list[Resource]] = {(rule, kind): [] for rule, of in cases.items() for kind in of.kinds()}
    for one in monitor.made:
        rule, _, rest = one.name.partition("~")
        if rest:
            found[rule, rest.partition("~")[0]].append(one)
    return {key: Stack(tuple(made)) for key, made in found.items()}


def minds(rule: Rule, stack: Stack, settings: Settings) -> tuple[list[str], list[str]]:
    """(messages, paths that were unknown) of one rule over a fixture."""
    judged = [of_stack(stack, settings)] if rule.whole else [of_resource(one, settings) for one in stack.resources]
    messages = [v.message for j in judged for v in j.violations if v.rule.id == rule.id]
    return messages, [path for j in judged for id_, _, path in j.unknown if id_ == rule.id]
