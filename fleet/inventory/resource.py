"""One resource of a program as plain data, whoever recorded it; and how to read its properties.

The same record is what a policy looks at: type, name, urn, props. A value that is not known yet, or secret, is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fleet.printed import is_plain, one_line

# What the engine writes for a value that only the cloud can tell, and before a secret.
# https://github.com/pulumi/pulumi/blob/v3.259.0/sdk/go/common/resource/plugin/rpc.go, .../sig/sig.go
_UNKNOWN = ("04da6b54-80e4-46f7-96ec-b56ff0331ba9", "[unknown]", "[secret]")
_DIGITS = 15
_SIGNATURE, _SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"

Op = Literal["create", "update", "replace", "delete"]


@dataclass(frozen=True)
class Resource:
    """A resource that a provider made or will make.

    Attributes:
        type: Pulumi's type token, without the version of an Azure API; Terraform's name where nothing maps to it.
        props: what the program gave, and below that what the cloud answered.
        id: the cloud's; empty while it does not stand. region: of its provider, if that names one.
        needs: by property, the URNs of the resources whose values stand there.
    """

    type: str
    name: str
    urn: str
    props: Mapping[str, Any]
    id: str = ""
    region: str | None = None
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """What happens to one resource, and which of its properties differ: (path, before, after)."""

    op: Op
    resource: Resource
    fields: tuple[tuple[str, str | None, str | None], ...] = ()


@dataclass(frozen=True)
class Violation:
    """A policy's word on a resource."""

    policy: str
    level: str
    urn: str
    message: str


@dataclass(frozen=True)
class Program:
    """What a file tells of one program.

    Attributes:
        name: of the stack. told_from: the kind of file, in words.
        before: resources as they stand, None where the file does not tell. after: as they would be.
        steps: what happens; violations: what policies said, None where none was asked; packs: whose.
        rows: what was registered, as the engine writes it, components and all; empty where nobody registered anything.
        rows_before: the same of what stands; None where the file does not tell.
    """

    name: str
    told_from: str
    after: tuple[Resource, ...]
    before: tuple[Resource, ...] | None = None
    steps: tuple[Step, ...] = ()
    violations: tuple[Violation, ...] | None = None
    packs: frozenset[str] = frozenset()
    rows: tuple[Mapping[str, Any], ...] = ()
    rows_before: tuple[Mapping[str, Any], ...] | None = None


def is_secret(value: Any) -> bool:
    """Whether it is a secret in the engine's wire form."""
    return isinstance(value, Mapping) and value.get(_SIGNATURE) == _SECRET


def plain(value: Any) -> Any:
    """The value with None for what is secret or not known, at any depth."""
    if isinstance(value, dict):
        if is_secret(value):
            return None
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return None if isinstance(value, str) and value in _UNKNOWN else value


def at(props: Any, path: str) -> Any:
    """The value at a dotted path, None where there is none. A list of one is stepped into: Terraform writes blocks so."""
    for key in path.split("."):
        if isinstance(props, list):
            props = props[0] if len(props) == 1 else None
        if not isinstance(props, Mapping):
            return None
        props = props.get(key)
    return props


def each(props: Any, *paths: str) -> list[Any]:
    """The items of the first of these paths that has some; one that stands alone is a list of one."""
    for path in paths:
        found = at(props, path)
        if found not in (None, [], {}):
            return found if isinstance(found, list) else [found]
    return []


def text(props: Any, *paths: str) -> str | None:
    """The first of these that is a word."""
    found = next((found for path in paths if isinstance(found := at(props, path), str) and found), None)
    return found if found is None or is_plain(found) else one_line(found)


def number(props: Any, *paths: str) -> int | None:
    """The first of these that is a whole number; the engine writes numbers as floats, some providers as words."""
    for path in paths:
        found = at(props, path)
        if isinstance(found, bool):
            continue
        if isinstance(found, str) and found.isdecimal() and len(found) < _DIGITS:
            return int(found)
        # No cloud counts so far, and infinity is no number of machines.
        if isinstance(found, int | float) and abs(found) < 10**_DIGITS:
            return int(found)
    return None


class Index:
    """The resources of one side of a program, to be found by URN, by id, and by type and name."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.resources = tuple(resources)
        self._by_urn = {resource.urn: resource for resource in self.resources}
        self._by_id: dict[tuple[str, str], Resource] = {}
        self._by_type: dict[str, list[Resource]] = {}
        for resource in self.resources:
            self._by_type.setdefault(resource.type, []).append(resource)
            for key in (
                resource.id,
                text(resource.props, "name"),
                text(resource.props, "resourceName"),
                resource.id.rsplit("/", 1)[-1],
            ):
                if key:
                    self._by_id.setdefault((resource.type, key), resource)

    def of(self, *types: str) -> Iterator[Resource]:
        for type_ in types:
            yield from self._by_type.get(type_, ())

    def behind(self, resource: Resource, path: str, *types: str) -> Resource | None:
        """The resource of one of these types that a property names: by its value, else by what the engine says it needs."""
        value = at(resource.props, path)
        if isinstance(value, str):
            for type_ in types:
                if found := self._by_id.get((type_, value)) or self._by_id.get((type_, value.rsplit("/", 1)[-1])):
                    return found
        for urn in resource.needs.get(path.partition(".")[0], ()):
            found = self._by_urn.get(urn)
            if found is not None and found.type in types:
                return found
        return None
