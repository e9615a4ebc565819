"""Ten programs that a stranger's pull request may bring (tests/hostile), and what comes of each: nothing.

Each is run twice: as a report runs it, and plainly, as `python -m` does. Plainly it gets through, to stand-ins of this
machine alone; so each test says that the containment holds and that without it the program would have done harm.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

import fleet.arguments
import fleet.report.cli
from fleet.cli import app
from fleet.comment.artifact import ArtifactError, unpack
from fleet.comment.markdown import harmless
from fleet.confined import inside
from fleet.confined.run import ConfinedError, Limits, run
from fleet.report import recorded
from fleet.workspace import ROOT, STACKS

pytestmark = [
    pytest.mark.enable_socket,
    pytest.mark.skipif(bool(inside.lacks()), reason=f"this kernel cannot keep a program from: {', '.join(inside.lacks())}"),
]
PROGRAMS = ROOT / "tests" / "hostile"
CANARY = "canary-of-the-machine"
SMALL = Limits(size=1_000_000)
SHAPES = ("text", "markdown", "json", "html", "sarif")


@dataclass
class Scene:
    """A machine with something to steal, and a request's tree on it."""

    tree: Path
    home: Path
    outside: Path
    artifact: Path
    github_env: Path
    listeners: list[socket.socket]

    def heard(self) -> set[bytes]:
        """What came to the stand-ins."""
        found = set()
        for listener in self.listeners:
            with suppress(BlockingIOError):
                while True:
                    if listener.type is socket.SOCK_DGRAM:
                        found.add(listener.recv(100))
                        continue
                    caller, _ = listener.accept()
                    with caller:
                        found.add(caller.recv(100))
        return found

    def files(self) -> dict[str, tuple[int, bytes]]:
        """Every file that is not the program's own business, with its rights."""
        there = [one for place in (self.home, self.outside, self.tree) for one in place.rglob("*")]
        return {
            str(one): (one.lstat().st_mode, one.read_bytes() if one.is_file() else b"")
            for one in there
            if "__pycache__" not in one.parts
        }


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    home, tree, outside = (tmp_path / name for name in ("home", "tree", "outside"))
    for place in (home / ".aws", home / ".cache" / "accelfleet", tree / "infra", tree / "stacks", tree / ".git", outside):
        place.mkdir(parents=True)
    (home / ".aws" / "credentials").write_text(CANARY)
    (home / ".cache" / "accelfleet" / "pulumi").write_text("a program")
    (outside / "secret").write_text(CANARY)
    (tree / ".git" / "config").write_text(f"token = {CANARY}")
    (tree / "infra" / "__init__.py").touch()
    (tree / "infra" / "link").symlink_to(home / ".aws" / "credentials")
    (tree / "data").symlink_to(home)
    for name in ("aws-dev.yaml", "Pulumi.aws-dev.yaml"):
        (tree / "stacks" / name).write_text((STACKS / name).read_text())
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
    # Unix sockets have short names only.
    unix = Path(f"/tmp/accelfleet-{os.getpid()}.sock")
    with ExitStack() as held:
        tcp, udp = (socket.socket(socket.AF_INET, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM))
        local = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        tcp.bind(("127.0.0.1", 0))
        udp.bind(tcp.getsockname())
        tcp.listen()
        local.bind(str(unix))
        held.callback(unix.unlink)
        for one in (tcp, udp, local):
            held.enter_context(one)
            one.setblocking(False)
        made = Scene(tree, home, outside, tmp_path / "preview.zip", tmp_path / "github_env", [tcp, udp, local])
        about = {"host": "127.0.0.1", "port": tcp.getsockname()[1], "unix": str(unix), "home": str(home)}
        about |= {name: str(getattr(made, name)) for name in ("outside", "artifact", "github_env")}
        (tree / "about.json").write_text(json.dumps(about))
        yield made


def bring(scene: Scene, name: str) -> None:
    """The request's program is this one."""
    (scene.tree / "infra" / "recorded.py").write_text((PROGRAMS / f"{name}.py").read_text())


def said(scene: Scene, name: str, confined: bool) -> str:
    """What people and programs come to see of the run of a program."""
    bring(scene, name)
    if confined:
        try:
            return run("infra.recorded", str(scene.tree), root=scene.tree, limits=SMALL).decode()
        except ConfinedError as wrong:
            # The others run to their end: what is refused them is refused call by call.
            assert name in ("workflow_commands", "huge_output"), wrong
            return str(wrong)
    command = [sys.executable, "-m", "infra.recorded", str(scene.tree)]
    done = subprocess.run(command, cwd=scene.tree, capture_output=True, text=True, timeout=300, check=False)
    return done.stdout + done.stderr


