"""What every stand-in plugin is made of: the methods to write, the errors to raise, and `serve`.

A subclass works on plain Python values: dicts, lists, strings, numbers, `UNKNOWN`, and `Secret` in outputs. Calls come
in on many threads at once, so that slow creates overlap. The gRPC side is `sandbox.providers.server`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

from sandbox.providers.diffs import Change, Diff, changed_paths, compare
from sandbox.providers.wire import UNKNOWN, Secret, has_unknown

__all__ = [
    "UNKNOWN",
    "Change",
    "Diff",
    "Failure",
    "HalfMade",
    "Refused",
    "Secret",
    "StandIn",
    "call_ignores",
    "changed_paths",
    "compare",
    "has_unknown",
    "serve",
]

Severity = Literal["debug", "info", "warning", "error"]
Log = Callable[[str, str, Severity, bool], None]

# The user's customTimeouts of the call being served, in seconds; zero where none were given.
call_timeout: ContextVar[float] = ContextVar("call_timeout", default=0.0)
# The property paths that the resource's ignoreChanges names, in an update.
call_ignores: ContextVar[frozenset[str]] = ContextVar("call_ignores", default=frozenset())


@dataclass(frozen=True)
class Failure:
    """An input that the cloud would refuse: where it is (a property path, empty for the whole) and why."""

    path: str
    reason: str


class Refused(Exception):
    """The cloud says no: the text is shown to the user as it is, so it says what, where and how to mend it."""


class HalfMade(Refused):
    """The resource exists and is not as asked: it goes into the state, and the next run updates it.

    Args:
        id_: of what exists; an update may leave it empty.
        inputs: what was asked for.
        outputs: what is there.
    """

    def __init__(self, id_: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any], reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.id, self.inputs, self.outputs, self.reasons = id_, inputs, outputs, list(reasons)


class StandIn:
    """A provider plugin; every method may raise `Refused`.

    Attributes:
        package: the provider's name, as in `pulumi-resource-<package>`.
        version: of the SDK it stands for.
        cancelled: set when the user interrupts; long waits end on it.
    """

    package: str
    version: str
    cancelled: threading.Event
    _log: Log | None = None

    def __new__(cls, *_: Any, **__: Any) -> StandIn:
        made = super().__new__(cls)
        made.cancelled = threading.Event()
        return made

    def log(self, urn: str, message: str, severity: Severity = "info", ephemeral: bool = False) -> None:
        """Tell the user something beside a resource; an ephemeral line is shown only while the call runs."""
        if self._log is not None:
            self._log(urn, message, severity, ephemeral)

    def timeout(self, default: float) -> float:
        """Seconds this call may take: the resource's customTimeouts, else the default; $ACCELFLEET_PATIENCE_S at most."""
        patience = os.environ.get("ACCELFLEET_PATIENCE_S")
        return min(call_timeout.get() or default, float(patience or "inf"))

    def check_config(self, config: dict[str, Any]) -> list[Failure]:
        """What is wrong with the provider's own inputs; nested values are plain, not JSON strings."""
        return []

    def diff_config(self, old: dict[str, Any], new: dict[str, Any]) -> Diff:
        """Whether a change of configuration means another account or cluster, and so replacing everything in it."""
        return compare(old, new)

    def configure(self, config: dict[str, Any]) -> None:
        """Take the configuration; called once, before any resource."""

    def check(
        self, urn: str, type_: str, olds: dict[str, Any], news: dict[str, Any], seed: bytes
    ) -> tuple[dict[str, Any], list[Failure]]:
        """Validate inputs and fill in defaults; `seed` is the only randomness allowed, so that a plan holds."""
        return news, []

    def diff(
        self,
        urn: str,
        type_: str,
        id_: str,
        old_inputs: dict[str, Any],
        old_outputs: dict[str, Any],
        news: dict[str, Any],
    ) -> Diff:
        """What an update would do; `ignoreChanges` is applied by the engine before."""
        return compare(old_inputs, news)

    def create(self, urn: str, type_: str, inputs: dict[str, Any], preview: bool) -> tuple[str, dict[str, Any]]:
        """Make it; returns id and outputs. In a preview nothing is made and both may be unknown."""
        raise NotImplementedError

    def update(
        self, urn: str, type_: str, id_: str, old_inputs: dict[str, Any], inputs: dict[str, Any], preview: bool
    ) -> dict[str, Any]:
        """Change it in place; returns outputs."""
        raise NotImplementedError

    def read(self, urn: str, type_: str, id_: str, inputs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Inputs and outputs as they really are (refresh; import, where `inputs` is empty), None when it is gone."""
        raise NotImplementedError

    def delete(self, urn: str, type_: str, id_: str, inputs: dict[str, Any]) -> None:
        """Remove it; what is gone already is removed."""
        raise NotImplementedError

    def invoke(self, token: str, args: dict[str, Any]) -> dict[str, Any]:
        """Answer a function of the package."""
        raise Refused(f"the sandbox's {self.package} has no function {token}")


def serve(standin: StandIn) -> None:
    """Run the plugin until the engine ends; the engine's address is the process's first argument."""
    from sandbox.providers.server import run  # noqa: PLC0415 - subclasses and their tests need no gRPC

    run(standin)
