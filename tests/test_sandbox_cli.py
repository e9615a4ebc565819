"""`fleet sandbox …` says what the clouds refuse, and refuses what no cloud has."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from sandbox import cli

WORDS = 'forbidden: Insufficient regional quota to satisfy request: resource "NVIDIA_L4_GPUS" [1/2]'


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What the command asked the daemon, which has one cluster with a pool that may not grow."""
    pool = {"name": "l4", "machine": "g2-standard-4", "size": 1, "spot": False}
    pools = [{**pool, "refused": WORDS}, {**pool, "name": "calm", "refused": ""}]
    http = {"namespace": "models", "service": "digits", "port": "http", "address": "127.0.0.1:20001", "ready": 2}
    cluster = {"cluster": "gcp/c", "endpoint": "e", "pools": pools, "services": [http]}
    status = {"clusters": [cluster], "stores": {}, "resources": 3}
    calls: list[tuple[str, dict[str, Any]]] = []

    def call(route: str, **query: Any) -> Any:
        calls.append((route, query))
        return status if route == "status" else None

    monkeypatch.setattr(cli, "_call", call)
    return calls


def run(*words: str) -> tuple[int, str]:
    ended = CliRunner().invoke(cli.app, list(words), env={"COLUMNS": "300", "NO_COLOR": "1", "TERM": "dumb"})
    return ended.exit_code, ended.output


def test_status_says_why_a_pool_does_not_grow(asked: list[tuple[str, dict[str, Any]]]) -> None:
    code, said = run("status")
    assert code == 0
    assert f"gcp/c l4 grows no more: {WORDS}" in said
    assert "calm grows no more" not in said
    assert "gcp/c models/digits http: 127.0.0.1:20001, 2 ready" in said


def test_a_quota_is_set_by_its_clouds_name(asked: list[tuple[str, dict[str, Any]]]) -> None:
    code, _ = run("quota", "aws", "us-east-1", "L-DB2E81BA", "4")
    assert code == 0
    assert asked == [("quota", {"cloud": "aws", "region": "us-east-1", "quota": "L-DB2E81BA", "limit": 4})]


def test_a_quota_that_nothing_counts_against_is_refused(asked: list[tuple[str, dict[str, Any]]]) -> None:
    code, said = run("quota", "gcp", "us-central1", "L-DB2E81BA", "4")
    assert code == 2
    assert "no machine counts against L-DB2E81BA" in said
    assert "NVIDIA_L4_GPUS" in said
    assert asked == []


def test_a_grid_has_hours_ahead(asked: list[tuple[str, dict[str, Any]]]) -> None:
    assert run("grid", "DE", "500", "--forecast", "400,100.5")[0] == 0
    assert run("grid", "DE", "90") == (0, "DE: 90 gCO2e a kWh\n")
    assert asked == [
        ("grid", {"zone": "DE", "gco2_kwh": 500.0, "forecast": [400.0, 100.5]}),
        ("grid", {"zone": "DE", "gco2_kwh": 90.0, "forecast": []}),
    ]
    for wrong in ("400,,100", "clean", "400,-1", "400,nan", "2001"):
        code, said = run("grid", "DE", "500", "--forecast", wrong)
        assert (code, "--forecast" in said) == (2, True), wrong
