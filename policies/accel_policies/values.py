"""A resource's properties as rules read them: by path, and with the unknown never taken for an answer.

What is known only after the apply, and what is secret, is UNKNOWN. Who reads it raises `NotKnown`, and the rule has no
opinion on that part: no false alarm, no crash, and no secret in a message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]


class _Unknown:
    """One value, compared by identity."""

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN = _Unknown()


class NotKnown(Exception):
    """A rule read something that is not known yet; the message is its path."""


class Items:
    """A list of which some may be unknown: going through it meets the known ones, and `in` says no only where all are."""

    def __init__(self, values: list[Any], path: str) -> None:
        self._values, self.path = values, path

    def __iter__(self) -> Iterator[Any]:
        return (wrap(value, f"{self.path}[{i}]") for i, value in enumerate(self._values) if value is not UNKNOWN)

    def __contains__(self, wanted: object) -> bool:
        if any(value == wanted for value in self._values):
            return True
        if any(value is UNKNOWN for value in self._values):
            raise NotKnown(self.path)
        return False

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._values)


class View:
    """A map of properties and where it stands.

    `it("spec.replicas", 1)` is the value there, or the default where none is set. A key that has dots of its own is read
    with `get`.

    Raises:
        NotKnown: what is read, or something on the way to it, is unknown.
    """

    def __init__(self, data: Json, path: str = "") -> None:
        self.data, self.path = data, path

    def __call__(self, path: str, default: Any = None) -> Any:
        value: Any = self
        for key in path.split("."):
            value = value.get(key) if isinstance(value, View) else None
        return default if value is None else value

    def get(self, key: str, default: Any = None) -> Any:
        value = self.data.get(key)
        if value is UNKNOWN:
            raise NotKnown(self.at(key))
        return default if value is None else wrap(value, self.at(key))

    def maps(self, path: str) -> list[View]:
        """The maps of a list; what is unknown or something else is left out."""
        return [item for item in self(path, ()) if isinstance(item, View)]

    def at(self, path: str) -> str:
        """The full path of something below."""
        return f"{self.path}.{path}" if self.path else path

    def __contains__(self, key: object) -> bool:
        return self.data.get(str(key)) is not None

    def items(self) -> Iterator[tuple[str, Any]]:
        """Keys with the values that are known."""
        return ((key, wrap(value, self.at(key))) for key, value in self.data.items() if value is not UNKNOWN)

    def __repr__(self) -> str:
        return repr(dict(self.data))


def wrap(value: Any, path: str) -> Any:
    if isinstance(value, Mapping):
        return View(value, path)
    return Items(value, path) if isinstance(value, list) else value


def is_on(value: Any) -> bool:
    """True as providers write it: some take the word."""
    return value is True or value == "true"
