"""Live progress of several stacks: one line each on a terminal, plain lines elsewhere, nothing where JSON is wanted."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from fleet.engine import Event, Outcome


class Board:
    """Shows what each stack is doing. Thread-safe: every stack reports from its own thread."""

    def __init__(self, verb: str, stacks: list[str], console: Console, *, quiet: bool = False) -> None:
        self._verb = verb
        self._console = console
        self._quiet = quiet
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._stops = 0
        self._lines = {stack: _Line() for stack in stacks}
        self._live = Live(self._table(), console=console, refresh_per_second=4) if console.is_terminal and not quiet else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._live:
            self._live.update(self._table())
            self._live.stop()

    def event(self, stack: str, event: Event) -> None:
        """Take an engine event in."""
        with self._lock:
            line = self._lines[stack]
            if pre := event.get("resourcePreEvent"):
                meta = pre["metadata"]
                line.now = _short(meta["urn"])
                if meta["op"] not in ("same", "read"):
                    line.pending += 1
            elif done := event.get("resOutputsEvent"):
                meta = done["metadata"]
                if meta["op"] not in ("same", "read"):
                    line.done += 1
                    self._say(stack, f"{meta['op']} {_short(meta['urn'])}")
            self._draw()

    def phase(self, stack: str, text: str) -> None:
        """Name the step a stack is in."""
        with self._lock:
            self._lines[stack].now = text
            self._say(stack, text)
            self._draw()

    def stopping(self) -> None:
        """Say what Ctrl-C does; called from a signal handler, so it waits for no stack's thread."""
        self._stops += 1
        if not self._quiet:
            again = "Ctrl-C again ends it at once" if self._stops == 1 else "ending at once"
            self._console.print(f"[yellow]stopping: what is in flight is finished, nothing new is begun; {again}[/]")

    def end(self, stack: str, outcome: Outcome) -> None:
        with self._lock:
            line = self._lines[stack]
            line.mark = "✓" if outcome.ok else "✗"
            to = "to " if self._verb == "preview" else ""
            changed = ", ".join(f"{n} {to}{kind}" for kind, n in sorted(outcome.changes.items()) if kind != "same")
            line.now = f"{changed or 'no changes'} in {outcome.seconds:.0f} s" if outcome.ok else "failed"
            self._say(stack, f"{line.mark} {line.now}")
            self._draw()

    def _say(self, stack: str, text: str) -> None:
        if self._live is None and not self._quiet:
            self._console.print(f"{stack}: {text}", highlight=False, soft_wrap=True, markup=False)

    def _draw(self) -> None:
        if self._live:
            self._live.update(self._table())

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for stack, line in self._lines.items():
            count = f"{line.done}/{line.pending}" if line.pending else ""
            table.add_row(line.mark, stack, count, escape(line.now)[: max(20, self._console.width - 40)])
        table.caption = f"{self._verb} · {time.monotonic() - self._started:.0f} s"
        return table


class _Line:
    def __init__(self) -> None:
        self.mark, self.now = "·", "waiting"
        self.done = self.pending = 0


def _short(urn: str) -> str:
    """`…$aws:eks/nodeGroup:NodeGroup::main-l4` -> `NodeGroup main-l4`."""
    kind, _, name = urn.rpartition("::")
    return f"{kind.rsplit(':', 1)[-1]} {name}"
