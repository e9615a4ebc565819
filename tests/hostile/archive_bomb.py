"""Packs the artifact that the commenting workflow unpacks: 60 MB of nothing in as many KB, beside a request like any other."""

import json
import sys
import zipfile
from pathlib import Path

about = json.loads(Path("about.json").read_text())
with zipfile.ZipFile(about["artifact"], "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
    packed.writestr("request.json", json.dumps({"number": 5, "commit": "a" * 40}))
    with packed.open("sections/a.md", "w") as file:
        for _ in range(60):
            file.write(bytes(1_000_000))
sys.stdout.write("[]")
