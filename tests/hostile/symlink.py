"""Reads through links that its tree brings: to a file and to a directory elsewhere, and one that it makes itself."""

import json
import sys
from contextlib import suppress
from pathlib import Path

about = json.loads(Path("about.json").read_text())
with suppress(OSError):
    Path("infra/made").symlink_to(about["home"])
loot = []
for place in (Path("infra/link"), Path("data/.aws/credentials"), Path("infra/made/.aws/credentials")):
    with suppress(OSError):
        loot.append(place.read_text())
sys.stdout.write(json.dumps(loot))