def obeyed(text: str) -> bool:
    """Whether a terminal or a runner would take part of it for a command."""
    return bool(re.search(r"^\s*::|::set-output|##\[|[\x00-\x08\x0b-\x1f\x7f-\x9f]", text, re.MULTILINE))


def left_over(scene: Scene) -> list[int]:
    """Processes of the run that are still there; ended here."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(scene.tree).encode() in (process / "cmdline").read_bytes() and int(process.name) != os.getpid():
                found.append(int(process.name))
                os.kill(found[-1], signal.SIGKILL)
    return found


# Program -> whether it got through.
Through = Callable[[Scene, bool], bool]
THROUGH: dict[str, Through] = {
    "environment_and_home": lambda scene, confined: CANARY in said(scene, "environment_and_home", confined),
    "workflow_commands": lambda scene, confined: (
        obeyed(said(scene, "workflow_commands", confined)) or scene.github_env.exists()
    ),
    "huge_output": lambda scene, confined: len(said(scene, "huge_output", confined)) > SMALL.size,
    "symlink": lambda scene, confined: CANARY in said(scene, "symlink", confined),
}


def through(name: str) -> Callable[[Through], Through]:
    def keep(function: Through) -> Through:
        THROUGH[name] = function
        return function

    return keep


@through("sockets")
def calls(scene: Scene, confined: bool) -> bool:
    said(scene, "sockets", confined)
    heard = scene.heard()
    assert confined or heard == {b"tcp", b"udp", b"unix", b"pair"}
    return bool(heard)


@through("endless_processes")
def multiplies(scene: Scene, confined: bool) -> bool:
    said(scene, "endless_processes", confined)
    still_there = left_over(scene)
    assert confined or len(still_there) == 16
    return bool(still_there)


@through("cache")
def writes(scene: Scene, confined: bool) -> bool:
    bring(scene, "cache")
    before = scene.files()
    said(scene, "cache", confined)
    return scene.files() != before


@through("path_escape")
def escapes(scene: Scene, confined: bool) -> bool:
    return CANARY in said(scene, "path_escape", confined) or (scene.outside / "escaped").exists()


@through("archive_bomb")
def unpacks(scene: Scene, confined: bool) -> bool:
    """The request's workflow runs its code as it is: what contains the artifact is how it is unpacked."""
    said(scene, "archive_bomb", confined=False)
    into = scene.outside / "preview"
    if confined:
        with pytest.raises(ArtifactError, match="unpacks to more than 20,000,000 bytes"):
            unpack(scene.artifact, into)
    else:
        zipfile.ZipFile(scene.artifact).extractall(into)
    return any(one.stat().st_size > 20_000_000 for one in into.rglob("*"))


@through("injection")
def injects(scene: Scene, confined: bool) -> bool:
    """In any shape of the report, and in the comment that is made of it."""
    if not confined:
        # As who printed a value or a name would show it.
        (row,) = json.loads(said(scene, "injection", confined))
        return obeyed(row["urn"] + "\n".join(row["inputs"]["vpcConfig"]["publicAccessCidrs"]))
    bring(scene, "injection")
    shapes = {shape: reported(scene, shape) for shape in SHAPES}
    assert all("aws-eks-api-open" in text for text in shapes.values()), shapes
    comment = harmless(shapes["markdown"])
    outside_of_code = re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", comment)
    html = shapes["html"]
    return (
        any(obeyed(shapes[shape]) for shape in ("text", "markdown"))
        or any(re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text) for text in shapes.values())
        or any(word in outside_of_code for word in ("<script", "![x]", "@everyone"))
        or "<script>alert" in html
    )


