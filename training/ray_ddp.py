"""PyTorch DDP, started by Ray Train on a cluster's workers; WORKERS and PROCESSES are the chart's.

Example: `WORKERS=2 python -m training.ray_ddp --steps 100`
"""

from __future__ import annotations

import os

from training import task

# Tries of the whole group after a worker or its node is lost; each goes on from the newest checkpoint.
TRIES = 3


def main() -> None:
    of = task.settings()
    import ray  # noqa: PLC0415 - `--help` and a wrong flag need no framework
    from ray.train import FailureConfig, RunConfig, ScalingConfig  # noqa: PLC0415
    from ray.train.torch import TorchTrainer  # noqa: PLC0415

    from training import ddp  # noqa: PLC0415

    processes = int(os.environ.get("WORKERS", "1")) * int(os.environ.get("PROCESSES", "1"))
    # The driver is on the head, which has no accelerator: Ray knows what its workers have.
    ray.init()
    scaling = ScalingConfig(num_workers=processes, use_gpu=ray.cluster_resources().get("GPU", 0) > 0)
    kept = str(of.checkpoints.absolute() / "ray") if of.checkpoints else None
    running = RunConfig(storage_path=kept, failure_config=FailureConfig(max_failures=TRIES))
    TorchTrainer(lambda: ddp.fit(of), scaling_config=scaling, run_config=running).fit()


if __name__ == "__main__":
    main()
