"""`fleet latency`: connects to listeners on loopback, what cannot be reached, and prices beside it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest
from click.testing import Result as Ended
from typer.testing import CliRunner

from fleet import latency
from fleet.catalog.clouds import PUBLIC, Cloud, regions
from fleet.catalog.machines import offers
from fleet.cli import app


def run(*words: str) -> Ended:
    return CliRunner().invoke(app, ["latency", *words], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})


@contextmanager
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as one:
        yield one.getsockname()[1]


@pytest.mark.enable_socket
def test_a_connect_is_timed_and_a_closed_port_is_an_error() -> None:
    with listener() as port:
        assert 0 < latency.connect_ms("127.0.0.1", port, 3, 5) < 5000
    with pytest.raises(OSError, match="refused"):
        latency.connect_ms("127.0.0.1", port, 3, 5)


@pytest.mark.enable_socket
def test_the_command_measures_what_listens_and_says_what_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "host", lambda cloud, _: "127.0.0.1" if cloud is Cloud.AWS else "nowhere.invalid")
    with listener() as port:
        monkeypatch.setattr(latency, "PORT", port)
        ended = run("--region", "us-e*1", "--region", "eastus", "--tries", "2", "--format", "json")
    assert ended.exit_code == 0
    found = json.loads(ended.stdout)["regions"]
    assert [(one["cloud"], one["milliseconds"] is None) for one in found] == [("aws", False), ("azure", True)]
    assert found[1]["why"] == "unreachable: the name is not known here"


def test_the_nearest_is_first_and_the_unreachable_last() -> None:
    times = {"ec2.eu-west-1.amazonaws.com": 80.0, "ec2.us-east-1.amazonaws.com": 9.0}

    def connect(name: str, _port: int, _tries: int, _timeout: float) -> float:
        if name not in times:
            raise TimeoutError
        return times[name]

    found = latency.measured(latency.places(), connect=connect)
    assert [one.region for one in found[:2]] == ["us-east-1", "eu-west-1"]
    assert {one.why for one in found[2:]} == {"unreachable: no answer in time", "no public endpoint known"}
    assert len(found) == sum(len(regions(cloud)) for cloud in PUBLIC)


def test_nothing_reached_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object) -> float:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(latency.measured, "__defaults__", (5, 3.0, connect))
    ended = run("--cloud", "gcp")
    assert ended.exit_code == 1
    assert "unreachable: Connection refused" in ended.stdout


def test_offline_shows_prices_and_opens_no_socket() -> None:
    # Sockets are off in this suite: a connect would raise.
    ended = run("--offline", "--accelerator", "nvidia-l4", "--format", "json")
    assert ended.exit_code == 0
    document = json.loads(ended.stdout)
    assert document["measured"] is False
    for one in document["regions"]:
        each = [
            row.on_demand / row.machine.accelerators
            for row in offers()
            if row.machine.cloud == one["cloud"] and row.region == one["region"] and row.on_demand is not None
            if row.machine.accelerator is not None and row.machine.accelerator.name == "nvidia-l4" and row.machine.part == 1
            if "on-demand" in row.machine.purchases
        ]
        assert Decimal(one["usd_hour"]) == min(each)
        assert one["price_as_of"]
    assert {one["cloud"] for one in document["regions"]} == {"aws", "gcp"}, "Azure has no L4 in the catalogue"
    assert "not measured" in run("--offline").stdout


def test_endpoints_are_those_that_the_vendors_list() -> None:
    from importlib import resources

    from botocore.session import Session

    documents = resources.files("googleapiclient") / "discovery_cache" / "documents" / "aiplatform.v1.json"
    google = {one["endpointUrl"].strip("/") for one in json.loads(documents.read_text())["endpoints"]}
    for region in regions(Cloud.GCP):
        # Cloud TPU has a region of its own, which Vertex AI is not in.
        assert (f"https://{latency.host(Cloud.GCP, region)}" in google) is (region != "us-central2")
    amazon = Session().get_available_regions("ec2")
    assert set(regions(Cloud.AWS)) <= set(amazon)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--accelerator", "nvidia-l5"), "did you mean nvidia-l4?"),
        (("--region", "mars*"), "no region of the catalogue is left"),
    ],
)
def test_wrong_words_are_wrong_usage(words: tuple[str, ...], said: str) -> None:
    ended = run(*words, "--offline")
    assert ended.exit_code == 2
    assert said in ended.output
