"""The training scripts: what needs no framework everywhere; PyTorch DDP for real, by gloo on the CPU, where there is a torch.

Set TRAINING_PYTHON to an interpreter that has PyTorch; else Debian's (apt-get install python3-torch) and this one are tried.
Accelerate, DeepSpeed and Lightning are not run here: their flags and syntax alone are checked.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest

from fleet.workspace import ROOT
from training import task

MODULES = ("ddp", "accelerated", "deepspeed_zero", "lightning_fit")


@cache
def torch_python() -> str | None:
    """An interpreter with a PyTorch that has gloo; None where there is none."""
    ask = "import torch.distributed as d, sys; sys.exit(not d.is_available())"
    for program in (os.environ.get("TRAINING_PYTHON"), "/usr/bin/python3", sys.executable):
        if (
            program
            and Path(program).exists()
            and subprocess.run([program, "-c", ask], capture_output=True, check=False).returncode == 0
        ):
            return program
    return None


needs_torch = pytest.mark.skipif(
    "not torch_python()", reason="no PyTorch here: apt-get install python3-torch, or TRAINING_PYTHON=…"
)


def command(*arguments: object, processes: int = 2) -> list[str]:
    program = torch_python()
    assert program is not None
    # Any free port: the default one is everybody's. Debian's 1.13 needs both of the last to start at all on Python 3.11.
    meet = ["--rdzv_backend=c10d", "--rdzv_endpoint=localhost:0", f"--nproc_per_node={processes}", "--redirects=1", "--tee=1"]
    return [program, "-m", "torch.distributed.run", *meet, "-m", "training.ddp", *map(str, arguments)]


def train(*arguments: object, processes: int = 2) -> str:
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = command(*arguments, processes=processes)
    done = subprocess.run(run, cwd=ROOT, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def loss(said: str) -> float:
    return float(said.rsplit("loss ", 1)[1])


# Without a framework


@pytest.mark.parametrize("module", MODULES)
def test_help_and_wrong_flags_need_no_framework(module: str) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        # -S: no site-packages, so no framework, whoever runs this.
        return subprocess.run(
            [sys.executable, "-S", "-m", f"training.{module}", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    assert "--checkpoints" in run("--help").stdout
    wrong = run("--steps", "0")
    assert wrong.returncode == task.HOPELESS, "the chart gives up on this code"
    assert "1 at least" in wrong.stderr
    assert run("--checkpoints", "s3://bucket/run").returncode == task.HOPELESS


def test_deepspeed_without_its_configuration_is_hopeless() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-m", "training.deepspeed_zero"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == task.HOPELESS
    assert "--deepspeed-config is missing" in done.stdout


def test_the_chart_tells_the_folder_by_an_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHECKPOINT_URL", "/checkpoints/run")
    assert task.settings([]).checkpoints == Path("/checkpoints/run")
    assert task.settings(["--checkpoints", "/else"]).checkpoints == Path("/else")


def test_the_newest_whole_checkpoint_is_found_and_half_ones_are_not(tmp_path: Path) -> None:
    assert task.newest(None) is None
    assert task.newest(tmp_path / "none") is None
    for name in ("step-9.pt", "step-10.pt", ".step-11.77", "step-12.pt.tmp", "notes.txt"):
        (tmp_path / name).write_text("")
    assert task.newest(tmp_path) == (10, tmp_path / "step-10.pt")


def test_a_checkpoint_is_there_whole_or_not_at_all_and_the_last_one_until_then(tmp_path: Path) -> None:
    task.keep(tmp_path, 1, lambda path: path.write_text("one") and None)

    def dies(path: Path) -> None:
        path.write_text("ha")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        task.keep(tmp_path, 2, dies)
    assert task.newest(tmp_path) == (1, tmp_path / "step-1.pt")
    task.keep(tmp_path, 3, lambda path: path.write_text("three") and None)
    assert [path.name for path in tmp_path.glob("step-*.pt")] == ["step-3.pt"]
    assert (tmp_path / "step-3.pt").read_text() == "three"


# With PyTorch


@needs_torch
def test_two_processes_learn_together_and_a_restart_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    whole = train("--steps", 40, "--every", 40)
    assert "2 processes, cpu, from step 0" in whole
    half = train("--steps", 20, "--every", 10, "--checkpoints", tmp_path)
    assert task.newest(tmp_path) == (20, tmp_path / "step-20.pt")
    resumed = train("--steps", 40, "--every", 10, "--checkpoints", tmp_path)
    assert "from step 20" in resumed
    assert loss(resumed) == loss(whole) < loss(half)


@needs_torch
def test_a_process_that_spot_takes_leaves_a_checkpoint(tmp_path: Path) -> None:
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = subprocess.Popen(
        command("--steps", 10**6, "--every", 10**6, "--checkpoints", tmp_path),
        cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        assert running.stdout is not None
        while "from step 0" not in running.stdout.readline():
            assert running.poll() is None, "it ended before it began"
        time.sleep(1)
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=60)
    finally:
        running.kill()
        running.wait()
    assert running.returncode != 0, "an interrupted run is no success"
    found = task.newest(tmp_path)
    assert found is not None, "no checkpoint was left"
    assert 0 < found[0] < 10**6
