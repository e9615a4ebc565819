"""Lets PyPI's PyTorch for Linux, which is CUDA's, be imported on a CPU without two gigabytes of CUDA's libraries.

What it was linked against and what is not installed is stood in for by one library whose functions end the process. A run on a
CPU calls none of them: CUDA's runtime, which is asked how many devices there are, must be the real one. For tests; an image
installs PyTorch with all it needs. Needs `cc` and `ldd`.

Example: `.venv-training/bin/python training/cpu_torch.py`
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

_MISSING = re.compile(r"^\s*(\S+) => not found", re.MULTILINE)
_UNDEFINED = re.compile(r"^undefined symbol: ([A-Za-z]\w*)", re.MULTILINE)
_STAND_IN = "libnot-on-a-cpu.so"


def stand_in(libraries: Path) -> list[str]:
    """Stands in for what the libraries of PyTorch in this folder lack; returns the names of the libraries that were missing."""
    missing: set[str] = set()
    undefined: set[str] = set()
    for library in sorted(libraries.glob("libtorch*.so")):
        asked = subprocess.run(["ldd", "-r", library], capture_output=True, text=True, check=False)
        missing.update(_MISSING.findall(asked.stdout))
        undefined.update(_UNDEFINED.findall(asked.stdout + asked.stderr))
    if not missing:
        return []
    # Python's own are the interpreter's; what is left, CUDA's libraries would have.
    names = sorted(name for name in undefined if not name.startswith(("Py", "_Py")))
    source = "void abort(void);\n" + "".join(f"int {name}(void) {{ abort(); return 1; }}\n" for name in names)
    made = libraries / _STAND_IN
    command = ["cc", "-shared", "-fPIC", "-fno-builtin", "-O0", "-x", "c", "-", "-o", str(made)]
    subprocess.run(command, input=source, text=True, check=True)
    for name in missing:
        (libraries / name).symlink_to(_STAND_IN)
    return sorted(missing)


def main() -> None:
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        raise SystemExit(f"{sys.executable} has no PyTorch: install training/requirements.txt first")
    for name in stand_in(Path(found.origin).parent / "lib"):
        sys.stdout.write(f"{name} is stood in for\n")


if __name__ == "__main__":
    main()
