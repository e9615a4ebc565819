"""Thirteen secrets planted in every channel of a program: none is found in clear, base64 or URL form in what is kept or said.

A chart's values go through a Release, as those of our components do; helm.v4.Chart runs inside the official plugin only.
Looked through: the state, its backups (the engine's and ours), history, settings, logs, what up, preview --diff, refresh
and export print, the engine's events with what policies say, and of these and of the state the report in every shape and the
comment. The clouds themselves hold them: they must.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fleet.cli import app
from fleet.comment.body import GITHUB_LIMIT, Wanted, render
from fleet.engine import Engine
from fleet.redact import forms
from fleet.workspace import POLICIES
from sandbox.control_plane import ControlPlane
from tests.e2e.rig import STACK, Rig, standing

pytestmark = pytest.mark.sandbox
PROGRAM = Path(__file__).parent / "canary_program"
CHANNELS = (
    "data",
    "release",
    "secret",
    "configmap",
    "annotation",
    "weights",
    "env",
    "provider",
    "connection",
    "tag",
    "output",
    "exception",
    "policy",
)


def test_no_canary_is_found_anywhere(tmp_path: Path) -> None:
    planted = {channel: f"canary/{channel}+{secrets.token_hex(8)}" for channel in CHANNELS}
    assert len(planted) == 13
    plane = ControlPlane("canaries", tmp_path / "plane")
    plane.start()
    said: dict[str, str] = {}
    try:
        with standing(tmp_path / "home", latency=0, program=PROGRAM) as rig:
            kubeconfig = plane.kubeconfig()
            _run(rig, planted, kubeconfig, said)
            places = [p for part in ("state", "backups", "logs", "project", "crash-project") for p in _files(rig.home / part)]
            said |= {str(path.relative_to(rig.home)): path.read_text(errors="replace") for path in places}
    finally:
        plane.stop()
    assert any("backups/" in name for name in said)
    assert any("history/" in name for name in said)
    token = json.loads(kubeconfig)["users"][0]["user"]["token"]
    hits = [
        f"{channel} in {where}"
        for channel, canary in {**planted, "kubeconfig": token}.items()
        for where, text in said.items()
        if any(form in text for form in forms(canary)) or canary[::-1] in text
    ]
    assert not hits, "\n".join(hits)


def _run(rig: Rig, planted: dict[str, str], kubeconfig: str, said: dict[str, str]) -> None:
    engine = Engine(rig.workspace, STACK)
    rig.set_generation(1)
    engine.init()
    for key, value in {**planted, "kubeconfig": kubeconfig}.items():
        engine.set_secret(f"crash:{key}", value)
    first = rig.run("up")
    assert first.ok, first.outcome.errors
    said["up"] = first.outcome.output + json.dumps(first.as_json())

    _hold_other_values(engine, planted)
    rig.set_generation(2)
    said["preview --diff"] = engine.plain("preview", "--diff", "--stack", STACK).stdout
    assert "configmap" in said["preview --diff"].lower() or "ConfigMap" in said["preview --diff"]
    second = rig.run("up")
    assert second.ok, second.outcome.errors
    said["up again"] = second.outcome.output + json.dumps(second.as_json())
    said["refresh"] = engine.plain("refresh", "--diff", "--yes", "--skip-preview", "--stack", STACK).stdout
    said["export"] = engine.plain("stack", "export", "--stack", STACK).stdout
    said |= _reports(rig.home / "state.json", said["export"])
    # Everything anew, so that every resource is in the events.
    events: list[str] = []
    rig.set_generation(3)
    assert engine.run("preview", "--policy-pack", str(POLICIES), on_event=lambda event: events.append(json.dumps(event))).ok
    assert any("policyEvent" in event for event in events), "no policy minded anything: they were not asked"
    said["events"] = "\n".join(events)
    said |= _reports(rig.home / "events.json", said["events"])
    said["output"] = engine.plain("stack", "output", "--json", "--stack", STACK).stdout
    said["history"] = engine.plain("stack", "history", "--json", "--stack", STACK).stdout

    broken = Rig(rig.home, replace(rig.workspace, env={**rig.workspace.env, "BOOM": "1"}))
    failed = broken.run("up")
    assert not failed.ok
    assert "invalid literal" in failed.outcome.errors[0], "the exception's text is not what leaks here"
    said["a failed up"] = failed.outcome.output + json.dumps(failed.as_json())
    assert rig.run("destroy").ok


def _reports(file: Path, text: str) -> dict[str, str]:
    """What people see of it: the report in every shape, and the comment."""
    file.write_text(text)
    found = {}
    for shape in ("text", "markdown", "json", "html", "sarif"):
        made = CliRunner().invoke(app, ["report", "--from", str(file), "--format", shape])
        assert made.exit_code == 0, made.output
        found[f"{file.name} as {shape}"] = made.output
    found[f"{file.name} as a comment"] = render(
        Wanted("x", "a" * 40, "x", {"x": found[f"{file.name} as markdown"]}), GITHUB_LIMIT
    )
    return found


def _hold_other_values(engine: Engine, planted: dict[str, str]) -> None:
    """Two of them change, so that a diff has old values to show."""
    for key in ("configmap", "tag"):
        planted[f"{key} before"] = planted[key]
        planted[key] = f"{planted[key]}-changed"
        engine.set_secret(f"crash:{key}", planted[key])


def _files(place: Path) -> list[Path]:
    return [p for p in place.rglob("*") if p.is_file()]
