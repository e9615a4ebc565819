"""The sandbox's own executables: launchers that the engine and kubeconfigs find on PATH, and nothing else."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
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


def install(directory: Path) -> None:
    """Write the launchers into a directory of the sandbox's own, which belongs first on PATH."""
    for name, module in _MODULES.items():
        launcher(directory / name, module)


def launcher(path: Path, module: str) -> None:
    """Write one launcher: a program that runs a module of the repository with this interpreter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = (
        "#!/bin/sh\n"
        f'export PYTHONPATH={shlex.quote(str(_ROOT))}"${{PYTHONPATH:+:$PYTHONPATH}}"\n'
        f'exec {shlex.quote(sys.executable)} -m {module} "$@"\n'
    )
    # Written only when it differs: an engine may be starting one of them right now.
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        path.chmod(0o755)
