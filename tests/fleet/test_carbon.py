"""Flexible models: the ceiling and KEDA's formula of it, the exporter against a server that refuses, and a replayed week."""

from __future__ import annotations

import json
import math
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import fleet.arguments
from fleet.carbon import exporter
from fleet.carbon.answers import Ahead, Grid, gauges
from fleet.carbon.ceiling import Ceiling
from fleet.carbon.deferrals import Deferrals
from fleet.carbon.exporter import keep_asking, server
from fleet.carbon.replay import effect, hours
from fleet.carbon.source import Source, retry_after
from fleet.cli import app
from tests.fleet.conftest import Answer
from tests.waiting import until

pytestmark = pytest.mark.enable_socket
BOUNDS = st.tuples(st.integers(1, 500), st.integers(1, 500), st.integers(1, 9), st.integers(1, 9)).map(
    lambda b: Ceiling(b[0], b[0] + b[1], b[2], b[2] + b[3])
)
INTENSITY = st.one_of(st.none(), st.floats(0, 2000))


def replicas_by(formula: str, gco2: float | None, waiting: int | None, there: int) -> int:
    """What KEDA and the HPA make of it, at four requests a replica."""
    # `??` is Python's `or` where the left side is nil, and its right side where that is not; the functions are alike.
    text = formula.replace("(grid ?? 0.0)", "(grid or 0.0)").replace("waiting ??", "waiting if waiting is not None else")
    known = {"min": min, "max": max, "floor": math.floor, "grid": gco2, "waiting": waiting, "there": there}
    return math.ceil(eval(text, known) / 4)


@given(BOUNDS, INTENSITY, st.integers(0, 400), st.integers(0, 20))
def test_the_formula_is_the_ceiling_in_kedas_words(ceiling: Ceiling, gco2: float | None, waiting: int, there: int) -> None:
    assert replicas_by(ceiling.formula(4), gco2, waiting, there) == min(math.ceil(waiting / 4), ceiling.at(gco2))


@given(BOUNDS, INTENSITY, st.integers(0, 20), st.integers(1, 20))
def test_what_nobody_can_count_leaves_those_that_are_there_below_the_ceiling(
    ceiling: Ceiling, gco2: float | None, there: int, fallback: int
) -> None:
    assert replicas_by(ceiling.formula(4), gco2, None, there) == min(max(1, there), ceiling.at(gco2))
    assert replicas_by(ceiling.formula(4, fallback), gco2, None, there) == min(fallback, ceiling.at(gco2))


@given(BOUNDS, st.floats(0, 2000), st.floats(0, 2000))
def test_a_dirtier_grid_never_allows_more_and_never_less_than_the_floor(ceiling: Ceiling, one: float, other: float) -> None:
    assert ceiling.at(max(one, other)) <= ceiling.at(min(one, other))
    assert ceiling.least <= ceiling.at(one) <= ceiling.most


def test_clean_dirty_and_unknown() -> None:
    ceiling = Ceiling(150, 400, 1, 5)
    assert [ceiling.at(g) for g in (None, 0, 150, 151, 275, 399, 400, 900)] == [5, 5, 5, 4, 3, 1, 1, 1]


def said(intensity: object, at: str | None = None) -> Answer:
    when = at or datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return 200, {}, json.dumps({"zone": "DE", "carbonIntensity": intensity, "datetime": when}).encode()


def ask(url: str, grid: Grid, done: Any) -> None:
    """Keep asking until `done`, or for ten seconds."""
    stop = threading.Event()
    work = threading.Thread(target=keep_asking, args=(grid, Source(url, "DE", lambda: "secret-token").latest, 0.05, stop))
    work.start()
    found = until(done, 10)
    stop.set()
    work.join()
    assert found, grid


def test_the_answer_is_kept_and_told(maps: tuple[str, list[Answer], list[dict[str, str]]]) -> None:
    url, answers, asked = maps
    answers.append(said(302.5))
    grid = Grid("DE", 7200)
    ask(url, grid, lambda: grid.value is not None)
    assert asked[0] == {"path": "/v3/carbon-intensity/latest?zone=DE", "token": "secret-token"}
    known = grid.document(time.time())
    assert (known["gco2_per_kwh"], known["capping"], known["stale"]) == (302.5, 302.5, False)
    assert 'grid_intensity_gco2_per_kwh{zone="DE"} 302.5' in gauges("DE", grid.rows(time.time()))


