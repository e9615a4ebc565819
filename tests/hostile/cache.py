"""Leaves itself where others run later: the programs in the cache, the checkout's hooks, its own tree, rights of files."""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

about = json.loads(Path("about.json").read_text())
for place in (
    Path(about["home"]) / ".cache" / "accelfleet" / "pulumi",
    Path(about["home"]) / ".cache" / "accelfleet" / "another",
    Path(".git") / "hooks" / "post-checkout",
    Path("infra") / "more.py",
):
    with suppress(OSError):
        place.parent.mkdir(exist_ok=True)
        place.write_text("owned")
    with suppress(OSError):
        os.truncate(place, 1)
    with suppress(OSError):
        place.chmod(0o777)
    with suppress(OSError):
        place.rename(place.with_suffix(".moved"))
sys.stdout.write("[]")
