"""The engine's workspace inside the sandbox: a project of its own beside the repository's, and nothing real in reach.

The shadow project points at the repository's program but keeps its own state, its own copy of each stack's settings
(secrets replaced) and its own plugins, so that any stack, a production one too, runs here without a credential.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

from fleet.leftovers import Found
from fleet.lookup import Wanted
from fleet.spec import StackSpec
from fleet.spec_terraform import reference
from fleet.terraform.references import setting
from fleet.workspace import POLICIES, ROOT, STACKS, Workspace
from sandbox import addons, sites, toolchain
from sandbox import bin as shims
from sandbox.cloud.client import Client, home

# What would lead a program or a plugin to a real account.
_REAL = ("AWS_", "GOOGLE_", "CLOUDSDK_", "ARM_", "AZURE_", "PULUMI_", "KUBECONFIG")
_PLACEHOLDER = "sandbox-placeholder"


def sandbox_workspace(directory: Path | None = None, program: Path = ROOT) -> Workspace:
    """Make (or refresh) the workspace; needs the toolchain, not the daemon.

    Args:
        program: what it runs: this repository, or what it was at another revision.
    """
    directory = directory or home()
    project = directory / "project"
    for part in (project / "config", directory / "state", directory / "pulumi"):
        part.mkdir(parents=True, exist_ok=True)
    shims.install(directory / "bin")
    _write(project / "Pulumi.yaml", yaml.safe_dump(shadow_project(directory / "bin", program)))
    for settings in (program / STACKS.name).glob("Pulumi.*.yaml"):
        _copy_settings(settings, project / "config" / settings.name)
    engine = toolchain.path("pulumi")
    tools = {toolchain.path(name).parent for name in ("pulumi", "kubectl", "helm")}
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_REAL)}
    env = {
        **kept,
        "PATH": os.pathsep.join([str(directory / "bin"), *map(str, sorted(tools)), os.environ.get("PATH", "")]),
        "ACCELFLEET_SANDBOX": str(directory),
        "ACCELFLEET_HELM": str(toolchain.path("helm")),
        "PULUMI_HOME": str(directory / "pulumi"),
        "PULUMI_BACKEND_URL": f"file://{directory / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": "sandbox",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PYTHONWARNINGS": "ignore",
    }
    client = Client(directory)
    view = CloudView(client)
    return Workspace(
        project,
        env,
        view,
        str(engine),
        str(toolchain.path("kubectl")),
        directory,
        view=view,
        prepare=preparer(client),
        policies=POLICIES,
    )


def preparer(client: Client) -> Callable[[str, StackSpec], dict[str, str]]:
    """What a stack needs before its engine runs: the programs of its add-ons, and its existing clusters.

    Raises:
        RuntimeError: by the returned function, where one of them could not be had.
    """

    def prepare(stack: str, spec: StackSpec) -> dict[str, str]:
        toolchain.ensure(addons.needed(spec))
        # What a Terraform state holds is real, as the stack's own secrets are.
        tokens = {
            setting(c.grid_token): _PLACEHOLDER for c in spec.clusters.values() if reference(c.grid_token) and c.grid_token
        }
        return {**tokens, **sites.stand(client, stack, spec)}

    return prepare


class CloudView:
    """What each cloud's describe and tag calls would answer, asked of the daemon."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def find(self, stack: str, wanted: Wanted) -> list[str]:
        cloud = wanted.type.partition(":")[0]
        found = self._client.call("find", cloud=cloud, type=wanted.type, inputs=wanted.inputs, stack=stack)
        return [r["id"] for r in found]

    def listed(self) -> list[Found]:
        return [
            Found(**{k: r[k] for k in ("cloud", "type", "id", "name", "tags", "inputs")}) for r in self._client.call("list")
        ]

    def delete(self, found: Found) -> None:
        self._client.call("delete", cloud=found.cloud, type=found.type, id=found.id)


def shadow_project(plugins: Path, program: Path = ROOT, name: str | None = None) -> dict[str, object]:
    """A Pulumi.yaml that runs `program` with the sandbox's plugins; `name` defaults to the repository's project."""
    named = name or yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["name"]
    providers = [{"name": package, "path": str(plugins)} for package in ("aws", "gcp", "azure-native", "kubernetes")]
    return {
        "name": named,
        "runtime": {"name": "python", "options": {"virtualenv": str(Path(sys.prefix))}},
        "main": str(program),
        "stackConfigDir": "config",
        # Named here, the engine takes them as they are; found on PATH it would warn of each, in every run.
        "plugins": {"providers": providers, "languages": [{"name": "python", "path": str(plugins)}]},
    }


def _copy_settings(source: Path, target: Path) -> None:
    """Copy a stack's settings, each `secure:` value replaced; the salt that the sandbox's own passphrase made is kept."""
    settings = yaml.safe_load(source.read_text()) or {}
    config = {
        k: _PLACEHOLDER if isinstance(v, dict) and "secure" in v else v for k, v in (settings.get("config") or {}).items()
    }
    kept = (yaml.safe_load(target.read_text()) or {}) if target.exists() else {}
    made: dict[str, object] = {"config": config}
    if "encryptionsalt" in kept:
        made["encryptionsalt"] = kept["encryptionsalt"]
    _write(target, yaml.safe_dump(made))


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        path.chmod(path.stat().st_mode & ~(stat.S_IRWXG | stat.S_IRWXO))
