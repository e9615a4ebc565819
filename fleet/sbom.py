"""`python -m fleet.sbom requirements.lock`: the lock file as a software bill of materials, CycloneDX 1.6 JSON on stdout.

Says what an installation may hold: every distribution that the lock names for any platform, with its version, package URL
and the SHA-256 of each of its files. Two runs over the same lock give the same bytes. https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_PINNED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*\])?==(?P<version>[^\s;\\]+)(?:\s*;\s*(?P<marker>[^\\]+?))?\s*\\?$")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Pinned:
    """A distribution of a lock file; `marker` says for which machines, empty for all."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{re.sub(r'[-_.]+', '-', self.name).lower()}@{self.version}"


def read(lock: str) -> Iterator[Pinned]:
    """The distributions of a lock file's text, in its order.

    Raises:
        ValueError: one is not pinned, or has no hash: then it is no lock.
    """
    for entry in re.split(r"\n(?=[^\s#])", lock.strip()):
        if entry.startswith("#"):
            continue
        found = _PINNED.match(entry.partition("\n")[0])
        hashes = tuple(_HASH.findall(entry))
        if found is None or not hashes:
            raise ValueError(f"{entry.partition(chr(10))[0]!r} is not pinned to a version and hashes: run `make lock`")
        yield Pinned(found["name"], found["version"], found["marker"] or "", hashes)


def document(lock: str) -> dict[str, Any]:
    """The bill of materials of a lock file's text."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    about = {"type": "application", "name": project["name"], "version": project["version"]}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(about) + lock)}",
        "version": 1,
        "metadata": {
            "component": {**about, "bom-ref": project["name"], "licenses": [{"license": {"id": project["license"]}}]},
        },
        "components": [_component(pinned) for pinned in read(lock)],
    }


def _component(pinned: Pinned) -> dict[str, Any]:
    made: dict[str, Any] = {
        "type": "library",
        "bom-ref": pinned.purl,
        "name": pinned.name,
        "version": pinned.version,
        "purl": pinned.purl,
        # One a file that pip may choose, for one platform or another: no single one is "the" hash of the component.
        "properties": [{"name": "accelfleet:file-sha256", "value": value} for value in pinned.hashes],
    }
    if pinned.marker:
        made["properties"].append({"name": "accelfleet:marker", "value": pinned.marker})
    return made


if __name__ == "__main__":
    print(json.dumps(document(Path(sys.argv[1]).read_text()), indent=2))  # noqa: T201
