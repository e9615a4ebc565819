"""TOOLCHAIN=download, against a mirror on loopback: what is fetched, what is refused, and what a refusal leaves: nothing."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest
from rich.console import Console

from sandbox import toolchain
from sandbox.toolchain import __main__ as command
from sandbox.toolchain import build, fetch, pins, releases
from sandbox.toolchain.download import download

LINUX = ("linux", "amd64")
PROGRAM = b"#!/bin/sh\necho here\n"
pytestmark = pytest.mark.enable_socket


class Mirror:
    """Serves `files` by path and counts what was asked; the first `fail` answers to each path are refusals."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.fail: dict[str, list[int]] = {}
        self.cut: set[str] = set()
        self.moved: dict[str, str] = {}
        self.asked: Counter[str] = Counter()

    def publish(self, name: str, body: bytes, on: releases.Platform = LINUX) -> releases.Release:
        """Put a release and its checksum file where the project has them."""
        release = releases.release(toolchain.TOOLS[name], on)
        self.files[path(release.url)] = body
        self.files[path(release.checksums)] = f"{sha256(body)}  {release.file}\n".encode()
        return release


def path(url: str) -> str:
    return "/below/" + url.removeprefix("https://")


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def tar(*members: tuple[str, bytes] | tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for member in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member[0])
            body = b"" if isinstance(member, tarfile.TarInfo) else member[1]
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return out.getvalue()


