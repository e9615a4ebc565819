"""Where model files come from: checksums, whole copies, one fetch for many processes, and no copy of what is here."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from serving import store
from serving.errors import Missing, ModelError
from tests.serving.running import ROOT

DATA = b"weights" * 1000
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def remote() -> Iterator[str]:
    """A store elsewhere, with one file."""
    memory = fsspec.filesystem("memory")
    memory.pipe("/bucket/m.onnx", DATA)
    memory.pipe("/bucket/m.onnx.data", b"more")
    yield "memory://bucket"
    memory.rm("/bucket", recursive=True)


def test_a_local_file_is_used_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(DATA)
    assert store.fetch([(f"{tmp_path}/m.onnx", SHA)], tmp_path / "cache") == tmp_path / "m.onnx"
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("where", ["local", "remote"])
def test_another_checksum_is_refused_and_nothing_is_kept(where: str, remote: str, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(DATA)
    place = f"{tmp_path}/m.onnx" if where == "local" else f"{remote}/m.onnx"
    with pytest.raises(ModelError, match=f"has the SHA-256 {SHA}, and model.yaml says {'0' * 64}"):
        store.fetch([(place, "0" * 64)], tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").glob("*") if path.is_dir()]


def test_a_remote_file_is_fetched_once_with_what_lies_beside_it(remote: str, tmp_path: Path) -> None:
    files = [(f"{remote}/m.onnx", SHA), (f"{remote}/m.onnx.data", None)]
    first = store.fetch(files, tmp_path)
    assert first.read_bytes() == DATA
    assert (first.parent / "m.onnx.data").read_bytes() == b"more"
    first.write_bytes(b"mark")
    assert store.fetch(files, tmp_path).read_bytes() == b"mark", "it was fetched again"


def test_a_changed_file_without_a_checksum_is_fetched_again(remote: str, tmp_path: Path) -> None:
    place = [(f"{remote}/m.onnx", None)]
    assert store.fetch(place, tmp_path).read_bytes() == DATA
    fsspec.filesystem("memory").pipe("/bucket/m.onnx", b"new")
    assert store.fetch(place, tmp_path).read_bytes() == b"new"


def test_what_a_killed_process_left_half_goes(remote: str, tmp_path: Path) -> None:
    home = store.fetch([(f"{remote}/m.onnx", SHA)], tmp_path).parent
    half = tmp_path / f"{home.name}.half"
    half.mkdir()
    (home / "m.onnx").unlink()
    home.rmdir()
    store.fetch([(f"{remote}/m.onnx", SHA)], tmp_path)
    assert not half.exists()


@pytest.mark.parametrize("place", ["/nowhere/m.onnx", "memory://bucket/none.onnx"])
def test_a_file_that_is_not_there_is_said(place: str, tmp_path: Path) -> None:
    for checksum in (None, SHA):
        with pytest.raises(ModelError, match=r"(m|none)\.onnx"):
            store.fetch([(place, checksum)], tmp_path)


def test_a_store_that_does_not_answer_is_told_while_it_is_waited_for(remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    system = type(fsspec.filesystem("memory"))
    at_once, told = system.open, threading.Event()
    monkeypatch.setattr(store, "_SILENT_S", 0.05)
    monkeypatch.setattr(store.log, "warning", lambda *_, **__: told.set())
    assert store.read(f"{remote}/m.onnx", 10_000) == DATA
    monkeypatch.setattr(system, "open", lambda *args, **more: told.wait(10) and at_once(*args, **more))
    assert not told.is_set()
    assert store.read(f"{remote}/m.onnx", 10_000) == DATA
    assert told.is_set()


def test_two_files_of_one_name_cannot_lie_side_by_side(remote: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="called the same"):
        store.fetch([(f"{remote}/m.onnx", None), ("memory://other/m.onnx", None)], tmp_path)


@pytest.mark.parametrize(
    ("scheme", "extra", "package"), [("s3", "s3", "s3fs"), ("gs", "gs", "gcsfs"), ("abfss", "abfs", "adlfs")]
)
def test_a_store_without_its_package_says_what_to_install(
    scheme: str, extra: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, scheme, raising=False)  # one that was loaded before
    with pytest.raises(Missing, match=rf"pip install './serving\[{extra}\]'"):
        store.fetch([(f"{scheme}://bucket/m.onnx", None)], tmp_path)


def test_a_cache_that_cannot_be_written_is_said(remote: str, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(ModelError, match="set --cache"):
        store.fetch([(f"{remote}/m.onnx", None)], tmp_path / "cache")


# Two files, so that they are a copy and not read in place; each process says what it read.
FILL = """
import sys
from pathlib import Path
from serving import store
a, b, cache = sys.argv[1:]
print(store.fetch([(a, None), (b, None)], Path(cache)).read_bytes() == b"weights" * 1_000_000)
"""


def test_processes_that_fill_one_cache_at_once_all_find_it_whole(tmp_path: Path) -> None:
    for folder, name in (("a", "m.onnx"), ("b", "m.data")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(b"weights" * 1_000_000)
    asked = [sys.executable, "-c", FILL, f"{tmp_path}/a/m.onnx", f"{tmp_path}/b/m.data", str(tmp_path / "cache")]
    running = [subprocess.Popen(asked, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    assert [one.communicate(timeout=60)[0].strip() for one in running] == ["True"] * 6
    assert len([path for path in (tmp_path / "cache").iterdir() if path.is_dir()]) == 1