@pytest.mark.parametrize(
    "first",
    [
        (401, {}, b"{}"),
        (429, {"retry-after": "0"}, b""),
        (503, {"retry-after": "0"}, b""),
        (200, {}, b"<html>"),
        (200, {}, b"[]"),
        said(None),
        said(-5),
        said(True),
        said(300, "yesterday"),
    ],
)
def test_no_answer_holds_nobody_back_and_is_asked_again(
    maps: tuple[str, list[Answer], list[dict[str, str]]], first: Answer, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setattr(exporter, "_FIRST_BACK_OFF_S", 0.05)
    url, answers, _ = maps
    answers.append(first)
    grid = Grid("DE", 7200)
    ask(url, grid, lambda: grid.failures > 0)
    known = grid.document(time.time())
    assert (known["gco2_per_kwh"], known["capping"], known["stale"]) == (None, 0.0, True)
    assert "grid_intensity_gco2_per_kwh" not in gauges("DE", grid.rows(time.time()))
    answers[:] = [said(100)]
    ask(url, grid, lambda: grid.value == 100)
    assert grid.failures == 0
    assert "secret-token" not in capfd.readouterr().err


def test_a_server_that_is_gone_is_a_failure() -> None:
    grid = Grid("DE", 7200)
    ask("http://127.0.0.1:9", grid, lambda: grid.failures > 0)
    assert grid.document(time.time())["capping"] == 0.0


def test_an_old_answer_counts_no_more() -> None:
    grid = Grid("DE", 100)
    grid.know(500, 1000)
    assert grid.document(1100)["capping"] == 500
    assert grid.document(1101)["capping"] == 0.0
    assert "grid_intensity_stale" in gauges("DE", grid.rows(1101))


def test_a_refusal_says_how_long_to_wait() -> None:
    def refusal(value: str | None) -> urllib.error.HTTPError:
        from email.message import Message

        headers = Message()
        if value is not None:
            headers["retry-after"] = value
        return urllib.error.HTTPError("", 429, "", headers, None)

    now = 1_700_000_000.0
    assert retry_after(refusal("30"), now) == 30
    assert retry_after(refusal(format_datetime(datetime.fromtimestamp(now + 60, UTC), usegmt=True)), now) == 60
    assert retry_after(refusal("soon"), now) is None
    assert retry_after(refusal(None), now) is None
    assert retry_after(OSError(), now) is None


def test_a_port_that_is_taken_is_said_at_once() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as taken, pytest.raises(OSError, match="in use"):
        server(Grid("DE", 1), Deferrals(Ahead("DE", 1), [], 3600, 0), taken.server_port, "127.0.0.1")


def test_held_back_work_is_done_later_and_cleaner() -> None:
    # Two dirty hours, then clean ones; half of four replicas' work arrives each hour.
    made = effect([500, 500, 100, 100, 100, 100], Ceiling(150, 400, 1, 4), load=0.5, kw=1.0)
    # Each hour 2; the dirty ones do 1 each, the clean ones 4, 2, 2, 2.
    assert made.kg_plain == pytest.approx(2 * (0.5 + 0.5 + 0.4))
    assert made.kg_flexible == pytest.approx(1 * 1.0 + 10 * 0.1)
    assert made.kg_saved == pytest.approx(0.8)
    assert (made.hours_held, made.left_replica_hours) == (2, 0)
    assert made.longest_h == 1


def test_what_is_never_done_saves_nothing_by_that() -> None:
    made = effect([500] * 10, Ceiling(150, 400, 1, 4), load=1.0, kw=1.0)
    assert made.kg_saved == pytest.approx(0)
    assert made.left_replica_hours == pytest.approx(30)


@given(st.lists(st.floats(1, 1000), min_size=1, max_size=60), BOUNDS, st.floats(0, 1))
def test_no_work_is_lost(intensities: list[float], ceiling: Ceiling, load: float) -> None:
    one = [1000.0 / 1] * len(intensities)
    # At one intensity for all hours energy is work: as much with the ceiling as without.
    made = effect(one, ceiling, load, 1.0)
    assert made.kg_flexible == pytest.approx(made.kg_plain)
    assert effect(intensities, ceiling, load, 1.0).left_replica_hours >= 0


def test_hours_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "week"
    file.write_text("[1, 2.5]")
    assert hours(file) == [1, 2.5]
    file.write_text("time,zone,gco2\n2026-01-01T00:00Z,DE,300\n2026-01-01T01:00Z,DE,310.5\n")
    assert hours(file) == [300, 310.5]
    for wrong in ("", "[]", "[-1]", "a,b\n1,x\n", "{}", "[[1]]"):
        file.write_text(wrong)
        with pytest.raises(ValueError, match="week"):
            hours(file)


STACK = """
owner: ml
environment: dev
secrets: [em-token]
clusters:
  main:
    cloud: aws
    region: us-east-1
    grid_token: em-token
    api: {allowed_cidrs: [203.0.113.0/24]}
    pools:
      l4: {accelerator: nvidia-l4, nodes: {min: 0, max: 4}, sharing: {time_slices: 2}}
      inf2: {accelerator: inferentia2, nodes: {min: 0, max: 4}}
    models:
      batch: &flexible
        pool: l4
        autoscaler: keda
        replicas: {min: 1, max: 4}
        tier: flexible
        carbon: {clean: 150, dirty: 400}
      neuron:
        <<: *flexible
        pool: inf2
        image: public.ecr.aws/neuron/pytorch-inference-vllm-neuronx:0.9.1-neuronx-py311-sdk2.26.0-ubuntu22.04
      chat: {pool: l4}
"""


def test_a_replay_of_a_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stacks = tmp_path / "stacks"
    stacks.mkdir()
    (stacks / "green.yaml").write_text(STACK)
    (stacks / "Pulumi.green.yaml").write_text("config: {accelfleet:em-token: {secure: AAAB}}")
    monkeypatch.setattr(fleet.arguments, "STACKS", stacks)
    week = tmp_path / "week.json"
    week.write_text("[500, 500, 100, 100, 100, 100]")
    words = ["carbon", "--stack", "green", "--week", str(week), "--load", "0.5"]
    done = CliRunner().invoke(app, [*words, "--format", "json"])
    assert done.exit_code == 0, done.output
    models = json.loads(done.stdout)["models"]
    # Half an L4, 72 W, under 0.6 load and a PUE of 1.14: 0.8 kg for a replica of one kW, as above.
    assert models["green/main/batch"]["kg_saved"] == pytest.approx(0.8 * 0.036 * 0.6 * 1.14)
    assert models["green/main/neuron"] is None
    assert "green/main/chat" not in models
    assert "no TDP published" in CliRunner().invoke(app, words).stdout
    week.write_text("no hours")
    assert CliRunner().invoke(app, words).exit_code == 2


@pytest.fixture
def green(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stack with a flexible model, and hours of its grid."""
    (tmp_path / "green.yaml").write_text(STACK)
    (tmp_path / "Pulumi.green.yaml").write_text("config: {accelfleet:em-token: {secure: AAAB}}")
    monkeypatch.setattr(fleet.arguments, "STACKS", tmp_path)
    (tmp_path / "week.json").write_text("[500, 500, 100, 500, 100, 100]")
    return tmp_path


# By hand: after the first hour, which is let go, what comes in dirty hours and the floor does not do waits for the next hour.
SAVED = 2 * 0.4 * 0.036 * 0.6 * 1.14


def test_a_replay_by_a_deadline(green: Path) -> None:
    words = ["carbon", "--stack", "green", "--week", str(green / "week.json"), "--load", "0.5", "--deadline", "3"]
    document = json.loads(CliRunner().invoke(app, [*words, "--format", "json"]).stdout)
    assert document["deadline_h"] == 3
    found = document["models"]["green/main/batch"]
    assert found["kg_saved"] == pytest.approx(SAVED)
    assert (found["hours_held"], found["delayed_replica_hours"], found["longest_h"]) == (2, 2, 1)
    assert "put off by 3 h at most" in CliRunner().invoke(app, words).stdout
    refused = CliRunner().invoke(app, [*words, "--work", "3"])
    assert (refused.exit_code, "--work" in refused.output) == (2, True)


def test_a_model_with_a_deadline_is_replayed_by_it(green: Path) -> None:
    queue = "https://sqs.us-east-1.amazonaws.com/123456789012/jobs"
    text = STACK.replace("{clean: 150, dirty: 400}", "{deadline_h: 3, work_h: 1}")
    (green / "green.yaml").write_text(
        text.replace("tier: flexible", f"tier: flexible\n        scaling: {{queue: {{address: '{queue}'}}}}")
    )
    words = ["carbon", "--stack", "green", "--week", str(green / "week.json"), "--load", "0.5", "--format", "json"]
    done = CliRunner().invoke(app, words)
    assert json.loads(done.stdout)["models"]["green/main/batch"]["kg_saved"] == pytest.approx(SAVED), done.output
