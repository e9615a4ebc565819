"""The artifact of a request's run, unpacked as what it ought to be: `request.json` and `sections/NAME.md`, text and not much.

`python -m fleet.comment.artifact FILE.zip DIRECTORY`. The request's own code packed it, so that nothing in it is believed: no
name that leads elsewhere, no link, no length that it states.
"""

from __future__ import annotations

import re
import stat
import sys
import zipfile
import zlib
from pathlib import Path

_NAME = re.compile(r"request\.json|sections/[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.md")
# Packed, unpacked, and how many: a comment has room for a hundredth of it.
_PACKED, _UNPACKED, _FILES = 5_000_000, 20_000_000, 1_000
_BROKEN = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError)


class ArtifactError(Exception):
    """It is not what it ought to be; the message quotes nothing of it."""


def unpack(archive: Path, into: Path) -> None:
    """All of it, or nothing.

    Raises:
        ArtifactError: something in it does not belong there, or it is too large.
    """
    if archive.stat().st_size > _PACKED:
        raise ArtifactError(f"the artifact has more than {_PACKED:,} bytes")
    try:
        found = _files(archive)
    except _BROKEN as wrong:
        raise ArtifactError(f"the artifact cannot be read: {type(wrong).__name__}") from None
    (into / "sections").mkdir(parents=True)
    for name, content in found.items():
        (into / name).write_bytes(content)


def _files(archive: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    left = _UNPACKED
    with zipfile.ZipFile(archive) as packed:
        entries = [one for one in packed.infolist() if one.filename != "sections/"]
        if len(entries) > _FILES:
            raise ArtifactError(f"the artifact has more than {_FILES:,} files")
        for entry in entries:
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise ArtifactError("the artifact holds a link")
            if not _NAME.fullmatch(entry.filename) or entry.filename in found:
                raise ArtifactError("the artifact holds a file that is neither request.json nor sections/NAME.md, or one twice")
            with packed.open(entry) as stream:
                found[entry.filename] = stream.read(left + 1)
            left -= len(found[entry.filename])
            if left < 0:
                raise ArtifactError(f"the artifact unpacks to more than {_UNPACKED:,} bytes")
    return found


if __name__ == "__main__":
    try:
        unpack(Path(sys.argv[1]), Path(sys.argv[2]))
    except ArtifactError as wrong:
        sys.exit(f"::error::{wrong}")
