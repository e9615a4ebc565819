"""The warm process: what it forks is as if started anew, is warm the second time, and ends as what stands for it does."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sandbox import warm_server
from sandbox.bin import launcher
from tests.waiting import until

pytestmark = [
    pytest.mark.enable_socket,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each process is started anew"),
]
_SAYS = """
import json, os, sys
warm = "decimal" in sys.modules
import decimal
mask = os.umask(0)
print(json.dumps({
    "pid": os.getpid(), "arguments": sys.argv[1:], "cwd": os.getcwd(), "asked": os.environ.get("ASKED"), "mask": mask,
    "home": os.environ.get("HOME"), "read": sys.stdin.read(), "first": sys.path[0], "warm": warm, "name": __name__,
}))
sys.stderr.write("and this")
sys.exit(7)
"""
_LASTS = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
print(os.getpid(), flush=True)
time.sleep(60)
"""


def serving(directory: Path) -> subprocess.Popen[bytes]:
    """A warm process for the directory, once it answers."""
    command = [sys.executable, "-E", "-P", "-W", "ignore", warm_server.__file__, str(directory)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    assert until((directory / warm_server.NAME).exists, seconds=30)
    return process


@pytest.fixture
def home(tmp_path: Path) -> Path:
    # A socket's address holds 107 letters.
    made = tmp_path / ("deep" * 30)
    made.mkdir()
    return made


@pytest.fixture
def server(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = serving(home)
    yield process
    process.terminate()
    process.wait(30)


def program(home: Path, text: str, name: str = "says") -> str:
    """A launcher of a module with that text; its path."""
    (home / f"{name}.py").write_text(text)
    launcher(home / "bin" / name, name)
    return str(home / "bin" / name)


def places(home: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(home), "ACCELFLEET_SANDBOX": str(home), **more}


def ran(home: Path, command: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [command, *arguments],
        env=places(home, **more),
        cwd=home,
        input="given",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        umask=0o27,
    )


@pytest.mark.parametrize("served", [True, False], ids=["forked", "anew"])
def test_it_is_what_was_asked_for(home: Path, served: bool) -> None:
    server = serving(home) if served else None
    done = ran(home, program(home, _SAYS), "a b", "", "ü", ASKED="for\nthis")
    said = json.loads(done.stdout)
    if server:
        assert psutil.Process(server.pid).is_running()
        server.terminate()
        server.wait(30)
    assert (done.returncode, done.stderr) == (7, "and this")
    assert said["arguments"] == ["a b", "", "ü"]
    assert (said["asked"], said["home"], said["read"]) == ("for\nthis", None, "given")
    assert (said["cwd"], said["first"]) == (str(home), str(home))
    assert (said["mask"], said["name"]) == (0o27, "__main__")


@pytest.mark.usefixtures("server")
def test_what_one_imported_the_next_has(home: Path) -> None:
    command = program(home, _SAYS)
    lasting = subprocess.Popen([program(home, f"import decimal\n{_LASTS}", "lasts")], env=places(home), stdout=subprocess.PIPE)
    assert not json.loads(ran(home, command, PYTHONPATH=str(home)).stdout)["warm"]
    assert until(lambda: json.loads(ran(home, command).stdout)["warm"], seconds=30)
    lasting.kill()
    lasting.communicate()


@pytest.mark.usefixtures("server")
def test_the_repositorys_own_code_is_never_an_old_one(home: Path) -> None:
    (home / "ours.py").write_text("WHAT = 'old'")
    text = "import ours, time\nprint(ours.WHAT, flush=True)\ntime.sleep(1)\n"
    command = program(home, text)
    assert ran(home, command).stdout == "old\n"
    (home / "ours.py").write_text("WHAT = 'newer'")
    assert ran(home, command).stdout == "newer\n"


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("raise ValueError('no such luck')", 1, "ValueError: no such luck"),
        ("raise SystemExit('why')", 1, "why"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", 128 + signal.SIGKILL, ""),
    ],
)
def test_its_end_is_told(home: Path, text: str, code: int, said: str) -> None:
    done = ran(home, program(home, text))
    assert done.returncode == code
    assert said in done.stderr


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 5), (signal.SIGKILL, -signal.SIGKILL)])
def test_signals_reach_it_and_it_ends_with_what_stands_for_it(home: Path, number: int, code: int) -> None:
    standing = subprocess.Popen([program(home, _LASTS, "lasts")], env=places(home), stdout=subprocess.PIPE)
    assert standing.stdout is not None
    with standing.stdout as stdout:
        child = int(stdout.readline())
    assert child != standing.pid
    standing.send_signal(number)
    assert standing.wait(30) == code
    assert until(lambda: not psutil.pid_exists(child), seconds=10)


