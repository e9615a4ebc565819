"""The comment on a forge: real HTTP to local servers that answer as GitHub and GitLab do, pages and failures too."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import Result as Ended
from typer.testing import CliRunner

from fleet.cli import app
from fleet.comment.body import Wanted, render
from fleet.comment.forges import Forge, GitHub, GitLab
from fleet.comment.http import ForgeError
from fleet.comment.sticky import Action, post

pytestmark = pytest.mark.enable_socket
HEAD = "a" * 40
TOKEN = "secret-token-0123456789"
ME, SOMEBODY = (
    {"id": 7, "login": "me", "type": "User", "username": "me"},
    {"id": 8, "login": "x", "type": "User", "username": "x"},
)
BOT = {"id": 9, "login": "github-actions[bot]", "type": "Bot", "username": "project_1_bot_ab"}


@dataclass
class FakeForge:
    """What a server holds. `failures`: answers to give first to a method, (status, headers, done all the same)."""

    url: str = ""
    head: str = HEAD
    who: int = 200
    per_page: int = 2
    comments: list[dict[str, Any]] = field(default_factory=list)
    failures: dict[str, list[tuple[int, dict[str, str], bool]]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    next_host: str = ""
    slept: list[float] = field(default_factory=list)
    author: dict[str, Any] = field(default_factory=lambda: dict(ME))

    def stands(self, body: str, author: dict[str, Any]) -> int:
        made = 100 + len(self.comments)
        where = f"{self.url}/c/{made}"
        self.comments.append({"id": made, "body": body, "user": author, "author": author, "html_url": where})
        return made

    def bodies(self) -> list[str]:
        return [one["body"] for one in self.comments]

    def writes(self) -> list[str]:
        return [call for call in self.calls if not call.startswith("GET")]


class Handler(BaseHTTPRequestHandler):
    forge: FakeForge

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, document: object = None, headers: dict[str, str] | None = None) -> None:
        content = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _any(self) -> None:
        forge, asked = self.forge, urlsplit(self.path)
        sent = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
        forge.calls.append(f"{self.command} {asked.path}")
        forge.tokens.add(self.headers.get("Authorization") or self.headers.get("PRIVATE-TOKEN") or "")
        failures = forge.failures.get(self.command, [])
        if failures and not asked.path.endswith("/user"):
            status, headers, done = failures.pop(0)
            if done:
                self._do(asked.path, sent)
            if not status:
                self.close_connection = True
                return
            self._answer(status, {"message": f"said {status} about {TOKEN}"}, headers)
            return
        self._answer(*self._found(asked.path, parse_qs(asked.query), sent))

    def _found(self, path: str, query: dict[str, list[str]], sent: dict[str, str]) -> tuple[Any, ...]:
        forge = self.forge
        if path == "/user":
            return (200, ME) if forge.who == 200 else (forge.who, {"message": "Resource not accessible by integration"})
        if path in ("/repos/acme/fleet/pulls/5", "/projects/acme%2Ffleet/merge_requests/5"):
            return 200, {"head": {"sha": forge.head}, "sha": forge.head, "web_url": f"{forge.url}/mr/5"}
        if self.command == "GET":
            page = int(query.get("page", ["1"])[0])
            start = (page - 1) * forge.per_page
            base = forge.next_host or forge.url
            more = start + forge.per_page < len(forge.comments)
            link = {"Link": f'<{base}{path}?per_page=100&page={page + 1}>; rel="next"'} if more else {}
            return 200, forge.comments[start : start + forge.per_page], link
        return self._do(path, sent)

    def _do(self, path: str, sent: dict[str, str]) -> tuple[Any, ...]:
        forge = self.forge
        if self.command == "POST":
            forge.stands(sent["body"], forge.author)
            return 201, forge.comments[-1]
        number = int(path.rpartition("/")[2])
        (one,) = [c for c in forge.comments if c["id"] == number]
        if self.command == "DELETE":
            forge.comments.remove(one)
            return (204,)
        one["body"] = sent["body"]
        return 200, one

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _any  # noqa: N815 - the names http.server calls


@pytest.fixture
def fake() -> Iterator[FakeForge]:
    forge = FakeForge()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"forge": forge}))
    server.daemon_threads = True
    forge.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield forge
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["github", "gitlab"])
def forge(request: pytest.FixtureRequest, fake: FakeForge) -> Forge:
    kind = GitHub if request.param == "github" else GitLab
    return kind(fake.url, "acme/fleet", 5, TOKEN, sleep=fake.slept.append)


def wanted(text: str = "+1 pool", key: str = "default", commit: str = HEAD) -> Wanted:
    return Wanted(key, commit, "Preview", {"aws-prod": text})


def ours(**changes: str) -> str:
    return render(wanted(**changes), 65_536)


def test_a_comment_is_made_then_kept_then_updated_then_cleared(fake: FakeForge, forge: Forge) -> None:
    made = post(forge, wanted())
    assert made.action is Action.CREATED
    assert post(forge, wanted()) == type(made)(Action.UNCHANGED, made.url)
    assert len(fake.writes()) == 1
    assert post(forge, wanted("-1 pool")) == type(made)(Action.UPDATED, made.url)
    assert post(forge, wanted("")) == type(made)(Action.CLEARED, made.url)
    (body,) = fake.bodies()
    assert "No changes." in body
    assert "pool" not in body
    assert fake.tokens <= {f"Bearer {TOKEN}", TOKEN}


def test_where_nothing_changes_and_none_stands_none_is_made(fake: FakeForge, forge: Forge) -> None:
    assert post(forge, wanted(" \n")).action is Action.UNCHANGED
    assert fake.writes() == []


def test_our_comment_is_found_on_the_last_page_and_nobody_elses_is_touched(fake: FakeForge, forge: Forge) -> None:
    others = ["hello", ours(text="forged"), ours(key="costs"), f"quoted\n{ours()}", "a"]
    for body in others:
        fake.stands(body, ME if "costs" in body or "quoted" in body else SOMEBODY)
    fake.stands(ours(text="old"), ME)
    assert post(forge, wanted()).action is Action.UPDATED
    assert fake.bodies() == [*others, ours()]


def test_another_key_has_another_comment(fake: FakeForge, forge: Forge) -> None:
    post(forge, wanted())
    assert post(forge, wanted(key="costs")).action is Action.CREATED
    assert len(fake.comments) == 2


def test_doubles_of_ours_are_deleted_and_the_oldest_stays(fake: FakeForge, forge: Forge) -> None:
    for author in (SOMEBODY, ME, ME, ME):
        fake.stands(ours(text="old"), author)
    post(forge, wanted())
    assert [one["id"] for one in fake.comments] == [100, 101]
    assert fake.bodies() == [ours(text="old"), ours()]


def test_a_writer_whose_commit_is_not_the_head_leaves_the_comment_alone(fake: FakeForge, forge: Forge) -> None:
    fake.head = "b" * 40
    fake.stands(ours(text="newer", commit="b" * 40), ME)
    done = post(forge, wanted())
    assert (done.action, done.head) == (Action.STALE, "b" * 40)
    assert fake.writes() == []


def test_a_token_that_may_not_ask_who_it_is_takes_a_bots_comment_for_ours(fake: FakeForge, forge: Forge) -> None:
    fake.who = 403
    fake.stands(ours(text="forged"), SOMEBODY)
    fake.stands(ours(text="old"), BOT)
    assert post(forge, wanted()).action is Action.UPDATED
    assert fake.bodies() == [ours(text="forged"), ours()]


def test_a_post_whose_answer_was_lost_makes_no_second_comment(fake: FakeForge, forge: Forge) -> None:
    fake.failures["POST"] = [(502, {}, True)]
    assert post(forge, wanted()).action is Action.CREATED
    assert fake.bodies() == [ours()]


def test_a_post_that_failed_is_tried_again_a_few_times(fake: FakeForge, forge: Forge) -> None:
    fake.failures["POST"] = [(502, {}, False)]
    assert post(forge, wanted()).action is Action.CREATED
    assert len(fake.comments) == 1
    fake.comments.clear()
    fake.failures["POST"] = [(502, {}, False)] * 9
    with pytest.raises(ForgeError, match="502"):
        post(forge, wanted())
    assert len(fake.failures["POST"]) == 6


@pytest.mark.parametrize("method", ["GET", "WRITE"])
def test_limits_and_broken_servers_are_waited_for(method: str, fake: FakeForge, forge: Forge) -> None:
    fake.stands(ours(text="old"), ME)
    verb = "GET" if method == "GET" else "PATCH" if isinstance(forge, GitHub) else "PUT"
    fake.failures[verb] = [(429, {"Retry-After": "7"}, False), (502, {}, False), (429, {"Retry-After": "9999"}, False)]
    assert post(forge, wanted()).action is Action.UPDATED
    assert fake.slept == [7.0, 2.0, 60.0]


def test_githubs_other_limit_is_waited_for_too(fake: FakeForge, forge: Forge) -> None:
    fake.failures["POST"] = [(403, {"Retry-After": "3"}, False)]
    assert post(forge, wanted()).action is Action.CREATED
    assert (fake.slept, len(fake.comments)) == ([3.0], 1)


def test_a_post_whose_connection_broke_makes_no_second_comment(fake: FakeForge, forge: Forge) -> None:
    fake.failures["POST"] = [(0, {}, True)]
    assert post(forge, wanted()).action is Action.CREATED
    assert fake.bodies() == [ours()]


def test_a_double_that_is_gone_already_is_no_failure(fake: FakeForge, forge: Forge) -> None:
    for _ in range(2):
        fake.stands(ours(), ME)
    fake.failures["DELETE"] = [(404, {}, True)]
    assert post(forge, wanted()).action is Action.UNCHANGED


def test_line_ends_and_blanks_that_a_forge_changed_are_no_change(fake: FakeForge, forge: Forge) -> None:
    fake.stands(ours().replace("\n", "\r\n") + "\n", ME)
    assert post(forge, wanted()).action is Action.UNCHANGED
    assert fake.writes() == []


def test_waiting_has_an_end(fake: FakeForge, forge: Forge) -> None:
    fake.failures["GET"] = [(503, {}, False)] * 9
    with pytest.raises(ForgeError, match="503"):
        post(forge, wanted())
    assert fake.slept == [1.0, 2.0, 4.0, 8.0]


@pytest.mark.parametrize(("status", "said"), [(401, "not valid"), (403, "may not do this"), (404, "number"), (422, "locked")])
def test_a_refusal_says_how_to_mend_it_and_never_the_token(status: int, said: str, fake: FakeForge, forge: Forge) -> None:
    fake.failures["POST"] = [(status, {}, False)]
    with pytest.raises(ForgeError, match=said) as refused:
        post(forge, wanted())
    assert TOKEN not in str(refused.value)
    assert "***" in str(refused.value)
    assert len(fake.writes()) == 1


def test_a_token_that_is_not_valid_is_said_to_be(fake: FakeForge, forge: Forge) -> None:
    fake.who = 401
    with pytest.raises(ForgeError, match=r"G\w+_TOKEN to one that is"):
        post(forge, wanted())


def test_the_token_goes_to_no_other_host(fake: FakeForge, forge: Forge) -> None:
    for _ in range(3):
        fake.stands("a", SOMEBODY)
    fake.next_host = "http://localhost:1"
    with pytest.raises(ForgeError, match="not followed"):
        post(forge, wanted())


def test_a_server_that_is_not_there_is_said_to_be(forge: Forge) -> None:
    nowhere = GitHub("http://127.0.0.1:1", "acme/fleet", 5, TOKEN, sleep=lambda _: None)
    with pytest.raises(ForgeError, match="not reached"):
        post(nowhere, wanted())


@pytest.fixture
def job(fake: FakeForge, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A directory of sections in a job of both forges."""
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "aws-prod.md").write_text("+1 pool")
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 5, "head": {"sha": HEAD}}}))
    for name, value in {
        "GITHUB_API_URL": fake.url,
        "GITHUB_REPOSITORY": "acme/fleet",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_TOKEN": TOKEN,
        "CI_API_V4_URL": fake.url,
        "CI_PROJECT_ID": "acme/fleet",
        "CI_MERGE_REQUEST_IID": "5",
        "CI_COMMIT_SHA": HEAD,
        "GITLAB_TOKEN": TOKEN,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", raising=False)
    return tmp_path


def run(*words: object) -> Ended:
    return CliRunner().invoke(app, ["comment", *map(str, words)], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_a_job_needs_no_flag_but_the_sections(kind: str, job: Any, fake: FakeForge) -> None:
    done = run(kind, "--sections", job / "s", "--format", "json")
    assert (done.exit_code, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["action"] == "created"
    assert document["url"].startswith(fake.url)
    assert "### `aws-prod`\n\n+1 pool" in fake.bodies()[0]
    assert run(kind, "--section", f"aws-prod={job}/s/aws-prod.md").stdout.startswith("unchanged http")


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_a_stale_job_says_so_and_does_not_fail(kind: str, job: Any, fake: FakeForge) -> None:
    fake.head = "b" * 40
    done = run(kind, "--sections", job / "s")
    assert done.exit_code == 0
    assert "left alone: the request's head is bbbbbbbbbbbb" in done.stdout


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_a_dry_run_needs_no_token_and_calls_nobody(
    kind: str, job: Any, fake: FakeForge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_TOKEN")
    monkeypatch.delenv("GITLAB_TOKEN")
    done = run(kind, "--sections", job / "s", "--dry-run", "--title", "Mine")
    assert done.exit_code == 0
    assert "## Mine" in done.stdout
    assert fake.calls == []


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_without_a_token_the_machine_lacks_something(
    kind: str, job: Any, fake: FakeForge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(f"{kind.upper()}_TOKEN")
    done = run(kind, "--sections", job / "s")
    assert (done.exit_code, done.stdout) == (3, "")
    assert f"{kind.upper()}_TOKEN is not set" in done.stderr
    assert fake.calls == []


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_a_refusal_is_code_1_without_the_token(kind: str, job: Any, fake: FakeForge) -> None:
    fake.failures["POST"] = [(403, {}, False)]
    done = run(kind, "--sections", job / "s")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "may not do this" in done.stderr
    assert TOKEN not in done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "say --section NAME=FILE"),
        ("--sections nowhere", "is no directory"),
        ("--section aws", "is not NAME=FILE"),
        ("--section a=no.md", "No such file"),
        ("--section a=binary.md", "utf-8"),
        ("--section a=large.md", "larger than"),
        ("--section a|b=s/aws-prod.md", "letters, digits"),
        ("--sections s --section aws-prod=s/aws-prod.md", "two files"),
        ("--sections s --key a--b", "small letters"),
        ("--sections s --commit main", "is not a commit's SHA"),
        ("--sections s --link javascript:x", "no http(s) address"),
        ("--sections s --number 0", "--number"),
        ("--sections s --format xml", "--format"),
    ],
)
@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_wrong_usage_is_code_2(
    kind: str, words: str, said: str, job: Any, fake: FakeForge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(job)
    (job / "binary.md").write_bytes(b"\xff")
    (job / "large.md").write_bytes(b"a" * 2_000_001)
    done = run(kind, *words.split())
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in re.sub(r"[│\s]+", " ", done.stderr)
    assert fake.calls == []


def test_in_a_pipeline_of_merged_results_the_commit_is_the_branchs(
    job: Any, fake: FakeForge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", HEAD)
    monkeypatch.setenv("CI_COMMIT_SHA", "c" * 40)
    assert run("gitlab", "--sections", job / "s").stdout.startswith("created http")


def test_outside_a_job_the_flags_that_lack_are_named(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_EVENT_PATH")
    assert "--commit" in run("github", "--sections", job / "s").stderr
    assert "--number" in run("github", "--sections", job / "s", "--commit", HEAD).stderr
    monkeypatch.delenv("CI_MERGE_REQUEST_IID")
    assert "--number" in run("gitlab", "--sections", job / "s").stderr


def test_an_event_that_is_no_json_is_wrong_usage(job: Any) -> None:
    (job / "event.json").write_text("{")
    done = run("github", "--sections", job / "s")
    assert done.exit_code == 2
    assert "GITHUB_EVENT_PATH" in done.stderr
