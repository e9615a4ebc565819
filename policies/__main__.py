"""What the engine starts: the rules behind its analyzer protocol."""

# ruff: noqa: E402 - imports go on while the collector rests
import gc
import sys
from pathlib import Path

# The engine waits for this start; what imports make lives to the end, and need not be looked through.
gc.disable()
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from policies.accel_policies.pack import main

gc.freeze()
gc.enable()
main()
