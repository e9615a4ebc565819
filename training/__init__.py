"""Training scripts for the chart `training`: one small task, started by torchrun, Accelerate, DeepSpeed or Lightning."""
