"""Weights that lie in the repository: what of a folder goes into the store, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet import weights
from fleet.weights import WeightsFile


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "digits"
    (folder / "1").mkdir(parents=True)
    (folder / "model.yaml").write_text("name: digits")
    (folder / "1" / "model.onnx").write_bytes(b"onnx")
    (folder / ".DS_Store").write_bytes(b"")
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text("")
    return tmp_path


def test_files_keep_their_place_below_the_folder_and_hidden_ones_stay(root: Path) -> None:
    assert weights.fault("models/digits", root) is None
    assert weights.files("models/digits", root) == [
        WeightsFile("1/model.onnx", "models/digits/1/model.onnx"),
        WeightsFile("model.yaml", "models/digits/model.yaml"),
    ]


def test_what_is_too_big_is_refused_at_the_limit_and_not_below(root: Path) -> None:
    present = sum((root / file.path).stat().st_size for file in weights.files("models/digits", root))
    with (root / "models" / "digits" / "big.bin").open("wb") as file:
        file.truncate(weights.MOST_MIB * 2**20 - present)
    assert weights.fault("models/digits", root) is None
    (root / "models" / "digits" / "one-more").write_bytes(b"x")
    message, remedy = weights.fault("models/digits", root) or ("", "")
    assert "512 MiB" in message
    assert "cloud's own tool" in remedy


@pytest.mark.parametrize("name", ["..", "models/../..", "/etc"])
def test_a_folder_elsewhere_is_refused(name: str, root: Path) -> None:
    message, _ = weights.fault(name, root) or ("", "")
    assert "outside" in message


def test_links_and_empty_folders_are_refused(root: Path) -> None:
    (root / "empty").mkdir()
    assert "empty" in (weights.fault("empty", root) or ("",))[0]
    (root / "models" / "digits" / "link").symlink_to("/etc/passwd")
    assert "link is a link" in (weights.fault("models/digits", root) or ("",))[0]
