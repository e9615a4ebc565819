"""PyTorch Lightning, started by torchrun, whose processes it finds by itself; WORKERS and PROCESSES are the chart's."""

from __future__ import annotations

import os
from typing import Any

from training import task


def main() -> None:
    of = task.settings()
    import lightning  # noqa: PLC0415 - `--help` and a wrong flag need no framework
    import torch  # noqa: PLC0415
    from lightning.pytorch.callbacks import ModelCheckpoint  # noqa: PLC0415

    class Steps(torch.utils.data.IterableDataset[Any]):
        """One item a step: the batches of this process, from where the checkpoint left off."""

        def __iter__(self) -> Any:
            rank = int(os.environ.get("RANK", "0"))
            return (task.batch(of, step, rank, "cpu") for step in range(trainer.global_step + 1, of.steps + 1))

    class Regression(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(of.seed)
            self.network = task.network()

        def training_step(self, batch: Any, _index: int) -> Any:
            loss = torch.nn.functional.mse_loss(self.network(batch[0]), batch[1])
            self.log("loss", loss)
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=of.rate, momentum=0.9)

    keeping = [ModelCheckpoint(of.checkpoints, save_last=True, every_n_train_steps=of.every)] if of.checkpoints else []
    last = of.checkpoints / "last.ckpt" if of.checkpoints else None
    trainer = lightning.Trainer(
        max_steps=of.steps,
        num_nodes=int(os.environ.get("WORKERS", "1")),
        devices=int(os.environ.get("PROCESSES", "1")),
        callbacks=keeping,
        enable_checkpointing=bool(keeping),
        logger=False,
        enable_progress_bar=False,
        strategy="ddp",
    )
    trainer.fit(
        Regression(), torch.utils.data.DataLoader(Steps(), batch_size=None), ckpt_path=last if last and last.exists() else None
    )
    if trainer.is_global_zero:
        task.say(f"step {trainer.global_step}: loss {trainer.callback_metrics['loss'].item():.6f}")
    task.leave()


if __name__ == "__main__":
    main()
