"""A throw-away Pulumi project for the real engine, with the sandbox's own language host and kubernetes plugin."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import bin as shims
from sandbox import toolchain


@dataclass(frozen=True)
class Outcome:
    """What the engine said."""

    code: int
    text: str

    def expect(self, ok: bool = True) -> Outcome:
        assert (self.code == 0) is ok, self.text
        return self


class Project:
    """One project with one stack, its state in a directory."""

    def __init__(self, directory: Path, program: str, **env: str) -> None:
        self.directory = directory
        plugins = directory / "bin"
        for part in ("program", "state", "home"):
            (directory / part).mkdir()
        shims.install(plugins)
        about = {
            "name": "trial",
            "runtime": "python",
            "plugins": {
                "languages": [{"name": "python", "path": str(plugins)}],
                "providers": [{"name": "kubernetes", "path": str(plugins)}],
            },
        }
        (directory / "program" / "Pulumi.yaml").write_text(json.dumps(about))
        (directory / "program" / "__main__.py").write_text(program)
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "PULUMI_HOME": str(directory / "home"),
            "PULUMI_BACKEND_URL": f"file://{directory / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "trial",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "NO_COLOR": "1",
            **env,
        }
        self.run("stack", "init", "trial").expect()

    def run(self, *args: str, **env: str) -> Outcome:
        command = [str(toolchain.path("pulumi")), *args, "--non-interactive"]
        where = self.directory / "program"
        done = subprocess.run(
            command, cwd=where, env={**self.env, **env}, capture_output=True, text=True, timeout=120, check=False
        )
        return Outcome(done.returncode, done.stdout + done.stderr)

    def up(self, **env: str) -> Outcome:
        return self.run("up", "--yes", "--skip-preview", **env)

    def preview(self, *args: str, **env: str) -> Outcome:
        return self.run("preview", *args, **env)

    def destroy(self) -> Outcome:
        return self.run("destroy", "--yes", "--skip-preview")

    def outputs(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("stack", "output", "--json").expect().text)
        return found

    def state(self) -> list[dict[str, Any]]:
        exported = json.loads(self.run("stack", "export").expect().text)
        return exported["deployment"].get("resources") or []
