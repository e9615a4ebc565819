"""The walk-through's stack file is sound, but for the model that its first step makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.load import StackErrors, load_stack
from fleet.workspace import ROOT

FILE = ROOT / "projects" / "fastapi_k8s" / "digits-dev.yaml"


def test_the_stack_file_is_sound_once_the_model_is_there(tmp_path: Path) -> None:
    # Any folder of the repository stands for out/digits, which is no part of it.
    copy = tmp_path / FILE.name
    copy.write_text(FILE.read_text().replace("out/digits", "projects/fastapi_k8s"))
    model = load_stack(copy).clusters["main"].models["digits"]
    assert model.weights is not None
    assert model.weights.files == "projects/fastapi_k8s"
    copy.write_text(FILE.read_text().replace("out/digits", "out/nothing-there"))
    with pytest.raises(StackErrors, match="no such folder in the repository"):
        load_stack(copy)
