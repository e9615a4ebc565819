"""Trains the digits' network and writes what the model server takes: digits.onnx, and a model.yaml beside it."""

from __future__ import annotations

import sys
from pathlib import Path

from projects import digits

DESCRIPTION = "name: digits\nfiles: {fp32: {path: digits.onnx}}\nthreads: 1\nbatching: {max_batch: 32}\n"


def main(folder: Path, epochs: int = 20) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    digits.write_onnx(digits.train(digits.init((256, 256)), epochs), folder / "digits.onnx")
    (folder / "model.yaml").write_text(DESCRIPTION)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
