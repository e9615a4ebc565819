"""The sandbox's own executables: launchers that the engine and kubeconfigs find on PATH, and how ours start a module.

Where a sandbox stands, its warm process starts them, see `warm_server.py`.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from sandbox import warm_server

_ROOT = Path(__file__).resolve().parents[1]
_START = Path(__file__).with_name("warm_start.py")
_MODULES = {
    "pulumi-language-python": "sandbox.language_host",
    "pulumi-resource-aws": "sandbox.providers.aws",
    "pulumi-resource-gcp": "sandbox.providers.gcp",
    "pulumi-resource-azure-native": "sandbox.providers.azure_native",
    "pulumi-resource-kubernetes": "sandbox.providers.kubernetes",
    "aws": "sandbox.credentials aws",
    "gke-gcloud-auth-plugin": "sandbox.credentials gke-gcloud-auth-plugin",
    "kubelogin": "sandbox.credentials kubelogin",
}


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module, by the warm process where there is one."""
    sandbox = os.environ.get("ACCELFLEET_SANDBOX")
    if sandbox and (Path(sandbox) / warm_server.NAME).exists():
        return [sys.executable, "-I", "-S", str(_START), sandbox, module, *arguments]
    return [sys.executable, "-m", module, *arguments]


def install(directory: Path) -> None:
    """Write the launchers into a directory of the sandbox's own, which belongs first on PATH."""
    for name, module in _MODULES.items():
        launcher(directory / name, module)


def launcher(path: Path, module: str) -> None:
    """Write one launcher: a program that runs a module of the repository with this interpreter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    python, start = shlex.quote(sys.executable), shlex.quote(str(_START))
    text = (
        "#!/bin/sh\n"
        f'export PYTHONPATH={shlex.quote(str(_ROOT))}"${{PYTHONPATH:+:$PYTHONPATH}}"\n'
        f'[ -S "$ACCELFLEET_SANDBOX/{warm_server.NAME}" ] && '
        f'exec {python} -I -S {start} "$ACCELFLEET_SANDBOX" {module} "$@"\n'
        f'exec {python} -m {module} "$@"\n'
    )
    # Written only when it differs: an engine may be starting one of them right now.
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        path.chmod(0o755)
