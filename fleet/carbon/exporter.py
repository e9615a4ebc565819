"""The exporter of a grid's carbon intensity: asks Electricity Maps, keeps the answers, tells KEDA and Prometheus.

It and its `PARTS` need nothing but Python, as a cluster runs them from a ConfigMap, with no image to build. Refuses to
guess: an answer that is too old is no answer, and then nobody is held back and nothing is put off. The token is read from a
file and goes nowhere but into the request's header.

Environment: ELECTRICITYMAPS_ZONE; ELECTRICITYMAPS_TOKEN_FILE; ELECTRICITYMAPS_URL, default the public one; PORT (8080);
REFRESH_S (300) between two questions; STALE_S (7200) and FORECAST_STALE_S (21600), the ages from which an answer counts no
more; DEFER, deadlines to decide for and how long their work takes, in hours (24/4 12/2), default none, and then nobody asks
for a forecast; PEER_URL, where another replica says what it has decided; HOUR_S (3600), shorter for a try. In place of all
questions REPLAY_FILE, a JSON list of intensities, one an hour, and REPLAY_FORECAST_FILE, what was thought of them, default
the same.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from fleet.carbon import answers, deferrals, source, window
from fleet.carbon.answers import Ahead, Grid, Kept, T, gauges, say
from fleet.carbon.deferrals import Deferrals, Rule
from fleet.carbon.source import FAILURES, HORIZONS_H, URL, Source, horizon, retry_after
from fleet.carbon.window import every

PARTS = (window, source, answers, deferrals)
_FIRST_BACK_OFF_S, _MOST_BACK_OFF_S = 5.0, 600.0
_PEER_TIMEOUT_S = 3


def keep_asking(kept: Kept[T], ask: Callable[[], tuple[T, float]], refresh_s: float, stop: threading.Event) -> None:
    """Ask until `stop`: every `refresh_s`, after a failure sooner, then ever later, and as late as the refusal asks."""
    wait = 0.0
    while not stop.wait(wait):
        try:
            kept.know(*ask())
            wait = refresh_s
        except FAILURES as error:
            failures = kept.fail(f"{type(error).__name__}: {error}")
            asked = retry_after(error, time.time())
            backed_off = min(_FIRST_BACK_OFF_S * 2 ** min(failures - 1, 10), _MOST_BACK_OFF_S)
            wait = min(max(asked or 0.0, backed_off if asked is None else 1.0), _MOST_BACK_OFF_S)
            say(kept.zone, f"{kept.error}; again in {wait:.0f} s")


def replay(grid: Grid, ahead: Ahead, hours: list[float], thought: list[float], hour_s: float, stop: threading.Event) -> None:
    """The hour of the week's figure, and what was thought of the next ones, from files; round and round."""
    wait = 0.0
    while not stop.wait(wait):
        now = time.time()
        hour = int(now // hour_s)
        grid.know(hours[hour % len(hours)], now)
        ahead.know(every(hour_s, [thought[(hour + i) % len(thought)] for i in range(HORIZONS_H[-1])], hour * hour_s), now)
        wait = min(30.0, hour_s)


def server(grid: Grid, put_off: Deferrals, port: int, host: str = "") -> ThreadingHTTPServer:
    """`/v1/intensity`, `/v1/deferral`, `/metrics`, `/healthz`; it serves when `serve_forever` is called."""
    answered: dict[str, tuple[str, Callable[[float], str]]] = {
        "/healthz": ("text/plain", lambda _: "ok\n"),
        "/metrics": (
            "text/plain; version=0.0.4",
            lambda now: gauges(grid.zone, [*grid.rows(now), *put_off.rows(now)]),
        ),
        "/v1/intensity": ("application/json", lambda now: json.dumps(grid.document(now)) + "\n"),
        "/v1/deferral": ("application/json", lambda now: json.dumps(put_off.document(now)) + "\n"),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answered.get(self.path.partition("?")[0])
            kind, answer = found or ("text/plain", lambda _: f"there are {', '.join(sorted(answered))}\n")
            body = answer(time.time()).encode()
            self.send_response(200 if found else 404)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing: KEDA asks every few seconds."""

    return ThreadingHTTPServer((host, port), Handler)


def ask_peer(url: str, put_off: Deferrals, zone: str) -> None:
    """Go on where another replica is. A Service leads to none that is not ready, and so never back here, before it is."""
    try:
        with urllib.request.urlopen(url, timeout=_PEER_TIMEOUT_S) as reply:  # noqa: S310 - whoever runs it says where
            put_off.adopt(json.loads(reply.read(100_000)))
        say(zone, "goes on where another replica is")
    except (*FAILURES, LookupError, TypeError, AttributeError) as error:
        say(zone, f"no other replica says what it has decided ({error}): work runs at first")


def main() -> None:
    """Serve until SIGTERM."""
    env, stop = os.environ, threading.Event()
    zone, hour_s = env["ELECTRICITYMAPS_ZONE"], float(env.get("HOUR_S", "3600"))
    grid = Grid(zone, float(env.get("STALE_S", "7200")))
    ahead = Ahead(zone, float(env.get("FORECAST_STALE_S", "21600")))
    rules = [Rule.read(text) for text in env.get("DEFER", "").split()]
    put_off = Deferrals(ahead, rules, hour_s, time.time())
    if rules and (peer := env.get("PEER_URL")):
        ask_peer(peer, put_off, zone)
    work: list[threading.Thread] = []
    if recorded := env.get("REPLAY_FILE"):
        hours = _figures(recorded)
        thought = _figures(env.get("REPLAY_FORECAST_FILE", recorded))
        work.append(threading.Thread(target=replay, args=(grid, ahead, hours, thought, hour_s, stop), daemon=True))
    else:
        file, refresh_s = Path(env["ELECTRICITYMAPS_TOKEN_FILE"]), float(env.get("REFRESH_S", "300"))
        maps = Source(env.get("ELECTRICITYMAPS_URL", URL), zone, lambda: file.read_text().strip())
        work.append(threading.Thread(target=keep_asking, args=(grid, maps.latest, refresh_s, stop), daemon=True))
        if rules:
            most = horizon(max(rule.deadline_h for rule in rules))
            asks = (ahead, lambda: maps.forecast(most), refresh_s, stop)
            work.append(threading.Thread(target=keep_asking, args=asks, daemon=True))
    serving = server(grid, put_off, int(env.get("PORT", "8080")), env.get("HOST", ""))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=serving.shutdown).start())
    for thread in work:
        thread.start()
    serving.serve_forever()
    stop.set()


def _figures(file: str) -> list[float]:
    return [float(hour) for hour in json.loads(Path(file).read_text())]


if __name__ == "__main__":
    main()
