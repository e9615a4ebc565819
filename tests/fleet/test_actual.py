"""`fleet actual` against a server that answers Prometheus' query API: what is measured, what is estimated, what is unknown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner

from fleet import arguments
from fleet.actual import prometheus as prometheus_module
from fleet.cli import app
from fleet.monitoring import rules

pytestmark = pytest.mark.enable_socket
STACK = """
owner: ml-platform
environment: dev
clusters:
  main:
    cloud: aws
    region: us-east-1
    api: {allowed_cidrs: [203.0.113.0/24]}
    pools:
      l4: {accelerator: nvidia-l4, nodes: {min: 0, max: 4}}
      inf2: {accelerator: inferentia2, nodes: {min: 0, max: 2}}
    models:
      chat: {pool: l4, autoscaler: keda, replicas: {min: 1, max: 2}}
      rank: {pool: inf2, image: "registry.example/rank:1"}
"""
# A part of the query -> (label with the model's name, value of chat).
MEASURED = {
    "e2e_request_latency": ("model_name", "2000"),
    "generation_tokens": ("model_name", "400000"),
    "kube_deployment": ("deployment", "36"),
    "DCGM": ("model_name", "1440"),
}


class Answers:
    """What the server says, and what it was asked."""

    def __init__(self) -> None:
        self.series = dict(MEASURED)
        self.raw: tuple[int, str] | None = None
        self.queries: list[str] = []
        self.tokens: list[str | None] = []

    def reply(self, query: str) -> tuple[int, str]:
        if self.raw is not None:
            return self.raw
        (part,) = [p for p in MEASURED if p in query and (p != "e2e_request_latency" or "increase" in query)]
        rows = []
        if part in self.series:
            label, value = self.series[part]
            rows.append({"metric": {"namespace": "models", label: "chat"}, "value": [1, value]})
        return 200, json.dumps({"status": "success", "data": {"resultType": "vector", "result": rows}})


@pytest.fixture
def served() -> Iterator[tuple[str, Answers]]:
    answers = Answers()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            assert url.path == "/api/v1/query"
            (query,) = parse_qs(url.query)["query"]
            answers.queries.append(query)
            answers.tokens.append(self.headers["Authorization"])
            status, body = answers.reply(query)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", answers
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    (tmp_path / "demo.yaml").write_text(STACK)
    monkeypatch.setattr(arguments, "STACKS", tmp_path)
    monkeypatch.delenv(prometheus_module.TOKEN, raising=False)

    def run(*args: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["actual", "--stack", "demo", "--hours", "24", *args])
        return done.exit_code, done.output

    return run


def models(said: str) -> dict[str, dict[str, object]]:
    return {one["model"]: one for one in json.loads(said)["models"]}


def test_what_it_took_by_request_and_token_beside_the_estimate(fleet, served) -> None:
    url, _ = served
    code, said = fleet("--prometheus", url, "--format", "json")
    assert code == 0, said
    chat = models(said)["chat"]
    price = float(chat["estimate"]["usd"]) / 24  # one replica, 24 hours
    assert price > 0
    assert float(chat["actual"]["usd"]) == pytest.approx(36 * price, rel=1e-4)
    assert float(chat["per_1000_requests"]["actual"]["usd"]) == pytest.approx(18 * price, rel=1e-4)
    assert float(chat["per_1000_requests"]["estimate"]["usd"]) == pytest.approx(12 * price, rel=1e-4)
    assert float(chat["per_1m_tokens"]["actual"]["usd"]) == pytest.approx(90 * price, rel=1e-4)
    assert chat["energy"] == "measured"
    assert chat["actual"]["wh"] == "1440"
    assert chat["per_1000_requests"]["actual"]["wh"] == "720"
    grams = float(chat["estimate"]["gco2"]) / float(chat["estimate"]["wh"])
    assert float(chat["actual"]["gco2"]) == pytest.approx(1440 * grams, rel=1e-4)


def test_without_dcgm_energy_is_by_tdp_and_said_so(fleet, served) -> None:
    url, answers = served
    del answers.series["DCGM"]
    chat = models(fleet("--prometheus", url, "--format", "json")[1])["chat"]
    assert chat["energy"] == "by TDP"
    assert float(chat["actual"]["wh"]) == pytest.approx(72 * 0.6 * 36, rel=1e-4)  # NVIDIA's L4: 72 W
    assert "~" in fleet("--prometheus", url)[1]


def test_what_nobody_measured_is_unknown_and_never_nothing(fleet, served) -> None:
    url, answers = served
    said = fleet("--prometheus", url, "--format", "json")[1]
    rank = models(said)["rank"]
    assert rank["requests"] is None and rank["replica_hours"] is None
    assert rank["actual"] == {"usd": None, "wh": None, "gco2": None}
    assert rank["estimate"]["wh"] is None, "nobody published its power"
    assert rank["estimate"]["usd"] is not None
    text = fleet("--prometheus", url)[1]
    assert "requests unknown" in text and "unknown" in text
    answers.series["e2e_request_latency"] = ("model_name", "0")
    text = fleet("--prometheus", url)[1]
    assert "no requests" in text
    assert models(fleet("--prometheus", url, "--format", "json")[1])["chat"]["per_1000_requests"]["actual"]["usd"] is None


@pytest.mark.parametrize("value", ["NaN", "+Inf"])
def test_a_value_that_is_no_number_is_unknown(fleet, served, value) -> None:
    url, answers = served
    answers.series["kube_deployment"] = ("deployment", value)
    assert models(fleet("--prometheus", url, "--format", "json")[1])["chat"]["replica_hours"] is None


def test_it_asks_by_the_window_and_as_the_rules_do(fleet, served) -> None:
    url, answers = served
    fleet("--prometheus", url)
    assert len(answers.queries) == len(MEASURED)
    assert all("[24h" in query for query in answers.queries)
    assert any(rules.MEASURED_WATTS in query for query in answers.queries)
    assert all(query.count("(") == query.count(")") for query in answers.queries)


def test_a_token_goes_along_where_there_is_one(fleet, served, monkeypatch) -> None:
    url, answers = served
    fleet("--prometheus", url)
    assert set(answers.tokens) == {None}
    monkeypatch.setenv(prometheus_module.TOKEN, "t0ken")
    fleet("--prometheus", url)
    assert answers.tokens[-1] == "Bearer t0ken"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ((200, "<html>"), "it is no Prometheus"),
        ((401, '{"status": "error", "error": "who are you"}'), "who are you"),
        ((422, '{"status": "error", "error": "too many samples"}'), "the query was"),
        ((200, '{"status": "success", "data": {"resultType": "matrix", "result": []}}'), "a vector was asked for"),
        ((200, '{"status": "success"}'), "it is no Prometheus"),
        ((200, "[]"), "no reason"),
    ],
)
def test_what_is_no_answer_is_told_with_its_remedy(fleet, served, raw, message) -> None:
    url, answers = served
    answers.raw = raw
    code, said = fleet("--prometheus", url)
    assert code == 1
    assert message in re.sub(r"\s+", " ", said)


def test_nobody_there_is_told_so(fleet) -> None:
    code, said = fleet("--prometheus", "http://127.0.0.1:9")
    assert code == 1
    assert "does not answer" in said and "--prometheus" in said


def test_two_clusters_are_one_too_many(fleet, tmp_path, served) -> None:
    other = STACK.partition("clusters:\n")[2].replace("  main:\n", "  other:\n    network: {cidr: 10.20.0.0/16}\n")
    (tmp_path / "demo.yaml").write_text(STACK + other)
    code, said = fleet("--prometheus", served[0])
    assert code == 2
    assert "watches one cluster" in re.sub(r"[\s│]+", " ", said)
    assert fleet("--prometheus", served[0], "--cluster", "other")[0] == 0
