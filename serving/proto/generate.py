"""Makes `open_inference_pb2.py` and its types from the .proto: `python -m serving.proto.generate`, with `--check` for CI.

Needs grpcio-tools, which the server does not.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
NAMES = ("open_inference_pb2.py", "open_inference_pb2.pyi")


def made() -> dict[str, str]:
    """What the files should hold.

    Raises:
        RuntimeError: protoc refused.
    """
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{HERE}", f"--python_out={scratch}", f"--pyi_out={scratch}"]
        done = subprocess.run([*command, str(HERE / "open_inference.proto")], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"protoc refused open_inference.proto: {done.stderr}")
        texts = {name: (Path(scratch) / name).read_text() for name in NAMES}
    # A pool of its own: every Triton client and server has messages of these names, and one pool takes each name once.
    own = texts[NAMES[0]].replace("_descriptor_pool.Default()", "_descriptor_pool.DescriptorPool()")
    return {**texts, NAMES[0]: own}


def main(arguments: list[str]) -> int:
    stale = [name for name, text in made().items() if not (HERE / name).exists() or (HERE / name).read_text() != text]
    if "--check" in arguments:
        if stale:
            sys.stderr.write(f"{', '.join(stale)}: not what open_inference.proto says; python -m serving.proto.generate\n")
        return 1 if stale else 0
    for name, text in made().items():
        (HERE / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
