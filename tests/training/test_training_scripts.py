"""The training scripts: what needs no framework everywhere; each launcher's for real, two processes by gloo on the CPU, where
there are frameworks: `make torch` sets up .venv-training, or TRAINING_PYTHON names an interpreter that has them.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from functools import cache
from pathlib import Path

import pytest

from fleet.workspace import ROOT
from training import task

MODULES = ("ddp", "accelerated", "deepspeed_zero", "lightning_fit", "ray_ddp")


@cache
def training_python() -> str | None:
    """An interpreter with a PyTorch that has gloo; None where there is none."""
    ask = "import torch.distributed as d, sys; sys.exit(not d.is_available())"
    for program in (os.environ.get("TRAINING_PYTHON"), str(ROOT / ".venv-training" / "bin" / "python")):
        if (
            program
            and Path(program).exists()
            and subprocess.run([program, "-c", ask], capture_output=True, check=False).returncode == 0
        ):
            return program
    return None


needs_torch = pytest.mark.skipif("not training_python()", reason="no PyTorch here: make torch, or TRAINING_PYTHON=…")


def command(*arguments: object, module: str = "ddp", restarts: int = 0) -> list[str]:
    program = training_python()
    assert program is not None
    if module == "ray_ddp":
        return [program, "-m", "training.ray_ddp", *map(str, arguments)]
    # Any free port: the default one is everybody's.
    meet = ["--rdzv_backend=c10d", "--rdzv_endpoint=localhost:0", "--nproc_per_node=2", f"--max_restarts={restarts}"]
    return [program, "-m", "torch.distributed.run", *meet, "-m", f"training.{module}", *map(str, arguments)]


def environment() -> dict[str, str]:
    """As the chart sets it for two processes on a CPU; what DeepSpeed and Ray look for by themselves is told to them."""
    program = Path(training_python() or "")
    return {
        **os.environ,
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "WORKERS": "1",
        "PROCESSES": "2",
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
        "ACCELERATE_USE_CPU": "true",
        "DS_ACCELERATOR": "cpu",
        "TORCH_EXTENSIONS_DIR": str(program.parents[1] / "torch_extensions"),
        "RAY_USAGE_STATS_ENABLED": "0",
    }


# What PyTorch's threads say, now and then, when a process ends that has done all it had to.
ABORTED = "terminate called without an active exception"


def train(*arguments: object, module: str = "ddp") -> str:
    """What a run says. As a Job does, begin again where PyTorch broke off its own end."""
    run, said = command(*arguments, module=module), ""
    for _ in range(2):
        done = subprocess.run(run, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=600, check=False)
        said += done.stdout + done.stderr
        if done.returncode == 0 or ABORTED not in done.stderr:
            break
    assert done.returncode == 0, said
    return said


def loss(said: str) -> float:
    return float(re.findall(r"loss (\d+\.\d+)", said)[-1])


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
    running = subprocess.Popen(
        command("--steps", 10**6, "--every", 10**6, "--checkpoints", tmp_path),
        cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
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


@needs_torch
def test_a_worker_that_dies_costs_no_more_than_the_steps_since_the_last_checkpoint(tmp_path: Path) -> None:
    running = subprocess.Popen(
        command("--steps", 10**6, "--every", 50, "--checkpoints", tmp_path, restarts=3),
        cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    # PyTorch itself would wait for half an hour.
    given_up = threading.Timer(300, running.kill)
    try:
        assert running.stdout is not None
        while "2 processes, cpu, from step 0" not in running.stdout.readline():
            assert running.poll() is None, "it ended before it began"
        while (found := task.newest(tmp_path)) is None:
            assert running.poll() is None, "it ended without a checkpoint"
            time.sleep(0.05)
        workers = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        assert len(workers) == 2
        os.kill(int(workers[1]), signal.SIGKILL)
        said = []
        given_up.start()
        for line in running.stdout:
            said.append(line)
            if again := re.search(r"2 processes, cpu, from step (\d+)", line):
                break
        else:
            pytest.fail("the workers did not meet again: " + "".join(said[-40:]))
        assert int(again[1]) % 50 == 0, "a whole checkpoint, no step in between"
        assert int(again[1]) >= found[0], "older than a checkpoint that was there when it was killed"
    finally:
        given_up.cancel()
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=60)


@needs_torch
@pytest.mark.parametrize("module", ["accelerated", "lightning_fit", "ray_ddp"])
def test_every_launcher_trains_two_processes_to_the_same_loss_and_goes_on_after_a_restart(module: str, tmp_path: Path) -> None:
    expected = loss(train("--steps", 20))
    train("--steps", 10, "--every", 10, "--checkpoints", tmp_path, module=module)
    resumed = train("--steps", 20, "--every", 10, "--checkpoints", tmp_path, module=module)
    if module == "lightning_fit":
        assert "MEMBER: 2/2" in resumed
        assert "Restored all states from the checkpoint" in resumed
    else:
        assert "2 processes, cpu, from step 10" in resumed
    # The same rows and the same start: whoever starts the processes, the sums are the same.
    assert loss(resumed) == pytest.approx(expected, rel=1e-4)


@needs_torch
def test_deepspeed_shards_the_optimizer_over_two_processes_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    configuration = tmp_path / "deepspeed.json"
    adam = {"type": "AdamW", "params": {"lr": 0.05, "torch_adam": True}}
    zero = {"train_micro_batch_size_per_gpu": 64, "zero_optimization": {"stage": 2}, "optimizer": adam}
    configuration.write_text(json.dumps(zero))
    kept = tmp_path / "kept"
    flags = (f"--deepspeed-config={configuration}", "--every", 10, "--checkpoints", kept)
    half = train(*flags, "--steps", 10, module="deepspeed_zero")
    resumed = train(*flags, "--steps", 20, module="deepspeed_zero")
    assert "2 processes, cpu, from step 10" in resumed
    assert loss(resumed) < loss(half)
    shards = {path.name for path in (kept / "global_step20").glob("zero_pp_rank_*")}
    assert len(shards) == 2, "each process keeps its part of the optimizer"
