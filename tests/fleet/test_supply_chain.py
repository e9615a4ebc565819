"""What is installed is what was locked: every pin is in a lock with hashes, and the bill of materials names all of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from fleet.sbom import document, read
from fleet.workspace import ROOT

LOCKS = {"requirements.lock": "requirements.txt", "requirements-dev.lock": "requirements-dev.txt"}
LOCKS |= {"serving/requirements.lock": "serving/requirements.txt"}
LOCKS |= {".github/requirements-build.lock": ".github/requirements-build.txt"}


def pins(path: Path) -> dict[str, str]:
    """Names and versions that a requirements file pins, those that it takes over included."""
    found: dict[str, str] = {}
    for line in path.read_text().splitlines():
        if line.startswith("-r "):
            found |= pins(path.parent / line[3:].strip())
        elif pinned := re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;#]+)", line):
            found[normal(pinned[1])] = pinned[2]
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_is_asked_for(lock: str) -> None:
    locked = {(normal(p.name), p.version) for p in read((ROOT / lock).read_text())}
    missing = pins(ROOT / LOCKS[lock]).items() - locked
    assert not missing, f"{lock} is behind {LOCKS[lock]}: run `make lock`"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_entry_has_hashes_of_files_of_its_own(lock: str) -> None:
    seen: dict[str, str] = {}
    for pinned in read((ROOT / lock).read_text()):
        for value in pinned.hashes:
            assert seen.setdefault(value, pinned.name) == pinned.name
    assert len(seen) >= 4


@pytest.mark.parametrize("text", ["rich", "rich==1.0", "rich>=1 \\\n    --hash=sha256:" + "a" * 64, "git+https://x/y"])
def test_what_is_not_pinned_is_no_lock(text: str) -> None:
    with pytest.raises(ValueError, match="make lock"):
        list(read(text))


def test_the_bill_of_materials_names_everything_and_is_the_same_twice() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    command = [sys.executable, "-m", "fleet.sbom", "requirements.lock"]
    first, second = (subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout for _ in range(2))
    assert first == second
    made = json.loads(first)
    assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.6")
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", made["serialNumber"])
    named = {(component["name"], component["version"]) for component in made["components"]}
    assert named == {(p.name, p.version) for p in read(lock)}
    references = [component["bom-ref"] for component in made["components"]]
    assert len(set(references)) == len(references)
    assert "pkg:pypi/pulumi-azure-native@" in " ".join(references)
    assert all(component["properties"] for component in made["components"])


def test_another_lock_is_another_bill() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert document(lock)["serialNumber"] != document(lock + "\n# changed\n")["serialNumber"]


def test_dependabot_watches_every_place_that_pins_something() -> None:
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    watched = {
        (update["package-ecosystem"], place)
        for update in updates
        for place in update.get("directories") or [update["directory"]]
    }
    assert ("pip", "/") in watched
    assert ("pip", "/serving") in watched
    assert ("github-actions", "/") in watched
    modules = {p.parent.name for p in (ROOT / "sandbox" / "toolchain" / "modules").glob("*/go.mod")}
    assert modules
    assert ("gomod", "/sandbox/toolchain/modules/*") in watched
