"""The exporter of a grid's carbon intensity: asks Electricity Maps, keeps the answer, tells KEDA and Prometheus.

One file that needs nothing but Python, as a cluster runs it from a ConfigMap, with no image to build. Refuses to guess:
an answer that is too old is no answer, and then nobody is held back. The token is read from a file and goes nowhere
but into the request's header. https://portal.electricitymaps.com/docs/api (v3, carbon-intensity/latest)

Environment: ELECTRICITYMAPS_ZONE; ELECTRICITYMAPS_TOKEN_FILE; ELECTRICITYMAPS_URL, default the public one; PORT (8080);
REFRESH_S (300) between two questions; STALE_S (7200), the age from which an answer counts no more; REPLAY_FILE instead
of all: JSON lists of intensities, one an hour, for a try without a token.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

URL = "https://api.electricitymaps.com"
_TIMEOUT_S = 10
_FIRST_BACK_OFF_S, _MOST_BACK_OFF_S = 5.0, 600.0


@dataclass
class Grid:
    """The last that is known of a zone, for all threads.

    Attributes:
        gco2_kwh: intensity, gCO2e a kWh, over the life cycle. at: of which time it is, seconds since 1970.
        failures: questions in a row that got no answer; error: the last one's words.
    """

    zone: str
    stale_s: float
    gco2_kwh: float | None = None
    at: float = 0.0
    failures: int = 0
    error: str = "not asked yet"
    lock: threading.Lock = field(default_factory=threading.Lock)

    def know(self, gco2_kwh: float, at: float) -> None:
        with self.lock:
            self.gco2_kwh, self.at, self.failures, self.error = gco2_kwh, at, 0, ""

    def fail(self, error: str) -> int:
        """Note it; returns how many there were in a row."""
        with self.lock:
            self.failures, self.error = self.failures + 1, error
            return self.failures

    def document(self, now: float) -> dict[str, Any]:
        """What `/v1/intensity` answers. `capping` is the intensity, and 0 where it is not known: nothing is capped then."""
        with self.lock:
            fresh = self.gco2_kwh is not None and now - self.at <= self.stale_s
            return {
                "zone": self.zone,
                "gco2_per_kwh": self.gco2_kwh if fresh else None,
                "capping": self.gco2_kwh if fresh else 0.0,
                "age_s": round(now - self.at, 1) if self.gco2_kwh is not None else None,
                "stale": not fresh,
                "failures": self.failures,
                "error": self.error,
            }

    def metrics(self, now: float) -> str:
        """What Prometheus reads; without the intensity where it is not known."""
        known = self.document(now)
        rows = [("grid_intensity_stale", int(known["stale"])), ("grid_intensity_failures", known["failures"])]
        if known["gco2_per_kwh"] is not None:
            rows.append(("grid_intensity_gco2_per_kwh", known["gco2_per_kwh"]))
        zone = json.dumps(self.zone)
        return "".join(f"# TYPE {name} gauge\n{name}{{zone={zone}}} {value}\n" for name, value in rows)


class Source:
    """Electricity Maps, for one zone. The token is asked for each time: whoever renews it restarts nothing."""

    def __init__(self, url: str, zone: str, token: Callable[[], str]) -> None:
        self._url = f"{url.rstrip('/')}/v3/carbon-intensity/latest?{urllib.parse.urlencode({'zone': zone})}"
        self._token = token

    def latest(self) -> tuple[float, float]:
        """Intensity, and of which time it is.

        Raises:
            OSError: no answer, or a refusal; `retry_after` of a refusal is `retry_after(…)`.
            ValueError: an answer of another shape.
        """
        headers = {"auth-token": self._token(), "accept": "application/json"}
        # Whoever runs it says where; it reads no address from anybody else.
        request = urllib.request.Request(self._url, headers=headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as reply:  # noqa: S310
            answer = json.loads(reply.read(100_000))
        value = answer.get("carbonIntensity") if isinstance(answer, dict) else None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 5000:
            raise ValueError(f"carbonIntensity is {value!r}")
        return float(value), datetime.fromisoformat(str(answer["datetime"]).replace("Z", "+00:00")).timestamp()


def retry_after(error: Exception, now: float) -> float | None:
    """Seconds that a refusal asks to wait; None where it does not say."""
    said = error.headers.get("retry-after") if isinstance(error, urllib.error.HTTPError) and error.headers else None
    if said is None:
        return None
    try:
        return float(said) if said.strip().isdecimal() else parsedate_to_datetime(said).timestamp() - now
    except ValueError:
        return None


def keep_asking(grid: Grid, source: Source, refresh_s: float, stop: threading.Event) -> None:
    """Ask until `stop`: every `refresh_s`, after a failure sooner, then ever later, and as late as the refusal asks."""
    wait = 0.0
    while not stop.wait(wait):
        try:
            grid.know(*source.latest())
            wait = refresh_s
        except (OSError, ValueError, KeyError) as error:
            failures = grid.fail(f"{type(error).__name__}: {error}")
            asked = retry_after(error, time.time())
            backed_off = min(_FIRST_BACK_OFF_S * 2 ** min(failures - 1, 10), _MOST_BACK_OFF_S)
            wait = min(max(asked or 0.0, backed_off if asked is None else 1.0), _MOST_BACK_OFF_S)
            sys.stderr.write(f"{grid.zone}: {grid.error}; again in {wait:.0f} s\n")


def replay(grid: Grid, hours: list[float], stop: threading.Event) -> None:
    """The hour of the week's figure, from a file."""
    wait = 0.0
    while not stop.wait(wait):
        now = time.time()
        grid.know(hours[int(now // 3600) % len(hours)], now)
        wait = 30.0


def server(grid: Grid, port: int, host: str = "") -> ThreadingHTTPServer:
    """`/v1/intensity`, `/metrics`, `/healthz`; it serves when `serve_forever` is called."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            now = time.time()
            answers = {
                "/healthz": ("text/plain", "ok\n"),
                "/metrics": ("text/plain; version=0.0.4", grid.metrics(now)),
                "/v1/intensity": ("application/json", json.dumps(grid.document(now)) + "\n"),
            }
            found = answers.get(self.path.partition("?")[0])
            kind, text = found or ("text/plain", "there are /v1/intensity, /metrics and /healthz\n")
            body = text.encode()
            self.send_response(200 if found else 404)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing: KEDA asks every few seconds."""

    return ThreadingHTTPServer((host, port), Handler)


def main() -> None:
    """Serve until SIGTERM."""
    env = os.environ
    grid, stop = Grid(env["ELECTRICITYMAPS_ZONE"], float(env.get("STALE_S", "7200"))), threading.Event()
    if recorded := env.get("REPLAY_FILE"):
        hours = [float(hour) for hour in json.loads(Path(recorded).read_text())]
        work = threading.Thread(target=replay, args=(grid, hours, stop), daemon=True)
    else:
        file = Path(env["ELECTRICITYMAPS_TOKEN_FILE"])
        source = Source(env.get("ELECTRICITYMAPS_URL", URL), grid.zone, lambda: file.read_text().strip())
        work = threading.Thread(target=keep_asking, args=(grid, source, float(env.get("REFRESH_S", "300")), stop), daemon=True)
    serving = server(grid, int(env.get("PORT", "8080")), env.get("HOST", ""))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=serving.shutdown).start())
    work.start()
    serving.serve_forever()
    stop.set()


if __name__ == "__main__":
    main()
