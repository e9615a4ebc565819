"""Digests of images, from a registry of the test's own that speaks as the public ones do: a token for anybody, redirects."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from fleet.catalog import digests
from fleet.catalog.digests import DigestError, Pin, pinned
from fleet.registry import client, digest, look_up
from infra import digests as command
from infra import versions

pytestmark = pytest.mark.enable_socket
INDEX = b'{"schemaVersion": 2, "manifests": []}'
FOUND = f"sha256:{hashlib.sha256(INDEX).hexdigest()}"
OTHER = f"sha256:{'0' * 64}"


class Registry(BaseHTTPRequestHandler):
    """`plain` is for anybody, `token` for who has one, `moved` elsewhere, `lying` of another digest, `closed` for nobody."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        here = f"http://127.0.0.1:{self.server.server_address[1]}"
        if path == "/token":
            assert query == "service=registry&scope=repository%3Atoken%3Apull"
            return self.answer(200, json.dumps({"token": "t0ken"}).encode())
        name = path.split("/")[2]
        if name == "token" and self.headers.get("authorization") != "Bearer t0ken":
            asks = f'Bearer realm="{here}/token",service="registry",scope="repository:token:pull"'
            return self.answer(401, b"{}", {"WWW-Authenticate": asks})
        if name == "closed":
            return self.answer(401, b"{}", {"WWW-Authenticate": 'Basic realm="https://registry.example/"'})
        if name == "moved":
            return self.answer(307, b"", {"Location": f"{here}/v2/plain/manifests/1.0"})
        if name == "gone":
            return self.answer(404, b"{}")
        assert "image.index" in self.headers["accept"], "of one platform it would not start on the others"
        return self.answer(200, INDEX, {"Docker-Content-Digest": OTHER} if name == "lying" else {})

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def host() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    with client() as made:
        yield made


@pytest.mark.parametrize("name", ["plain", "token", "moved"])
def test_a_digest_is_that_of_what_the_registry_sends(host: str, http: httpx2.Client, name: str) -> None:
    assert digest(http, f"{host}/{name}:1.0") == FOUND


@pytest.mark.parametrize(
    ("name", "said"), [("lying", "somebody is in between"), ("closed", "asks who you are"), ("gone", "404 Not Found")]
)
def test_what_is_no_digest_is_told_with_its_image(host: str, http: httpx2.Client, name: str, said: str) -> None:
    with pytest.raises(DigestError, match=rf"{host}/{name}:1\.0: .*{said}"):
        digest(http, f"{host}/{name}:1.0")


def test_a_registry_that_is_not_there_is_told(http: httpx2.Client) -> None:
    with pytest.raises(DigestError, match=r"127\.0\.0\.1:1 could not be asked"):
        digest(http, "127.0.0.1:1/plain:1.0")


def test_a_tag_that_has_come_to_be_another_image_is_not_taken(host: str, http: httpx2.Client) -> None:
    image = f"{host}/plain:1.0"
    before = Pin(image, FOUND, "elsewhere", "2026-11-01")
    assert [pin for pin, _ in look_up(http, {}, [image], "2026-11-30")] == [Pin(image, FOUND, host, "2026-11-30")]
    assert [pin for pin, _ in look_up(http, {image: before}, [image], "2026-11-30")] == [before]
    ((pin, said),) = look_up(http, {image: replace(before, digest=OTHER)}, [image], "2026-11-30")
    assert pin is None
    assert f"was {OTHER} and is {FOUND} now" in said


def test_the_command_writes_what_is_new_and_keeps_what_is_there(
    host: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "digests.csv"
    file.write_text(f"image,digest,source,as_of\nz.example/kept:1,{OTHER},elsewhere,2026-11-30\n")
    monkeypatch.setattr(digests, "FILE", file)
    monkeypatch.setattr(command, "images", lambda: [f"{host}/plain:1.0", f"{host}/closed:1.0"])
    digests.pins.cache_clear()
    try:
        assert command.main() == 1, "one could not be had"
        assert "asks who you are" in capsys.readouterr().err
        assert pinned(f"{host}/plain:1.0") == f"{host}/plain:1.0@{FOUND}"
        assert pinned("z.example/kept:1") == f"z.example/kept:1@{OTHER}"
        assert pinned(f"{host}/closed:1.0") == f"{host}/closed:1.0"
        file.write_text("image,digest,source,as_of\na:1,sha256:12,x,2026-11-30\n")
        digests.pins.cache_clear()
        with pytest.raises(DigestError, match="line 2"):
            pinned("a:1")
    finally:
        digests.pins.cache_clear()


def test_every_image_with_a_tag_is_looked_up_and_a_row_is_of_one_of_them() -> None:
    assert len(command.images()) > 15
    assert {*digests.pins()} <= {*command.images()}
    assert versions.PAUSE_IMAGE == pinned("registry.k8s.io/pause:3.10") != "registry.k8s.io/pause:3.10"
