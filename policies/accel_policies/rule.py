"""What a rule is, and how a module writes its rules down.

A rule looks at parts of a resource (the whole of it, its containers…) or, where one resource cannot tell, at the stack.
It yields where something is wrong and what stands there; the sentence around that is made here, the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from inspect import cleandoc
from typing import TYPE_CHECKING, Any

from policies.accel_policies.values import View

if TYPE_CHECKING:
    from policies.accel_policies.settings import Settings


class Severity(StrEnum):
    """By default the first refuses a change, in production the second, too; the others advise."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One registration of a program: its inputs, decoded by `wire`. `parent`: a URN."""

    type: str
    name: str
    props: Mapping[str, Any]
    urn: str = ""
    parent: str = ""

    @cached_property
    def view(self) -> View:
        return View(self.props)


@dataclass(frozen=True)
class Stack:
    """All resources of a program."""

    resources: tuple[Resource, ...]

    @cached_property
    def _by_type(self) -> dict[str, list[Resource]]:
        found: dict[str, list[Resource]] = {}
        for one in self.resources:
            found.setdefault(one.type, []).append(one)
        return found

    def of(self, *types: str) -> list[Resource]:
        """Those of these types, as they were registered."""
        if len(types) == 1:
            return list(self._by_type.get(types[0], ()))
        return [one for one in self.resources if one.type in types]

    def has(self, *types: str) -> bool:
        return any(type_ in self._by_type for type_ in types)


class Told(str):
    """What was found in words of ours; anything else is a value that stands there, and is quoted as such."""


Found = tuple[str, Any]  # a path, and what stands there; None: nothing
FoundAt = tuple[Resource, str, Any]
Parts = Callable[[Resource], Iterable[Any]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule.

    Attributes:
        what: the demand, one sentence. why: what happens without. mend: how to meet it.
        references: clauses and ids of the benchmarks that ask the same; `own` where we know of none.
        types: resource types it looks at; of a stack rule those without which it has nothing to say.
        parts: what of a resource one check sees: where one part is unknown the others are checked all the same.
        whole: it needs the stack.
    """

    id: str
    severity: Severity
    what: str
    why: str
    mend: str
    references: tuple[str, ...]
    topic: str
    types: tuple[str, ...]
    check: Callable[[Any, Settings], Iterator[Any]]
    parts: Parts = field(default=lambda resource: [resource.view])
    whole: bool = False

    def concerns(self, stack: Stack) -> bool:
        """Whether a stack rule has anything to say there."""
        return not self.types or stack.has(*self.types)

    def message(self, resource: Resource, path: str, found: Any) -> str:
        quoted = isinstance(found, str) and not isinstance(found, Told)
        stands = "is not set" if found is None else f"is {found!r}" if quoted else f"is {found}"
        return f"{resource.name}: {path} {stands}. {self.what} Mend: {self.mend}."


class Rules:
    """The rules of one module, in its order."""

    def __init__(self, topic: str) -> None:
        self.topic, self.made = topic, dict[str, Rule]()

    def _add(self, rule: Rule) -> None:
        assert rule.id not in self.made, f"{rule.id} twice"
        self.made[rule.id] = rule

    def on(
        self,
        id_: str,
        severity: Severity,
        types: str | tuple[str, ...],
        *,
        mend: str,
        refs: tuple[str, ...] = ("own",),
        parts: Parts | None = None,
        whole: bool = False,
    ) -> Callable[[Callable[[Any, Settings], Iterator[Any]]], Callable[[Any, Settings], Iterator[Any]]]:
        """A function that looks; its docstring is what and why, two paragraphs."""

        def keep(check: Callable[[Any, Settings], Iterator[Any]]) -> Callable[[Any, Settings], Iterator[Any]]:
            what, _, why = cleandoc(check.__doc__ or "").partition("\n\n")
            self._add(
                Rule(
                    id=id_,
                    severity=severity,
                    what=" ".join(what.split()),
                    why=" ".join(why.split()),
                    mend=mend,
                    references=refs,
                    topic=self.topic,
                    types=(types,) if isinstance(types, str) else types,
                    check=check,
                    whole=whole,
                    **({"parts": parts} if parts else {}),
                )
            )
            return check

        return keep

    def demand(
        self,
        id_: str,
        severity: Severity,
        types: str | tuple[str, ...],
        path: str,
        suits: Callable[[Any], bool],
        *,
        what: str,
        why: str,
        mend: str,
        refs: tuple[str, ...] = ("own",),
        unset: Any = None,
        only: str | None = None,
        parts: Parts | None = None,
    ) -> None:
        """One field that must have a suitable value.

        Args:
            unset: what the cloud takes where the field is not set.
            only: the environment that it is demanded in; None: in all.
        """

        def check(it: View, settings: Settings) -> Iterator[Found]:
            if only in (None, settings.environment) and not suits(it(path, unset)):
                yield it.at(path), it(path)

        check.__doc__ = f"{what}\n\n{why}"
        self.on(id_, severity, types, mend=mend, refs=refs, parts=parts)(check)
