"""`fleet report --live-quotas`: what the clouds' command lines print, as their references have it, or why they do not."""

from __future__ import annotations

import json
import stat
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

import fleet.report.cli
from fleet import quota_live
from fleet.cli import app
from fleet.quota_live import AskError, LiveLimits, ask
from fleet.report.limits import Limit

TODAY = datetime.now(UTC).date()
METRIC = {
    "MetricNamespace": "AWS/Usage",
    "MetricName": "ResourceCount",
    "MetricDimensions": {"Class": "G/OnDemand", "Resource": "vCPU", "Service": "EC2", "Type": "Resource"},
    "MetricStatisticRecommendation": "Maximum",
}
# docs.aws.amazon.com/cli/latest/reference/service-quotas/list-service-quotas.html
EC2 = [
    {"ServiceCode": "ec2", "QuotaCode": "L-DB2E81BA", "QuotaName": "Running G", "Value": 20.0, "UsageMetric": METRIC},
    {"ServiceCode": "ec2", "QuotaCode": "L-3819A6DF", "QuotaName": "G spot", "Value": 64.0},
]
SAGEMAKER = [{"QuotaCode": "L-1", "QuotaName": "ml.g5.xlarge for training job usage", "Value": 2.0}]
POINTS = [
    {"Timestamp": "2026-11-30T09:05:00+00:00", "Maximum": 16.0, "Unit": "None"},
    {"Timestamp": "2026-11-30T09:00:00+00:00", "Maximum": 4.0, "Unit": "None"},
]
# cloud.google.com/compute/docs/reference/rest/v1/regions: quotas
REGION = [{"limit": 8.0, "metric": "NVIDIA_L4_GPUS", "usage": 3.0}]
PROJECT = [{"limit": 16.0, "metric": "GPUS_ALL_REGIONS", "usage": 3.0}]
# learn.microsoft.com/cli/azure/vm: az vm list-usage
AZURE = [{"currentValue": "4", "limit": "24", "name": {"localizedValue": "T4", "value": "standard NCASv3_T4 family"}}]


