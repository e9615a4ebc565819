"""What the engine starts: the rules behind its analyzer protocol."""

import gc
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from fleet.collector import rests

with rests():
    from policies.accel_policies.pack import main
# What was loaded lives to the end: nothing in it for the collector to look through.
gc.freeze()
main()
