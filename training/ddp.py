"""PyTorch DDP, started by torchrun: NCCL where there is a GPU, else gloo.

Example: `torchrun --nproc_per_node 2 -m training.ddp --steps 100`
"""

from __future__ import annotations

import os
from pathlib import Path

from training import task


def main() -> None:
    fit(task.settings())


def fit(of: task.Settings) -> None:
    """What each process does; a process group that is there already, such as Ray's, is taken."""
    import torch  # noqa: PLC0415 - `--help` and a wrong flag need no framework
    import torch.distributed as dist  # noqa: PLC0415
    from torch.nn.parallel import DistributedDataParallel  # noqa: PLC0415

    gpu = torch.cuda.is_available()
    device = torch.device(f"cuda:{os.environ['LOCAL_RANK']}" if gpu else "cpu")
    if gpu:
        torch.cuda.set_device(device)
    if mine := not dist.is_initialized():
        dist.init_process_group("nccl" if gpu else "gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    torch.manual_seed(of.seed)
    model = task.network().to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=of.rate, momentum=0.9)
    done = 0
    if (found := task.newest(of.checkpoints)) is not None:
        done, path = found
        state = torch.load(path, map_location=device)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    parallel = DistributedDataParallel(model)
    ending, loss = task.Ending(), None

    def save(path: Path) -> None:
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)

    if rank == 0:
        task.say(f"{world} processes, {device.type}, from step {done}")
    for step in range(done + 1, of.steps + 1):
        rows, answers = task.batch(of, step, rank, device)
        loss = torch.nn.functional.mse_loss(parallel(rows), answers)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        # Whether to end is agreed on: else one process leaves and the others wait for it.
        asked = torch.tensor(float(ending.asked), device=device)
        dist.all_reduce(asked, op=dist.ReduceOp.MAX)
        if (step % of.every == 0 or step == of.steps or asked) and rank == 0:
            task.keep(of.checkpoints, step, save)
        if asked:
            raise SystemExit(143)
    if rank == 0:
        task.say(f"step {of.steps}: loss {loss.item():.6f}" if loss is not None else f"step {done}: nothing was left to do")
    if mine:
        task.leave()


if __name__ == "__main__":
    main()