def reported(scene: Scene, shape: str) -> str:
    """`fleet report --program` of the scene's tree."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorded, "ROOT", scene.tree)
        for module in (fleet.arguments, fleet.report.cli):
            patch.setattr(module, "STACKS", scene.tree / "stacks")
        environment = {"COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"}
        done = CliRunner().invoke(app, ["report", "--stack", "aws-dev", "--program", "--format", shape], env=environment)
    return done.output


def test_there_are_ten_and_each_is_tried() -> None:
    assert {one.stem for one in PROGRAMS.glob("*.py")} == set(THROUGH)
    assert len(THROUGH) == 10


@pytest.mark.parametrize("name", sorted(THROUGH))
def test_a_hostile_program_is_contained(name: str, scene: Scene) -> None:
    assert not THROUGH[name](scene, True)


@pytest.mark.parametrize("name", sorted(THROUGH))
def test_without_containment_it_gets_through(name: str, scene: Scene) -> None:
    assert THROUGH[name](scene, False)


def test_a_report_ends_with_one_harmless_line_where_the_program_fails(scene: Scene) -> None:
    bring(scene, "workflow_commands")
    shown = reported(scene, "text")
    assert "aws-dev: its program did not run" in shown
    assert len(shown.splitlines()) == 1
    assert not obeyed(shown)


def test_who_reviews_looks_at_a_strangers_tree_with_a_fleet_of_their_own(scene: Scene) -> None:
    bring(scene, "environment_and_home")
    command = [sys.executable, "-c", "from fleet.cli import main; main()", "report", "--stack", "aws-dev", "--program"]
    environment = {**os.environ, "ACCELFLEET_ROOT": str(scene.tree)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert "aws-dev: its program did not run with no cloud behind it: what it printed is not its registrations" in done.stderr
    assert CANARY not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "printed",
    [
        "x",
        "{}",
        "[1]",
        "[" * 100_000,
        f"[{'9' * 10_000}]",
        "[{}]",
        '[{"urn": "a", "type": "b", "parent": "", "inputs": [], "dependencies": []}]',
        '[{"urn": "a\\n::error::x", "type": "b", "parent": "", "inputs": {}, "dependencies": []}]',
        '[{"urn": "a", "type": "b", "parent": "", "inputs": {}, "dependencies": [1]}]',
        f'[{{"urn": "a", "type": "b", "parent": "", "inputs": {{"a": {"[" * 400}{"]" * 400}}}, "dependencies": []}}]',
    ],
)
def test_what_is_no_registration_is_refused(printed: str, scene: Scene) -> None:
    (scene.tree / "infra" / "recorded.py").write_text(f"print({printed!r})")
    assert "what it printed is not its registrations" in reported(scene, "text")


def test_what_never_ends_is_ended(scene: Scene) -> None:
    (scene.tree / "infra" / "recorded.py").write_text("import time; time.sleep(600)")
    with pytest.raises(ConfinedError, match="did not end within 2 seconds"):
        run("infra.recorded", str(scene.tree), root=scene.tree, limits=Limits(wall=2))
    assert left_over(scene) == []
    (scene.tree / "infra" / "recorded.py").write_text("while True: pass")
    with pytest.raises(ConfinedError, match="more than 1 seconds of a processor"):
        run("infra.recorded", root=scene.tree, limits=Limits(seconds=1))


def test_root_is_nobody_special(scene: Scene) -> None:
    (scene.tree / "infra" / "recorded.py").write_text("import os; os.chroot('/')")
    with pytest.raises(ConfinedError, match="PermissionError"):
        run("infra.recorded", root=scene.tree)


def test_who_takes_all_memory_gets_none(scene: Scene) -> None:
    (scene.tree / "infra" / "recorded.py").write_text("x = bytearray(2 * 2**30)")
    with pytest.raises(ConfinedError, match="MemoryError"):
        run("infra.recorded", root=scene.tree, limits=Limits(memory=2**30))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["../escape.md"], "neither"),
        (["/etc/passwd"], "neither"),
        (["sections/../../escape.md"], "neither"),
        (["sections/::error::x.md"], "neither"),
        (["sections/.hidden.md"], "neither"),
        (["fleet/__init__.py"], "neither"),
        (["sections/a.md", "sections/a.md"], "twice"),
        ([f"sections/{i}.md" for i in range(1001)], "more than 1,000 files"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_what_does_not_belong_into_the_artifact_is_refused(names: list[str], said: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        for name in names:
            packed.writestr(name, "x")
    with pytest.raises(ArtifactError, match=said):
        unpack(tmp_path / "a.zip", tmp_path / "into")
    assert not (tmp_path / "into").exists()


def test_a_broken_or_large_archive_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    archive.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(ArtifactError, match="cannot be read: BadZipFile"):
        unpack(archive, tmp_path / "into")
    archive.write_bytes(bytes(5_000_001))
    with pytest.raises(ArtifactError, match="more than 5,000,000 bytes"):
        unpack(archive, tmp_path / "into")