@pytest.mark.usefixtures("server")
def test_it_is_told_to_end_when_the_engine_is_gone(home: Path) -> None:
    command = program(home, _LASTS, "lasts")
    # The engine, of which nothing is left but what it started.
    engine = subprocess.Popen(["/bin/sh", "-c", f"'{command}' & wait"], env=places(home), stdout=subprocess.PIPE)
    assert engine.stdout is not None
    with engine.stdout as stdout:
        child = int(stdout.readline())
    engine.kill()
    engine.wait()
    assert until(lambda: not psutil.pid_exists(child), seconds=10)


def test_nobody_else_may_use_it_and_it_ends_with_all_its_own(home: Path) -> None:
    server = serving(home)
    assert stat.S_IMODE((home / warm_server.NAME).stat().st_mode) == 0o600
    standing = subprocess.Popen([program(home, _LASTS, "lasts")], env=places(home), stdout=subprocess.PIPE)
    assert standing.stdout is not None
    with standing.stdout as stdout:
        child = int(stdout.readline())
    server.terminate()
    assert server.wait(30) == 0
    assert not psutil.pid_exists(child)
    assert standing.wait(30) == 128 + signal.SIGKILL
    # Its socket is still there, and nobody behind it.
    assert ran(home, program(home, "print('anew')")).stdout == "anew\n"


def test_with_a_second_thread_it_forks_no_more(home: Path, tmp_path: Path) -> None:
    installed = tmp_path / "site"
    installed.mkdir()
    (installed / "threaded.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    )
    code = (
        f"import sys\nsys.path.append({str(installed)!r})\nimport sandbox.warm_server as warm\n"
        f"import threaded\nsys.argv = ['warm', {str(home)!r}]\nwarm.main()\n"
    )
    server = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    assert until((home / warm_server.NAME).exists, seconds=30)
    assert ran(home, program(home, "print('anew')")).stdout == "anew\n"
    _, said = server.communicate(timeout=30)
    assert server.returncode == 0
    assert "No more warm starts" in said


def test_after_packages_were_changed_it_forks_no_more(home: Path, tmp_path: Path) -> None:
    """As with `pip`, which adds a directory beside the others."""
    installed = tmp_path / "site"
    installed.mkdir()
    code = (
        f"import sys\nimport sandbox.warm_server as warm\nwarm._INSTALLED = ({f'{installed}/'!r},)\n"
        f"sys.argv = ['warm', {str(home)!r}]\nwarm.main()\n"
    )
    server = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    assert until((home / warm_server.NAME).exists, seconds=30)
    where = program(home, "import os\nprint(os.getppid())")
    assert ran(home, where).stdout == f"{server.pid}\n"
    running = subprocess.Popen([program(home, _LASTS, "lasts")], env=places(home), stdout=subprocess.PIPE)
    assert running.stdout is not None
    with running.stdout as stdout:
        assert psutil.Process(int(stdout.readline())).ppid() == server.pid
    (installed / "another-2.0.dist-info").mkdir()
    assert ran(home, where).stdout == f"{os.getpid()}\n"
    # What runs goes on, and its end is still told.
    running.terminate()
    assert running.wait(30) == 5
    _, said = server.communicate(timeout=30)
    assert server.returncode == 0
    assert "packages were installed or removed" in said
