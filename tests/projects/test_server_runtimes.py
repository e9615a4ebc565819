"""The model server's runtimes that its own environment lacks, run with the JAX and the TVM of this one."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig

from projects.fastapi_k8s.fastapi_k8s import ROOT, SERVER

TESTS = ROOT / "tests" / "serving"


def test_the_server_answers_by_xla_and_by_tvm() -> None:
    """In `make serving-test` these two are skipped, as neither package is there."""
    command = (str(SERVER), "-m", "pytest", "-p", "no:cacheprovider", f"--confcutdir={TESTS}")
    asked = (str(TESTS / "test_serving_runtimes.py"), "-k", "test_xla or test_tvm")
    env = {**os.environ, "PYTHONPATH": sysconfig.get_path("purelib")}
    done = subprocess.run([*command, *asked], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^2 passed", done.stdout, re.MULTILINE), done.stdout