def linked(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ACCELFLEET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("TOOLCHAIN", "download")
    monkeypatch.setattr(releases, "here", lambda: LINUX)
    monkeypatch.setattr(pins, "PINS", tmp_path / "releases.csv")
    monkeypatch.setattr(fetch, "_PAUSES_S", tuple(0.0 for _ in fetch._PAUSES_S))
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path / "cache"


@pytest.fixture
def mirror(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    mirror = Mirror()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            mirror.asked[self.path] += 1
            body = mirror.files.get(self.path)
            if refusals := mirror.fail.get(self.path):
                self.send_error(refusals.pop(0))
            elif self.path in mirror.moved:
                self.send_response(302)
                self.send_header("Location", mirror.moved[self.path])
                self.end_headers()
            elif body is None:
                self.send_error(404)
            else:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if self.path in mirror.cut else body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("TOOLCHAIN_MIRROR", f"http://127.0.0.1:{server.server_port}/below/")
    yield mirror
    server.shutdown()
    server.server_close()
    thread.join()


def get(*names: str) -> str:
    """Download the tools, and return what was said."""
    said = io.StringIO()
    download([toolchain.TOOLS[name] for name in names], Console(file=said, width=300))
    return said.getvalue()


def left(cache: Path) -> set[str]:
    return {p.name for p in cache.iterdir()} - {"lock"}


ARCHIVES = {
    "pulumi": tar(("pulumi/pulumi-language-go", b"other"), ("pulumi/pulumi", PROGRAM)),
    "etcd": tar(("etcd-v3.7.3-linux-amd64/etcdctl", b"other"), ("etcd-v3.7.3-linux-amd64/etcd", PROGRAM)),
    "kube-apiserver": PROGRAM,
    "kube-controller-manager": PROGRAM,
    "kube-scheduler": PROGRAM,
    "kubectl": PROGRAM,
    "helm": tar(("./linux-amd64/helm", PROGRAM)),
    "fake-gcs-server": tar(("LICENSE", b"other"), ("fake-gcs-server", PROGRAM)),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_release_is_verified_unpacked_and_found(mirror: Mirror, cache: Path, name: str) -> None:
    mirror.publish(name, ARCHIVES[name])
    said = get(name)
    found = toolchain.find(name)
    assert found is not None
    assert found.read_bytes() == PROGRAM
    assert found.stat().st_mode & 0o777 == 0o755
    assert [p.name for p in found.parent.iterdir()] == [name]
    assert left(cache) == {found.parent.name, "releases.lock.csv"}
    assert found.parent.name.startswith(f"{name}-{toolchain.TOOLS[name].version}-release-")
    assert f"[1/1] {name} {toolchain.TOOLS[name].version} from 127.0.0.1: 0.0 MB\n" in said


def test_a_zip_is_unpacked_too(mirror: Mirror, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releases, "here", lambda: ("darwin", "arm64"))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("etcd-v3.7.3-darwin-arm64/etcd", PROGRAM)
        archive.writestr("../../escaped", "other")
    mirror.publish("etcd", packed.getvalue(), ("darwin", "arm64"))
    get("etcd")
    assert toolchain.path("etcd").read_bytes() == PROGRAM
    assert not list(cache.parent.rglob("escaped"))


def test_downloaded_and_built_are_kept_apart(mirror: Mirror, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror.publish("kubectl", PROGRAM)
    get("kubectl")
    monkeypatch.delenv("TOOLCHAIN")
    assert toolchain.find("kubectl") is None
    built = cache / toolchain.TOOLS["kubectl"].key / "kubectl"
    built.parent.mkdir()
    built.write_text("built")
    assert toolchain.find("kubectl") == built
    monkeypatch.setenv("TOOLCHAIN", "download")
    assert toolchain.path("kubectl").read_bytes() == PROGRAM


def test_what_was_built_before_is_not_downloaded(mirror: Mirror, cache: Path) -> None:
    built = cache / toolchain.TOOLS["etcd"].key / "etcd"
    built.parent.mkdir(parents=True)
    built.write_text("built")
    toolchain.ensure(["etcd"])
    assert toolchain.find("etcd") == built
    assert not mirror.asked


def test_a_wrong_checksum_is_refused(mirror: Mirror, cache: Path) -> None:
    release = mirror.publish("kubectl", PROGRAM)
    mirror.files[path(release.url)] = b"something else"
    with pytest.raises(RuntimeError, match=r"(?s)kubectl.*is not what was published") as refused:
        get("kubectl")
    for part in (sha256(PROGRAM), sha256(b"something else"), path(release.url), "unset TOOLCHAIN"):
        assert part.lower() in str(refused.value).lower()
    assert left(cache) == set()


def test_a_body_that_ends_early_is_no_download(mirror: Mirror, cache: Path) -> None:
    release = mirror.publish("kubectl", PROGRAM)
    mirror.cut.add(path(release.url))
    with pytest.raises(RuntimeError, match="could not be fetched in 3 tries"):
        get("kubectl")
    assert mirror.asked[path(release.url)] == 3
    assert left(cache) == set()


@pytest.mark.parametrize("part", ["url", "checksums"])
def test_what_is_not_there_is_asked_for_once(mirror: Mirror, cache: Path, part: str) -> None:
    release = mirror.publish("helm", ARCHIVES["helm"])
    missing = path(getattr(release, part))
    del mirror.files[missing]
    with pytest.raises(RuntimeError, match=f"(?s){missing} was expected.*404.*unset TOOLCHAIN"):
        get("helm")
    assert mirror.asked[missing] == 1
    assert left(cache) == set()


def test_a_server_that_fails_twice_is_asked_a_third_time(mirror: Mirror, cache: Path) -> None:
    release = mirror.publish("kubectl", PROGRAM)
    mirror.fail = {path(release.url): [503, 429], path(release.checksums): [500, 502]}
    get("kubectl")
    assert toolchain.find("kubectl") is not None
    mirror.fail = {path(mirror.publish("helm", ARCHIVES["helm"]).url): [503, 503, 503]}
    with pytest.raises(RuntimeError, match="3 tries: the server answered 503"):
        get("helm")


NAME = "linux-amd64/helm"
NOT_A_PLAIN_HELM = {
    "other names": tar(("../../linux-amd64/helm", PROGRAM), ("/linux-amd64/helm", PROGRAM)),
    "symbolic link": tar(linked(NAME, "/etc/hostname")),
    "hard link": tar(("../escaped", PROGRAM), linked(NAME, "../escaped", tarfile.LNKTYPE)),
    "directory": tar(linked(NAME, "", tarfile.DIRTYPE)),
    "no archive": b"<html>sign in</html>",
    "half an archive": tar((NAME, PROGRAM * 99))[:60],
}


@pytest.mark.parametrize("kind", NOT_A_PLAIN_HELM)
def test_an_archive_without_the_plain_program_is_refused(mirror: Mirror, cache: Path, kind: str) -> None:
    mirror.publish("helm", NOT_A_PLAIN_HELM[kind])
    with pytest.raises(RuntimeError, match=r"get\.helm\.sh.*was expected to have linux-amd64/helm"):
        get("helm")
    assert left(cache) == set()


def test_members_that_lead_outside_are_left_alone(mirror: Mirror, cache: Path) -> None:
    outside = (("../escaped", b"x"), ("/tmp/../escaped", b"x"), linked("linux-amd64", "/"))
    mirror.publish("helm", tar(*outside, (NAME, PROGRAM), ("../../escaped", b"x")))
    get("helm")
    assert toolchain.path("helm").read_bytes() == PROGRAM
    assert not list(cache.parent.rglob("*escaped*"))


def test_ctrl_c_leaves_nothing(mirror: Mirror, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror.publish("kubectl", PROGRAM)

    def interrupted(http: object, url: str, target: Path, progress: object) -> str:
        target.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(fetch, "file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        get("kubectl")
    assert left(cache) == set()


@pytest.mark.parametrize("raised, code", [(KeyboardInterrupt(), 130), (RuntimeError("why"), "why")])
def test_the_command_ends_in_plain_words(
    cache: Path, monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: object
) -> None:
    def ensure(names: list[str]) -> None:
        raise raised

    monkeypatch.setattr("sys.argv", ["toolchain", "kubectl"])
    monkeypatch.setattr(command, "ensure", ensure)
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == code


def test_a_release_may_not_change_after_its_first_use(mirror: Mirror, cache: Path) -> None:
    release = mirror.publish("kubectl", PROGRAM)
    get("kubectl")
    shutil.rmtree(toolchain.path("kubectl").parent)
    mirror.publish("kubectl", b"replaced")
    with pytest.raises(RuntimeError, match=f"(?s){release.url} has changed: {sha256(PROGRAM)}.*releases.lock.csv"):
        get("kubectl")
    assert mirror.asked[path(release.url)] == 1
    mirror.publish("kubectl", PROGRAM)
    get("kubectl")
    assert toolchain.find("kubectl") is not None


def test_a_pin_must_match_and_needs_no_checksum_file(mirror: Mirror, cache: Path) -> None:
    release = mirror.publish("kubectl", b"replaced, and its checksum with it")
    pins.PINS.write_text(f"url,sha256\n{release.url},{sha256(PROGRAM)}\n")
    with pytest.raises(RuntimeError, match=rf"releases\.csv pins {sha256(PROGRAM)}"):
        get("kubectl")
    mirror.files = {path(release.url): PROGRAM}
    get("kubectl")
    assert not mirror.asked[path(release.checksums)]


def test_a_broken_pin_is_named(mirror: Mirror, cache: Path) -> None:
    pins.PINS.write_text("url,sha256\nhttps://dl.k8s.io/x,abc\n")
    with pytest.raises(RuntimeError, match=r"releases\.csv, line 2"):
        get("kubectl")


def test_pin_writes_what_every_project_publishes(mirror: Mirror, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files: dict[str, str] = {}
    for release in pins._all_releases():
        files[release.checksums] = files.get(release.checksums, "") + f"{sha256(release.url.encode())}  {release.file}\n"
    mirror.files = {path(url): text.encode() for url, text in files.items()}
    monkeypatch.setattr("sys.argv", ["toolchain", "--pin"])
    command.main()
    rows = pins.read(pins.PINS)
    assert rows == {url: sha256(url.encode()) for url in rows}
    # Six tools on four platforms, and Kubernetes' three servers on two.
    assert len(rows) == 6 * 4 + 3 * 2
    kubectl = releases.release(toolchain.TOOLS["kubectl"], LINUX)
    mirror.files[path(kubectl.checksums)] = sha256(b"other").encode()
    before = pins.PINS.read_text()
    with pytest.raises(SystemExit, match="is pinned as"):
        command.main()
    assert pins.PINS.read_text() == before


@pytest.mark.parametrize(
    "text",
    [
        "{0}",
        "{0}\n",
        "{0}  helm.tar.gz\n",
        "{0} *helm.tar.gz",
        "x  other\n{1}  other.tar.gz\n{0}  ./helm.tar.gz\n",
        "{2}  helm.tar.gz",
    ],
)
def test_checksum_files_come_in_several_forms(text: str) -> None:
    right, wrong = sha256(b"right"), sha256(b"wrong")
    wanted = releases.Release("https://x/helm.tar.gz", "https://x/sums", None)
    assert pins.published(text.format(right, wrong, right.upper()), wanted) == right


@pytest.mark.parametrize("text", ["", "<html>", "{0}  other.tar.gz", "{0}\n{0}\n", "{0}0", "{0}  helm.tar.gz.asc"])
def test_a_file_without_the_checksum_is_no_checksum(text: str) -> None:
    wanted = releases.Release("https://x/helm.tar.gz", "https://x/sums", None)
    with pytest.raises(RuntimeError, match=r"https://x/sums was expected to have the SHA-256 of helm\.tar\.gz"):
        pins.published(text.format(sha256(b"")), wanted)


def test_what_is_not_published_is_built_and_that_is_said(
    mirror: Mirror, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    built: list[str] = []
    monkeypatch.setattr(build, "build", lambda tools: built.extend(tool.name for tool in tools))
    monkeypatch.setattr(releases, "here", lambda: ("darwin", "arm64"))
    mirror.publish("kubectl", PROGRAM, ("darwin", "arm64"))
    toolchain.ensure(["kubectl", "kwok", "kube-scheduler"])
    assert built == ["kwok", "kube-scheduler"]
    said = " ".join(capsys.readouterr().err.split())
    assert "kwok 0.8.0 is built, not downloaded: its project publishes no checksums" in said
    assert "kube-scheduler 1.37.2 is built, not downloaded: Kubernetes publishes its servers for Linux only" in said


def test_on_a_foreign_platform_everything_is_built(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releases, "here", lambda: ("freebsd", "riscv64"))
    said = io.StringIO()
    tools = list(toolchain.TOOLS.values())
    assert download(tools, Console(file=said, width=200)) == tools
    assert "pulumi 3.259.0 is built, not downloaded: nothing is downloaded for freebsd/riscv64" in said.getvalue()


@pytest.mark.parametrize("asked", ["downlaod", "1", "BUILD"])
def test_another_word_is_refused_with_both(cache: Path, monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    monkeypatch.setenv("TOOLCHAIN", asked)
    with pytest.raises(RuntimeError, match=f"TOOLCHAIN='{asked}' is neither `build`.* nor `download`"):
        toolchain.ensure(["etcd"])


@pytest.mark.parametrize("given", ["artifacts.example/x", "ftp://me:secret@artifacts.example", "https://"])
def test_a_mirror_that_is_no_url_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("TOOLCHAIN_MIRROR", given)
    with pytest.raises(RuntimeError, match="TOOLCHAIN_MIRROR is no http") as refused:
        get("kubectl")
    assert "secret" not in str(refused.value)


def test_a_mirrors_password_is_used_and_not_shown(mirror: Mirror, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLCHAIN_MIRROR", os.environ["TOOLCHAIN_MIRROR"].replace("//", "//me:secret@", 1))
    with pytest.raises(RuntimeError, match=r"http://127\.0\.0\.1.*404") as refused:
        get("kubectl")
    assert "secret" not in str(refused.value)


def test_a_redirect_is_followed(mirror: Mirror, cache: Path) -> None:
    release = mirror.publish("kubectl", PROGRAM)
    mirror.files["/elsewhere"] = mirror.files.pop(path(release.url))
    mirror.moved[path(release.url)] = "/elsewhere"
    get("kubectl")
    assert toolchain.find("kubectl") is not None


def test_tls_is_not_left(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOOLCHAIN_MIRROR", raising=False)

    def answer(request: httpx2.Request) -> httpx2.Response:
        assert request.url.scheme == "https", "it was asked in plain text"
        return httpx2.Response(302, headers={"Location": "http://dl.k8s.io/plain"})

    with fetch.client() as http:
        http._transport = httpx2.MockTransport(answer)
        http._mounts = {}
        with pytest.raises(RuntimeError, match=r"a redirect to http://dl\.k8s\.io leaves TLS"):
            fetch.text(http, "https://dl.k8s.io/v1")
