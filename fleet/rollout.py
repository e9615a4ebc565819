"""Several stacks at once, in dependency order: those that wait for nobody run together, the others as their turn comes.

A stack whose dependency failed is not started, and said so; destroying goes the other way round.
"""

from __future__ import annotations

import fnmatch
import threading
from collections.abc import Callable, Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from fleet.load import load_stack
from fleet.spec import StackSpec

if TYPE_CHECKING:
    from concurrent.futures import Future

R = TypeVar("R")


def select(directory: Path, patterns: list[str]) -> list[str]:
    """Names of the stacks whose file name matches any of the globs, sorted.

    Raises:
        LookupError: nothing matches; the message names what there is.
    """
    names = sorted(p.stem for p in directory.glob("*.yaml") if not p.name.startswith("Pulumi."))
    found = [n for n in names if any(fnmatch.fnmatchcase(n, pattern) for pattern in patterns)]
    if not found:
        raise LookupError(f"no stack matches {', '.join(patterns)}; {directory.name}/ has {', '.join(names) or 'none'}")
    return found


def load(directory: Path, names: list[str]) -> dict[str, StackSpec]:
    """The stacks' specs.

    Raises:
        StackErrors: of the first file that is wrong.
    """
    return {name: load_stack(directory / f"{name}.yaml") for name in names}


def in_order(
    specs: Mapping[str, StackSpec],
    work: Callable[[str], R],
    succeeded: Callable[[R], bool],
    *,
    reverse: bool = False,
    parallel: int = 4,
) -> dict[str, R | None]:
    """Run `work` on each stack, dependencies first (last when `reverse`).

    Returns:
        The result of each stack; None for one that was not started because another failed.
    """
    from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait  # noqa: PLC0415 - `fleet check` must not pay

    needs = {name: {d for d in spec.depends_on if d in specs} for name, spec in specs.items()}
    if reverse:
        needs = {name: {other for other, its in needs.items() if name in its} for name in needs}
    order = TopologicalSorter(needs)
    order.prepare()
    results: dict[str, R | None] = {}
    with ThreadPoolExecutor(max_workers=parallel) as pool:
        running: dict[Future[R], str] = {}
        while order.is_active():
            for name in order.get_ready():
                if all(results.get(d) is not None and succeeded(results[d]) for d in needs[name]):  # type: ignore[arg-type]
                    running[pool.submit(work, name)] = name
                else:
                    results[name] = None
                    order.done(name)
            if running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    name = running.pop(future)
                    results[name] = future.result()
                    order.done(name)
    return results


class Interrupt:
    """Ctrl-C for all running engines: the first asks them to wind down, the second kills them."""

    def __init__(self) -> None:
        # A second signal may come inside the first's handler.
        self._lock = threading.RLock()
        self._stops: list[Callable[[], None]] = []
        self.asked = 0

    def watch(self, stop: Callable[[], None]) -> None:
        with self._lock:
            if stop not in self._stops:
                self._stops.append(stop)
        if self.asked:
            stop()

    def __call__(self, *_: object) -> None:
        self.asked += 1
        with self._lock:
            stops = list(self._stops)
        for stop in stops:
            stop()
