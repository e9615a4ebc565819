"""DeepSpeed, started by torchrun: ZeRO's stage, precision and optimizer are in the file that `--deepspeed-config` names."""

from __future__ import annotations

import json

from training import task


def main() -> None:
    of = task.settings()
    if of.deepspeed_config is None:
        task.say("--deepspeed-config is missing: the chart mounts it with launcher: deepspeed")
        raise SystemExit(task.HOPELESS)
    import deepspeed  # noqa: PLC0415 - `--help` and a wrong flag need no framework
    import torch  # noqa: PLC0415

    given = json.loads(of.deepspeed_config.read_text())
    torch.manual_seed(of.seed)
    model = task.network()
    engine, *_ = deepspeed.initialize(model=model, model_parameters=model.parameters(), config=given)
    done = 0
    if of.checkpoints is not None and of.checkpoints.is_dir():
        # Each process has its part of the states: DeepSpeed's own checkpoints, not one file.
        _, kept = engine.load_checkpoint(str(of.checkpoints))
        done = kept["step"] if kept else 0
    loss, first = None, torch.distributed.get_rank() == 0
    if first:
        task.say(f"{torch.distributed.get_world_size()} processes, {engine.device.type}, from step {done}")
    for step in range(done + 1, of.steps + 1):
        rows, answers = task.batch(of, step, torch.distributed.get_rank(), engine.device)
        loss = torch.nn.functional.mse_loss(engine(rows.to(engine.get_data_types()[0])).float(), answers)
        engine.backward(loss)
        engine.step()
        if of.checkpoints is not None and (step % of.every == 0 or step == of.steps):
            engine.save_checkpoint(str(of.checkpoints), client_state={"step": step})
    if first and loss is not None:
        task.say(f"step {of.steps}: loss {loss.item():.6f}")
    task.leave()


if __name__ == "__main__":
    main()
