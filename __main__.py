"""The Pulumi program: one stack file in, one platform out."""

# ruff: noqa: E402 - imports go on while the collector rests
import gc

# What is loaded and registered here lives to the program's end; looking through it is a sixth of a preview.
gc.disable()
import pulumi

from infra.platform import deploy
from infra.stack import this_stack

for key, value in deploy(this_stack()).items():
    pulumi.export(key, value)
gc.freeze()
gc.enable()
