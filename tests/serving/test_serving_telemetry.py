"""Traces behind their flag, to a collector of one's own; logs as one object a line."""

from __future__ import annotations

import gzip
import json
import logging
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from serving.logs import JsonFormatter
from tests.serving.running import ROOT, command, start

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, bytes]]]:
    """What a server with this process's environment sends out."""
    got: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append((self.path, gzip.decompress(body) if self.headers["content-encoding"] == "gzip" else body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "tried")
    yield got
    server.shutdown()
    server.server_close()


def test_a_request_is_a_span_below_its_callers(models: Path, tmp_path: Path, collector: list[tuple[str, bytes]]) -> None:
    asked = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [0, 0, 0, 0]}]}
    with start("--model", f"{models}/double.yaml", "--otel", log=tmp_path / "log") as server:
        parent = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
        assert httpx.post(f"{server.http}/v2/models/double/infer", json=asked, headers=parent).status_code == 200
        server.process.terminate()
        assert server.process.wait(30) == 0
    paths = {path for path, _ in collector}
    sent = b"".join(body for _, body in collector)
    assert paths == {"/v1/traces"}
    assert bytes.fromhex(TRACE) in sent
    for said in (b"infer", b"double", b"tried", b"http.response.status_code"):
        assert said in sent


def test_without_the_flag_nothing_is_sent_and_nothing_imported(models: Path, collector: list[tuple[str, bytes]]) -> None:
    code = "import sys, serving.cli; print([m for m in sys.modules if m.startswith('opentelemetry')])"
    done = subprocess.run([command()[0], "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    loaded = [name for name in json.loads(done.stdout.replace("'", '"')) if "sdk" in name or "exporter" in name]
    assert loaded == []
    assert collector == []


def test_a_log_line_is_one_object_with_what_was_given() -> None:
    record = logging.makeLogRecord({"name": "serving", "levelname": "INFO", "msg": "two\nlines %s", "args": (1,), "model": "m"})
    line = JsonFormatter().format(record)
    assert "\n" not in line
    said = json.loads(line)
    assert (said["level"], said["message"], said["model"]) == ("info", "two\nlines 1", "m")
    assert said["time"].endswith("+00:00")
