"""Hugging Face Accelerate, by `accelerate launch --multi_gpu -m training.accelerated`; precision and devices are its flags.

On CPUs by torchrun with ACCELERATE_USE_CPU=true: `accelerate launch --cpu` starts one process, whatever --num_processes says.
"""

from __future__ import annotations

from pathlib import Path

from training import task


def main() -> None:
    of = task.settings()
    import torch  # noqa: PLC0415 - `--help` and a wrong flag need no framework
    from accelerate import Accelerator  # noqa: PLC0415

    accelerator = Accelerator()
    torch.manual_seed(of.seed)
    model = task.network()
    optimizer = torch.optim.SGD(model.parameters(), lr=of.rate, momentum=0.9)
    model, optimizer = accelerator.prepare(model, optimizer)
    done = 0
    if (found := task.newest(of.checkpoints)) is not None:
        done, path = found
        state = torch.load(path, map_location="cpu")
        accelerator.unwrap_model(model).load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    loss = None

    def save(path: Path) -> None:
        torch.save({"model": accelerator.unwrap_model(model).state_dict(), "optimizer": optimizer.state_dict()}, path)

    if accelerator.is_main_process:
        task.say(f"{accelerator.num_processes} processes, {accelerator.device.type}, from step {done}")
    for step in range(done + 1, of.steps + 1):
        rows, answers = task.batch(of, step, accelerator.process_index, accelerator.device)
        with accelerator.autocast():
            loss = torch.nn.functional.mse_loss(model(rows), answers)
        accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        if (step % of.every == 0 or step == of.steps) and accelerator.is_main_process:
            task.keep(of.checkpoints, step, save)
    if accelerator.is_main_process and loss is not None:
        task.say(f"step {of.steps}: loss {loss.item():.6f}")
    task.leave()


if __name__ == "__main__":
    main()
