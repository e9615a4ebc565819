"""Writes beside the tree and reads from there, by every way up."""

import json
import sys
from contextlib import suppress
from pathlib import Path

about = json.loads(Path("about.json").read_text())
outside = Path(about["outside"])
loot = []
for way in (Path("../outside"), Path("infra/../../outside"), outside, Path(f"/proc/self/root{outside}")):
    with suppress(OSError):
        (way / "escaped").write_text("owned")
    with suppress(OSError):
        loot.append((way / "secret").read_text())
sys.stdout.write(json.dumps(loot))
