"""The exporter's forecast: asked for, kept, and decided by; without one work runs, and it says so."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fleet.carbon import exporter
from fleet.carbon.answers import Ahead, Grid, gauges
from fleet.carbon.deferrals import Deferrals, Rule
from fleet.carbon.exporter import ask_peer, keep_asking, server
from fleet.carbon.source import Source, horizon
from fleet.carbon.window import every
from tests.fleet.conftest import Answer
from tests.waiting import until

pytestmark = pytest.mark.enable_socket
RULE, HOUR = Rule(24, 4), 3600.0
Maps = tuple[str, list[Answer], list[dict[str, str]]]


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def said(figures: list[Any], updated: float | None = None, step: float = HOUR) -> Answer:
    """What Electricity Maps answers, from the hour that is on."""
    first = time.time() // HOUR * HOUR
    points = [{"carbonIntensity": gco2, "datetime": iso(first + step * i)} for i, gco2 in enumerate(figures)]
    body = {"zone": "DE", "forecast": points, "updatedAt": iso(updated or time.time())}
    return 200, {}, json.dumps(body).encode()


def ask(url: str, ahead: Ahead, done: Any) -> None:
    """Keep asking until `done`, or for ten seconds."""
    stop = threading.Event()
    source = Source(url, "DE", lambda: "secret-token")
    work = threading.Thread(target=keep_asking, args=(ahead, lambda: source.forecast(24), 0.05, stop))
    work.start()
    found = until(done, 10)
    stop.set()
    work.join()
    assert found, ahead.error


def of_rule(put_off: Deferrals, now: float) -> dict[str, Any]:
    return dict(put_off.document(now)["rules"][RULE.key])


def test_the_answer_is_kept_and_decided_by(maps: Maps) -> None:
    url, answers, asked = maps
    answers.append(said([500.0] * 12 + [100.0] * 4 + [500.0] * 8))
    ahead, now = Ahead("DE", 7200), time.time()
    # As one that has had its first window already.
    put_off = Deferrals(ahead, [RULE], HOUR, now - 4 * HOUR)
    ask(url, ahead, lambda: ahead.value is not None)
    assert asked[0] == {"path": "/v3/carbon-intensity/forecast?zone=DE&horizonHours=24", "token": "secret-token"}
    found = of_rule(put_off, now)
    window = now // HOUR * HOUR + 12 * HOUR
    assert (found["deferred"], found["jobs"], found["window_starts"]) == (1, 0, iso(window).replace(".000", ""))
    text = gauges("DE", put_off.rows(now))
    assert 'grid_deferred{zone="DE",deadline_h="24",work_h="4"} 1' in text
    assert f'grid_window_start_seconds{{zone="DE",deadline_h="24",work_h="4"}} {window}' in text
    assert 'grid_forecast_missing{zone="DE"} 0' in text
    ahead.know(ahead.value, window)  # type: ignore[arg-type]
    assert of_rule(put_off, window)["deferred"] == 0, "the window comes"


@pytest.mark.parametrize(
    "first",
    [
        (401, {}, b"{}"),
        (403, {}, b'{"error": "not in your plan"}'),
        (429, {"retry-after": "0"}, b""),
        (500, {"retry-after": "0"}, b""),
        (200, {}, said([500.0] * 9)[2][:200]),
        (200, {"content-length": "99999"}, said([500.0] * 9)[2][:200]),
        (200, {}, b"[" * 100_000),
        (200, {}, b"[]"),
        (200, {}, b'{"forecast": null}'),
        (200, {}, b'{"forecast": [1, 2]}'),
        said([]),
        said([100.0]),
        said([100.0, None]),
        said([100.0, -1.0]),
        said([100.0, float("nan")]),
        said([100.0, 200.0], step=-3600),
        said([100.0, 200.0], step=0),
    ],
)
def test_without_a_forecast_work_runs_and_it_says_so(
    maps: Maps, first: Answer, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setattr(exporter, "_FIRST_BACK_OFF_S", 0.05)
    url, answers, _ = maps
    answers.append(first)
    ahead, now = Ahead("DE", 7200), time.time()
    put_off = Deferrals(ahead, [RULE], HOUR, now - 5 * HOUR)
    ask(url, ahead, lambda: ahead.failures > 0)
    assert of_rule(put_off, now)["deferred"] == 0
    assert 'grid_forecast_missing{zone="DE"} 1' in gauges("DE", put_off.rows(now))
    written = capfd.readouterr().err
    assert "nothing is put off, work runs" in written
    assert "secret-token" not in written
    answers[:] = [said([500.0] * 20 + [100.0] * 4)]
    ask(url, ahead, lambda: ahead.value is not None)
    assert ahead.failures == 0
    assert of_rule(put_off, now + 4 * HOUR)["deferred"] == 0, "too old by then"


def test_an_old_forecast_counts_no_more(maps: Maps) -> None:
    url, answers, _ = maps
    answers.append(said([500.0] * 20 + [100.0] * 4, updated=time.time() - 8000))
    ahead, now = Ahead("DE", 7200), time.time()
    put_off = Deferrals(ahead, [RULE], HOUR, now - 5 * HOUR)
    ask(url, ahead, lambda: ahead.value is not None)
    found = put_off.document(now)
    assert (found["forecast"]["stale"], found["rules"][RULE.key]["deferred"]) == (True, 0)


def test_no_rule_no_figures() -> None:
    put_off = Deferrals(Ahead("DE", 7200), [], HOUR, 0)
    assert (put_off.rows(1), put_off.document(1)["rules"]) == ([], {})


def test_as_far_ahead_is_asked_as_the_deadline_is() -> None:
    assert [horizon(hours) for hours in (2, 6, 7, 24, 25, 72, 168)] == [6, 6, 24, 24, 48, 72, 72]


def test_a_new_replica_goes_on_where_another_is() -> None:
    ahead, now = Ahead("DE", 1e9), time.time()
    ahead.know(every(HOUR, [500.0] * 20 + [100.0] * 10, now), now)
    old, new = Deferrals(ahead, [RULE], HOUR, now - 4 * HOUR), Deferrals(ahead, [RULE, Rule(12, 2)], HOUR, now)
    assert of_rule(old, now)["deferred"] == 1
    serving = server(Grid("DE", 1), old, 0, "127.0.0.1")
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    try:
        ask_peer(f"http://127.0.0.1:{serving.server_port}/v1/deferral", new, "DE")
    finally:
        serving.shutdown()
        serving.server_close()
    assert of_rule(new, now + 60) == of_rule(old, now + 60), "the same hold, with the same end"
    assert new.document(now + 60)["rules"]["12h-2h"]["deferred"] == 0, "of what the other does not know it has no memory"


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b'{"rules": []}', b'{"rules": {"24h-4h": {}}}'])
def test_a_peer_that_talks_nonsense_changes_nothing(maps: Maps, answer: bytes) -> None:
    url, answers, _ = maps
    answers.append((200, {}, answer))
    put_off = Deferrals(Ahead("DE", 1), [RULE], HOUR, 1000)
    ask_peer(f"{url}/v1/deferral", put_off, "DE")
    ask_peer("http://127.0.0.1:9/v1/deferral", put_off, "DE")
    assert of_rule(put_off, 1000)["runs_until"] == 1000 + 4 * HOUR


def test_the_program_serves_and_ends(tmp_path: Path) -> None:
    """As a cluster runs it: its files alone, with nothing of ours on the path; an hour lasts half a second."""
    week, thought = tmp_path / "week.json", tmp_path / "thought.json"
    week.write_text(json.dumps([123.0] * 168))
    thought.write_text(json.dumps([500.0] * 6 + [100.0] * 2))
    for module in (*exporter.PARTS, exporter):
        file = tmp_path.joinpath(*module.__name__.split(".")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(Path(str(module.__file__)).read_text())
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as free:
        port = free.server_port
    env = {"ELECTRICITYMAPS_ZONE": "DE", "PORT": str(port), "HOST": "127.0.0.1", "HOUR_S": "0.5", "DEFER": "8/2 6/1"}
    env |= {"REPLAY_FILE": str(week), "REPLAY_FORECAST_FILE": str(thought)}
    running = subprocess.Popen([sys.executable, "-S", "-m", exporter.__name__], env=env, cwd=tmp_path)
    try:

        def answer(path: str) -> dict[str, Any]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as reply:
                    return dict(json.load(reply))
            except OSError:
                return {}

        assert until(lambda: answer("/v1/intensity").get("gco2_per_kwh") == 123.0, 20)
        for key in ("8h-2h", "6h-1h"):
            for put_off in (1, 0, 1):
                assert until(lambda k=key, p=put_off: answer("/v1/deferral")["rules"][k]["deferred"] == p, 20), (key, put_off)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as reply:
            assert reply.status == 200
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/other", timeout=2)
    finally:
        running.terminate()
        assert running.wait(10) == 0


def test_the_sandboxs_answers_are_read_as_electricity_maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sandbox.cloud import electricity_maps
    from sandbox.cloud.records import Records

    records, source = Records(tmp_path / "records.db"), Source("", "DE", lambda: "")
    told = {"latest": electricity_maps.latest, "forecast": electricity_maps.forecast}

    def answered(what: str, **more: int) -> dict[str, Any]:
        hours = [str(more["horizonHours"])] if more else []
        status, answer = told[what](records, "sandbox", "DE", *hours)
        assert status == 200
        return answer

    monkeypatch.setattr(source, "_ask", answered)
    flat, _ = source.forecast(24)
    assert (len(flat.starts), len(set(flat.gco2_kwh))) == (24, 1), "until somebody says otherwise"
    electricity_maps.put(records, "DE", 500, [400, 100])
    found, at = source.forecast(6)
    assert found.gco2_kwh == (500, 400, 100, 100, 100, 100)
    assert found.ends - found.starts[0] == pytest.approx(6 * HOUR, abs=0.01)
    assert source.latest()[0] == 500
    monkeypatch.setattr(time, "time", lambda: at + HOUR + 1)
    assert source.latest()[0] == 400, "an hour later the next one's figure"
    assert source.forecast(6)[0].gco2_kwh[:2] == (400, 100)
    assert electricity_maps.forecast(records, "other", "DE", "24")[0] == 401
    assert electricity_maps.forecast(records, "sandbox", "XX", "24")[0] == 404
    assert electricity_maps.forecast(records, "sandbox", "DE", "25")[0] == 400
