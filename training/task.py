"""What all scripts share: flags, checkpoints that survive a kill, and the task; no framework is imported before it is needed.

The task is a small regression with a known answer, so that a run can be judged: y = x W, W given by the seed. Replace `dataset`
and `network`; the rest stays.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

FEATURES, ANSWERS = 16, 4
# The chart's script.hopelessExitCode: another try would end the same.
HOPELESS = 2
_NAME = re.compile(r"step-(\d+)\.pt")


@dataclass(frozen=True)
class Settings:
    """One run: `steps` in all, whatever was done before; `every` steps a checkpoint."""

    steps: int
    batch: int
    every: int
    rate: float
    seed: int
    checkpoints: Path | None
    deepspeed_config: Path | None


def settings(arguments: Sequence[str] | None = None) -> Settings:
    """From the command line; CHECKPOINT_URL stands for `--checkpoints`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=64, help="rows of each process")
    parser.add_argument("--every", type=int, default=50, help="steps between checkpoints")
    parser.add_argument("--rate", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoints", default=os.environ.get("CHECKPOINT_URL", ""), help="folder that all workers see")
    parser.add_argument("--deepspeed-config", type=Path, default=None)
    got = parser.parse_args(arguments)
    if "://" in got.checkpoints:
        parser.error(
            f"--checkpoints {got.checkpoints}: mount the store (checkpoint.claim) and give the folder, or write `save` anew"
        )
    if min(got.steps, got.batch, got.every) < 1:
        parser.error("--steps, --batch and --every are 1 at least")
    folder = Path(got.checkpoints) if got.checkpoints else None
    return Settings(got.steps, got.batch, got.every, got.rate, got.seed, folder, got.deepspeed_config)


def newest(folder: Path | None) -> tuple[int, Path] | None:
    """The last whole checkpoint and its step; None where there is none."""
    if folder is None or not folder.is_dir():
        return None
    found = [(int(match[1]), path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    return max(found, default=None)


def keep(folder: Path | None, step: int, write: Callable[[Path], None]) -> None:
    """A checkpoint, whole or not at all: written beside, then renamed. The one before it stays until the new one is there."""
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    made, place = folder / f".step-{step}.{os.getpid()}", folder / f"step-{step}.pt"
    write(made)
    made.replace(place)
    for old in folder.iterdir():
        match = _NAME.fullmatch(old.name)
        if match and int(match[1]) < step:
            old.unlink(missing_ok=True)


class Ending:
    """Whether somebody asked the process to end: a spot node that is called back sends SIGTERM seconds before."""

    def __init__(self) -> None:
        self.asked = False
        # Ray calls a script from a thread, where no signal can be heard; it looks after its workers' ends itself.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, _signal: int, _frame: FrameType | None) -> None:
        self.asked = True


def network() -> Any:
    from torch import nn  # noqa: PLC0415

    return nn.Linear(FEATURES, ANSWERS, bias=False)


def batch(of: Settings, step: int, rank: int, device: Any) -> tuple[Any, Any]:
    """Rows of one step and process: other ones for each, and the same again after a restart."""
    import torch  # noqa: PLC0415

    answer = torch.randn(FEATURES, ANSWERS, generator=torch.Generator().manual_seed(of.seed))
    rows = torch.randn(of.batch, FEATURES, generator=torch.Generator().manual_seed(hash((of.seed, step, rank)) % 2**31))
    return rows.to(device), (rows @ answer).to(device)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def leave() -> None:
    """End a process group, where there is one.

    Together: a process that is gone already breaks the connections of one that is still at its end. And before the interpreter
    ends: threads of a group that is still there then end the process by an abort, now and then.
    https://docs.pytorch.org/docs/stable/distributed.html#shutdown
    """
    import torch.distributed as dist  # noqa: PLC0415 - `--help` and a wrong flag need no framework

    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()
