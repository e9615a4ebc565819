"""Where model files come from: `s3://`, `gs://`, `abfss://`, anything else fsspec knows, or a path.

Owns the cache: what lies there is whole, as it is put there by one rename, and has the checksum that was asked for.
Several processes may fill one cache. Refuses a file with another checksum, always.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import fsspec

from serving.errors import Missing, ModelError, UsageError

log = logging.getLogger(__name__)

_STEP = 4 << 20
# Stores' clients try again for minutes, and a start-up probe ends the process before they give up.
_SILENT_S = 10.0
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "abfs": "abfs", "abfss": "abfs", "az": "abfs"}


def default_cache() -> Path:
    """`$SERVING_CACHE`, or the user's cache directory."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("SERVING_CACHE") or Path(home) / "accelfleet-serving")


def is_absolute(place: str) -> bool:
    return "://" in place or place.startswith("/")


def read(place: str, most: int) -> bytes:
    """A small file as bytes.

    Raises:
        UsageError: it is not there, or has more than `most` bytes.
        Missing: the package that reads such URLs.
    """
    try:
        with _opened(place) as file:
            data: bytes = file.read(most + 1)
    except OSError as wrong:
        raise UsageError(f"{place}: cannot be read: {_why(wrong)}; check the path and the rights") from None
    if len(data) > most:
        raise UsageError(f"{place}: has more than {most:,} bytes: is this a description?")
    return data


def fetch(files: list[tuple[str, str | None]], cache: Path) -> Path:
    """Have files side by side on this machine.

    Args:
        files: place and SHA-256 (None: not checked) of the model's file, then of what must lie beside it.
        cache: folder for copies of remote files; local ones are read where they are.

    Returns:
        The first one's path.

    Raises:
        ModelError: one cannot be read, or has another checksum.
        Missing: the package that reads such URLs.
    """
    local = [_local(place) for place, _ in files]
    if all(local) and len({path.parent for path in local if path}) == 1:
        for path, (place, wanted) in zip(local, files, strict=True):
            assert path is not None
            _check(place, _digest(place, path) if wanted else None, wanted)
            if not path.is_file():
                raise ModelError(f"{place}: no such file; check the path in model.yaml, which starts at its own folder")
        assert local[0] is not None
        return local[0]
    return _cached(files, cache)


def _cached(files: list[tuple[str, str | None]], cache: Path) -> Path:
    names = [place.rstrip("/").rpartition("/")[2] for place, _ in files]
    if len(set(names)) < len(names):
        raise ModelError(f"{files[0][0]}: two of its files are called the same, and they must lie side by side: {names}")
    # The key of a file without a checksum is what its store says of it now, so that a changed one is fetched again.
    key = hashlib.sha256(
        "\n".join(f"{n} {wanted or _version(p)}" for n, (p, wanted) in zip(names, files, strict=True)).encode()
    )
    home = cache / key.hexdigest()[:32]
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _alone(cache / f"{home.name}.lock"):
            if not home.is_dir():
                _fill(home, names, files)
    except OSError as wrong:
        raise ModelError(f"{cache}: cannot hold models: {_why(wrong)}; set --cache to a folder with room") from None
    return home / names[0]


def _fill(home: Path, names: list[str], files: list[tuple[str, str | None]]) -> None:
    for left in home.parent.glob(f"{home.name}.*/"):
        shutil.rmtree(left, ignore_errors=True)  # by a process that was killed; we are alone here
    made = Path(tempfile.mkdtemp(prefix=f"{home.name}.", dir=home.parent))
    try:
        for name, (place, wanted) in zip(names, files, strict=True):
            _check(place, _copy(place, made / name), wanted)
        made.rename(home)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _copy(place: str, target: Path) -> str:
    """Fetch one file and say its checksum."""
    digest = hashlib.sha256()
    with target.open("wb") as out:
        try:
            with _opened(place) as file:
                while step := file.read(_STEP):
                    digest.update(step)
                    out.write(step)
        except Missing:
            raise
        except Exception as wrong:  # each store has its own exceptions, and what they say is all there is
            raise ModelError(f"{place}: cannot be fetched: {_why(wrong)}; check the URL and the identity's rights") from None
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def _digest(place: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as wrong:
        raise ModelError(f"{place}: cannot be read: {_why(wrong)}") from None


def _check(place: str, got: str | None, wanted: str | None) -> None:
    if wanted and got != wanted:
        raise ModelError(
            f"{place}: has the SHA-256 {got}, and model.yaml says {wanted}; fetch it again, or write the new one down"
        )


def _local(place: str) -> Path | None:
    return Path(place.removeprefix("file://")) if "://" not in place or place.startswith("file://") else None


def _version(place: str) -> str:
    try:
        with _telling(place):
            system, path = _system(place)
            return f"{place} {system.ukey(path)}"
    except Missing:
        raise
    except Exception as wrong:
        raise ModelError(f"{place}: cannot be looked up: {_why(wrong)}; check the URL and the identity's rights") from None


@contextlib.contextmanager
def _opened(place: str) -> Iterator[IO[Any]]:
    with _telling(place):
        system, path = _system(place)
        opened = system.open(path, "rb")
    with opened as file:
        yield file


@contextlib.contextmanager
def _telling(place: str) -> Iterator[None]:
    """Say so once if a store does not answer, or the log of a replica that waits for it would be empty."""
    said = {"place": place, "seconds": _SILENT_S}
    timer = threading.Timer(
        _SILENT_S,
        log.warning,
        ("the store has not answered yet; check its network and the identity's rights",),
        {"extra": said},
    )
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _system(place: str) -> tuple[Any, str]:
    """fsspec's file system for a place, and the path in it.

    Raises:
        Missing: its package is not installed.
    """
    extra = _EXTRAS.get(place.partition("://")[0])
    try:
        system, path = fsspec.core.url_to_fs(place)
    except (ImportError, ValueError) as wrong:  # ValueError: fsspec has not even heard of the scheme
        install = f"pip install './serving[{extra}]'" if extra else "install the fsspec package for it"
        raise Missing(f"{place}: nothing here reads such URLs ({wrong}); {install}") from None
    return system, path


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One process at a time: the others wait and then find the files there."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _why(wrong: BaseException) -> str:
    said = getattr(wrong, "strerror", None) or str(wrong) or type(wrong).__name__
    return str(said).splitlines()[0][:300]
