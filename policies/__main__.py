"""What the engine starts: the rules behind its analyzer protocol."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from policies.accel_policies.pack import main

main()