class Clouds:
    """Answers as the command lines do, and keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, command: list[str]) -> Any:
        words = " ".join(command)
        self.asked.append(words)
        for said, answer in {
            "--service-code ec2": {"Quotas": EC2},
            "--service-code sagemaker": {"Quotas": SAGEMAKER},
            "get-metric-statistics": {"Datapoints": POINTS},
            "regions describe": {"quotas": REGION},
            "project-info describe": {"quotas": PROJECT},
            "vm list-usage": AZURE,
        }.items():
            if said in words:
                return answer
        raise AssertionError(words)


@pytest.mark.parametrize(
    ("key", "limit", "used"),
    [
        (("aws", "us-east-1", "L-DB2E81BA"), 20, 16),
        (("aws", "us-east-1", "L-3819A6DF"), 64, None),
        (("aws", "us-east-1", "ml.g5.xlarge for training job usage"), 2, None),
        (("gcp", "us-central1", "NVIDIA_L4_GPUS"), 8, 3),
        (("gcp", "all regions", "GPUS_ALL_REGIONS"), 16, 3),
        (("azure", "eastus", "Standard NCASv3_T4 Family"), 24, 4),
    ],
)
def test_each_cloud_is_read_as_it_answers(key: tuple[str, str, str], limit: int, used: int | None) -> None:
    found = LiveLimits({}, pytest.fail, Clouds())[key]
    assert (found.limit, found.used, found.as_of) == (limit, used, TODAY)


def test_a_place_is_asked_once_and_a_metric_for_what_is_needed_alone() -> None:
    clouds = Clouds()
    live = LiveLimits({}, pytest.fail, clouds)
    assert live.get(("aws", "us-east-1", "L-3819A6DF"))
    assert live.get(("aws", "us-east-1", "L-nobody")) is None
    assert len(clouds.asked) == 1
    assert live.get(("aws", "us-east-1", "L-DB2E81BA"))
    assert "--region us-east-1" in clouds.asked[-1]
    assert "Name=Class,Value=G/OnDemand" in clouds.asked[-1]
    # Cores of TPU VMs are of a zone, which no region's quotas have.
    assert live.get(("gcp", "us-central1-a", "TPUV3")) is None
    assert len(clouds.asked) == 2


def test_a_cloud_that_cannot_be_asked_is_told_once_and_stands_as_it_was_written_down() -> None:
    def refuse(command: list[str]) -> Any:
        raise AskError(f"`{command[0]}`: expired; mend: `aws sso login`")

    row = Limit.model_validate(
        {"cloud": "aws", "region": "us-east-1", "quota": "L-DB2E81BA", "limit": 5, "as_of": "2026-01-02"}
    )
    said: list[str] = []
    key = ("aws", "us-east-1", "L-DB2E81BA")
    live = LiveLimits({key: row}, said.append, refuse)
    assert (live[key].limit, live[key].as_of) == (5, date(2026, 1, 2))
    (told,) = said
    assert "aws us-east-1: quotas are not live" in told
    assert "`aws sso login`" in told


def test_a_metric_that_may_not_be_read_leaves_the_limit() -> None:
    clouds = Clouds()

    def guarded(command: list[str]) -> Any:
        if "cloudwatch" in command:
            raise AskError("denied")
        return clouds(command)

    found = LiveLimits({}, pytest.fail, guarded)["aws", "us-east-1", "L-DB2E81BA"]
    assert (found.limit, found.used) == (20, None)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of our own."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return tmp_path / "bin"


def tool(tools: Path, name: str, script: str) -> None:
    file = tools / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize(
    ("name", "script", "said"),
    [
        ("aws", "echo 'Token has expired' >&2; exit 255", "Token has expired; mend: `aws sso login`"),
        ("gcloud", "echo 'no account' >&2; exit 1", "no account; mend: `gcloud auth login`"),
        ("az", "exit 1", "it said nothing; mend: `az login`"),
        ("az", "echo soon", "printed no JSON"),
        ("aws", "", "printed no JSON"),
    ],
)
def test_a_command_line_that_fails_names_the_one_that_logs_in(name: str, script: str, said: str, tools: Path) -> None:
    tool(tools, name, script)
    with pytest.raises(AskError, match=said):
        ask([name, "a", "b"])


def test_one_that_is_missing_or_hangs_is_told(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(AskError, match="`gcloud` is not installed; mend: install it, then `gcloud auth login`"):
        ask(["gcloud", "compute", "regions"])
    tool(tools, "az", "exec /bin/sleep 30")
    monkeypatch.setattr(quota_live, "_TIMEOUT_S", 0.2)
    with pytest.raises(AskError, match=r"`az vm list-usage` did not answer in 0\.2 s"):
        ask(["az", "vm", "list-usage"])


def test_the_report_holds_the_need_against_what_the_cloud_says(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet.report.cli, "ROOT", tmp_path)
    answer = tmp_path / "ec2.json"
    answer.write_text(json.dumps({"Quotas": EC2}))
    points = tmp_path / "points.json"
    points.write_text(json.dumps({"Datapoints": POINTS}))
    tool(tools, "aws", f'case "$*" in *list-service-quotas*) cat {answer};; *) cat {points};; esac')

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, ["report", "--stack", "aws-dev", "--live-quotas", *words], env={"COLUMNS": "200"})

    done = run("--fail-on", "quota")
    assert done.exit_code == 1, done.output
    assert f"short by 8: 20 on {TODAY}, 16 in use" in done.stdout
    quotas = json.loads(run("--format", "json").stdout)["stacks"][0]["quotas"]
    assert [(one["limit"], one["used"]) for one in quotas if one["quota"] == "L-DB2E81BA"] == [(20, 16)]

    row = {"cloud": "aws", "region": "us-east-1", "quota": "L-DB2E81BA", "limit": 100, "as_of": "2026-01-02"}
    (tmp_path / "quotas.yaml").write_text(yaml.safe_dump([row]))
    tool(tools, "aws", "echo 'Unable to locate credentials' >&2; exit 253")
    done = run("--fail-on", "quota")
    assert done.exit_code == 0, done.output
    assert "Unable to locate credentials; mend: `aws sso login`" in done.stderr
    assert "enough: 100 on 2026-01-02" in done.stdout
