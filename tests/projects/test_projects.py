"""Every project: its notebook is its script's, its README says what it should, and it is run whole at a small size."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from projects import notebooks
from projects.table import Table

Executed = Callable[[str], dict[str, Any]]
SCRIPTS = notebooks.scripts()


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_a_notebook_is_what_its_script_makes_and_holds_no_outputs(script: Path) -> None:
    text = script.with_suffix(".ipynb").read_text()
    assert text == notebooks.written(script), "run python -m projects.notebooks"
    code = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert len(code) > 2
    assert not [cell for cell in code if cell["outputs"] or cell["execution_count"]]


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_a_readme_says_what_ran_and_what_needs_which_hardware(script: Path) -> None:
    text = (script.parent / "README.md").read_text()
    assert f"python -m projects {script.stem}" in text
    assert re.search(r"^## What ran here", text, re.MULTILINE)
    assert re.search(r"^## What needs more", text, re.MULTILINE)
    assert f"]({script.stem}/README.md)" in (script.parent.parent / "README.md").read_text()


def test_int8_ships_where_it_is_faster_and_right_alone(executed: Executed) -> None:
    names = executed("onnx_int8")
    table: Table = names["table"]
    for model in ("digits", "magika", "rapidocr-cls", "tiny", "convolutional"):
        rows = [table.row(f"{model} {form}") for form in ("fp32", "dynamic", "qdq")]
        assert all(float(row["smaller x"]) > 2 for row in rows[1:]), "INT8 is smaller"
        (ships,) = [row for row in rows if row[""] == "ships"]
        assert ships["gate"] in ("reference", "may ship")
        if ships["gate"] == "may ship":
            assert float(ships["faster x"]) >= names["MIN_SPEED"]
            assert float(ships["loss points"]) <= names["MAX_LOSS"] * 100
    assert float(table.row("digits fp32")["right %"]) > 90
    assert float(table.row("digits qdq")["right %"]) > 90


@pytest.mark.parametrize(
    ("ms", "right", "said"),
    [
        (5.0, 0.99, "may ship"),
        (5.0, 0.9, "no: loses 10.0 points"),
        (9.9, 1.0, "no: not faster here"),
        (20.0, 1.0, "no: not faster here"),
    ],
)
def test_the_gate_keeps_fp32_unless_int8_is_faster_and_right(ms: float, right: float, said: str) -> None:
    from projects.onnx_int8.onnx_int8 import Form, shipped, verdict

    fp32, int8 = Form("fp32", 4, 10.0, 1.0), Form("int8", 1, ms, right)
    assert verdict(int8, fp32) == said
    assert shipped([fp32, int8]) is (int8 if said == "may ship" else fp32)


def test_halves_train_as_well_as_fp32_and_scaling_recovers(executed: Executed) -> None:
    table: Table = executed("mixed_precision")["table"]
    for name in ("fp32", "bf16", "fp16, dynamic scaling"):
        assert float(table.row(name)["right %"]) > 85
    scaled = table.row("fp16, dynamic scaling")
    assert int(scaled["steps skipped"]) > 0, "the first scale is too high on purpose"
    assert float(scaled["last scale"]) < 2**24
    assert table.row("tf32")["right %"] is None, "no tensor cores here"


def test_small_gradients_are_lost_in_fp16_and_scaling_keeps_them() -> None:
    import jax.numpy as jnp

    from projects import digits
    from projects.mixed_precision.mixed_precision import POLICIES, gradients

    # A network that is already sure: its gradients are near what FP16 ends at.
    params = digits.train(digits.init((32,)), 20)
    sure = [(w * 3, b * 3) for w, b in params]
    x, y = digits.data().train_x[:64], digits.data().train_y[:64]
    fp32, fp16 = POLICIES[0], POLICIES[2]

    def zeros(policy: Any, scale: float) -> int:
        return sum(int((one == 0).sum()) for layer in gradients(policy, sure, x, y, jnp.float32(scale)) for one in layer)

    assert zeros(fp32, 1) < zeros(fp16, 2.0**10) < zeros(fp16, 1)


def test_pruned_by_steps_is_better_than_at_once(executed: Executed) -> None:
    table: Table = executed("pruning")["table"]
    once, steps = table.row("90% at once"), table.row("90% gradual")
    assert round(float(once["zeros %"])) == round(float(steps["zeros %"])) == 90
    assert float(steps["right %"]) > float(once["right %"]) + 5
    assert float(steps["smaller x"]) > 2


def test_masks_keep_the_greatest() -> None:
    from projects.pruning.pruning import magnitude_mask, schedule, two_of_four_mask

    weights = np.array([[1.0, -9.0], [-8.0, 0.5], [3.0, 7.0], [-2.0, 6.0]])
    assert magnitude_mask(weights, 0.5).tolist() == [[0, 1], [1, 0], [0, 1], [0, 1]]
    assert two_of_four_mask(weights).tolist() == [[0, 1], [1, 0], [1, 1], [0, 0]]
    assert magnitude_mask(np.ones((2, 2)), 0.5).sum() == 2, "equal weights do not fall together"
    assert schedule(0.9, 3)[-1] == pytest.approx(0.9)
    assert schedule(0.9, 3) == sorted(schedule(0.9, 3))


def test_a_student_is_smaller_and_learns_from_its_teacher(executed: Executed) -> None:
    names = executed("distillation")
    table: Table = names["table"]
    assert float(table.row("8 distilled")["smaller x"]) > 50
    assert float(table.row("8 distilled")["right %"]) > 60
    assert float(table.row("teacher")["right %"]) > 90


def test_a_student_that_says_what_its_teacher_says_has_nothing_to_learn_from_it() -> None:
    import jax
    import jax.numpy as jnp

    from projects import digits
    from projects.distillation import distillation

    teacher, other = digits.init((8,)), digits.init((8,), seed=1)
    x, given = digits.data().train_x[:32], distillation.targets(teacher)[:32]

    def soft(params: digits.Params) -> Any:
        # The whole loss less its hard part.
        hard = (1 - distillation.SOFT) * digits.cross_entropy(params, x, given[:, digits.CLASSES].astype(jnp.int32))
        return distillation.distillation_loss(params, x, given) - hard

    assert float(jnp.abs(soft(teacher))) < 1e-4
    assert float(soft(other)) > 0.1
    steepest = max(float(jnp.abs(one).max()) for one in jax.tree.leaves(jax.grad(soft)(teacher)))
    assert steepest < 1e-3


def test_exports_answer_as_the_model_does_and_absent_ones_say_what_they_need(executed: Executed) -> None:
    from importlib import util

    names = executed("exports")
    table: Table = names["table"]
    here = {"ONNX Runtime", "OpenVINO", "XLA (StableHLO)", "TVM"} | ({"TorchScript"} if util.find_spec("torch") else set())
    for path in names["PATHS"]:
        row = table.row(path)
        if path in here:
            assert float(row["max difference"]) < 1e-3
            assert row["same digit %"] == 100
            assert row["needs"] == ""
        else:
            assert row["max difference"] is None
            assert row["needs"]
    assert table.row("TensorRT")["max difference"] is None


def test_the_benchmark_measures_what_is_here_and_names_what_is_not(executed: Executed) -> None:
    table: Table = executed("hardware_bench")["table"]
    for name in ("jax cpu", "ort CPU"):
        assert float(table.row(name)["rows/s"]) > 0
        assert table.row(name)["device"]
    for name in ("jax tpu", "ort CUDA", "ort Tensorrt"):
        assert table.row(name)["rows/s"] is None
        assert table.row(name)["needs"]


def test_one_command_prints_the_table_as_text_and_as_json() -> None:
    def said(*flags: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "projects", *flags], capture_output=True, text=True, timeout=120, check=False
        )

    document = json.loads(said("training_jobs", "--small", "--json").stdout)
    assert document["version"] == 1
    assert all(len(row) == len(document["columns"]) for row in document["rows"])
    assert said().stdout.split() == list(SCRIPTS)
    wrong = said("nothing")
    assert (wrong.returncode, "no project 'nothing'" in wrong.stderr) == (2, True)
