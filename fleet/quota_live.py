"""What accounts have of each quota, and use of it, asked of the clouds by their own command lines. Changes nothing there.

The command lines and not SDKs: they find credentials as their user set them up, page, and are there where clusters are
reached. A place that cannot be asked, and a quota that its answer lacks, are as `quotas.yaml` has them, and that is said.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from fleet.catalog.clouds import Cloud
from fleet.quota_wanted import EVERYWHERE
from fleet.report.limits import Limit

Key = tuple[str, str, str]
Run = Callable[[list[str]], Any]
_TIMEOUT_S = 60
_LOGIN = {Cloud.AWS: "aws sso login", Cloud.GCP: "gcloud auth login", Cloud.AZURE: "az login"}
# CloudWatch has a point of usage every five minutes, and some minutes late.
_USAGE_PERIOD_S, _USAGE_SINCE = 300, timedelta(hours=1)


class AskError(Exception):
    """A cloud cannot be asked; the message says why and how to mend it."""


class LiveLimits(Mapping[Key, Limit]):
    """By cloud, region and quota; each place is asked once, when the first of its quotas is looked up."""

    def __init__(self, written: Mapping[Key, Limit], say: Callable[[str], None], run: Run | None = None) -> None:
        """
        Args:
            written: what stands in the limits file. say: takes what a reader must know. run: runs a command line.
        """
        self._written, self._say, self._run = written, say, run or ask
        self._found: dict[tuple[str, str, str], dict[str, Callable[[], Limit]]] = {}

    def __getitem__(self, key: Key) -> Limit:
        cloud, region, quota = key
        place = (cloud, region, _service(quota))
        if place not in self._found:
            self._found[place] = self._asked(Cloud(cloud), region, _service(quota))
        # Azure writes some names in other letters than its price lists and SDKs.
        made = self._found[place].get(quota.casefold())
        return made() if made else self._written[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._written)

    def __len__(self) -> int:
        return len(self._written)

    def _asked(self, cloud: Cloud, region: str, service: str) -> dict[str, Callable[[], Limit]]:
        try:
            return {name.casefold(): made for name, made in _READERS[cloud](region, service, self._run)}
        except AskError as wrong:
            self._say(f"{cloud} {region}: quotas are not live, as of the limits file's dates where it has them: {wrong}")
            return {}


def ask(command: list[str]) -> Any:
    """What a command line prints as JSON.

    Raises:
        AskError: it is not installed, was refused, or does not end.
    """
    cloud = {"aws": Cloud.AWS, "gcloud": Cloud.GCP, "az": Cloud.AZURE}[command[0]]
    mend = f"mend: `{_LOGIN[cloud]}`"
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
    except FileNotFoundError:
        raise AskError(f"`{command[0]}` is not installed; mend: install it, then `{_LOGIN[cloud]}`") from None
    except subprocess.TimeoutExpired:
        raise AskError(f"`{' '.join(command[:3])}` did not answer in {_TIMEOUT_S} s") from None
    if done.returncode:
        said = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise AskError(f"`{' '.join(command[:3])}`: {said}; {mend}")
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise AskError(f"`{' '.join(command[:3])}` printed no JSON") from None


Made = Iterator[tuple[str, Callable[[], Limit]]]


def _limit(cloud: Cloud, region: str, quota: str, limit: Any, used: Any) -> Limit:
    # Clouds write whole numbers as 8.0 and as "8".
    held = None if used is None else int(float(used))
    today = datetime.now(UTC).date()
    return Limit(cloud=cloud, region=region, quota=quota, limit=int(float(limit)), used=held, as_of=today)


def _service(quota: str) -> str:
    """AWS's: EC2's quotas are known by code, SageMaker's by name, as nobody publishes their codes."""
    return "ec2" if quota.startswith("L-") else "sagemaker"


def _aws(region: str, service: str, run: Run) -> Made:
    key = "QuotaCode" if service == "ec2" else "QuotaName"
    for row in run(["aws", "service-quotas", "list-service-quotas", "--service-code", service, *_in(region)])["Quotas"]:
        yield row[key], lambda row=row: _limit(Cloud.AWS, region, row[key], row["Value"], _used(row, region, run))  # type: ignore[misc]


def _used(row: Mapping[str, Any], region: str, run: Run) -> float | None:
    """By CloudWatch, of the quotas that say by which metric; None also where nobody uses any, which has no points."""
    metric = row.get("UsageMetric") or {}
    if not metric.get("MetricName"):
        return None
    now = datetime.now(UTC)
    statistic = metric.get("MetricStatisticRecommendation") or "Maximum"
    dimensions = [f"Name={name},Value={value}" for name, value in (metric.get("MetricDimensions") or {}).items()]
    command = ["aws", "cloudwatch", "get-metric-statistics", "--namespace", metric["MetricNamespace"]]
    command += ["--metric-name", metric["MetricName"], "--dimensions", *dimensions, "--statistics", statistic]
    command += ["--start-time", (now - _USAGE_SINCE).isoformat(), "--end-time", now.isoformat()]
    try:
        told = run([*command, "--period", str(_USAGE_PERIOD_S), *_in(region)])
    except AskError:
        # Who may read limits may not read metrics: the limit is worth telling.
        return None
    points = sorted(told.get("Datapoints", ()), key=lambda point: str(point["Timestamp"]))
    return float(points[-1][statistic]) if points else None


def _in(region: str) -> list[str]:
    return ["--region", region, "--output", "json", "--no-cli-pager"]


def _gcp(region: str, _: str, run: Run) -> Made:
    where = ["project-info", "describe"] if region == EVERYWHERE else ["regions", "describe", region]
    # Cores of TPU VMs are counted by zone, and by another API.
    for row in (
        () if _ZONE.search(region) else run(["gcloud", "compute", *where, "--format", "json(quotas)", "--quiet"])["quotas"]
    ):
        yield row["metric"], lambda row=row: _limit(Cloud.GCP, region, row["metric"], row["limit"], row.get("usage"))  # type: ignore[misc]


def _azure(region: str, _: str, run: Run) -> Made:
    for row in run(["az", "vm", "list-usage", "--location", region, "--output", "json"]):
        name = row["name"]["value"]
        yield name, lambda row=row, name=name: _limit(Cloud.AZURE, region, name, row["limit"], row["currentValue"])  # type: ignore[misc]


_ZONE = re.compile(r"\d-[a-z]$")
_READERS: dict[Cloud, Callable[[str, str, Run], Made]] = {Cloud.AWS: _aws, Cloud.GCP: _gcp, Cloud.AZURE: _azure}
