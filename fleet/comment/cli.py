"""`fleet comment github|gitlab`: reads flags, a CI job's variables and section files, calls, shows.

Tokens come from the environment alone: an argument would stand in the process list and in the job's log.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from fleet.comment.body import GITHUB_LIMIT, GITLAB_LIMIT, KEY, Wanted, render
from fleet.said import complain

if TYPE_CHECKING:
    from fleet.comment.forges import Forge

app = typer.Typer(no_args_is_help=True, help="One comment on a pull or merge request for all stacks: github, gitlab.")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# Of one section: twice what the larger forge takes of a whole comment.
_LARGEST = 2_000_000
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_LINK = re.compile(r"https?://[^\s()<>]+")

Section = Annotated[list[str] | None, typer.Option("--section", help="NAME=FILE of one stack's markdown; repeatable.")]
Sections = Annotated[Path | None, typer.Option("--sections", help="Directory with a NAME.md for each stack.")]
Title = Annotated[str, typer.Option("--title", help="The comment's heading.")]
Key = Annotated[str, typer.Option("--key", help="Which comment: two pipelines with two keys have two comments.")]
Commit = Annotated[str | None, typer.Option("--commit", help="Commit that the sections were made from. Default: the job's.")]
Link = Annotated[str, typer.Option("--link", help="Address of the full report.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the body; call nobody.")]
AsFormat = Annotated[Literal["text", "json"], typer.Option("--format", help="`json` prints one document on stdout.")]
Number = Annotated[int | None, typer.Option("--number", min=1, help="The request's number. Default: the job's.")]


@app.command()
def github(
    section: Section = None,
    sections: Sections = None,
    title: Title = "Fleet preview",
    commit: Commit = None,
    key: Key = "default",
    link: Link = "",
    repository: Annotated[str | None, typer.Option("--repository", help="OWNER/NAME. Default: GITHUB_REPOSITORY.")] = None,
    number: Number = None,
    dry_run: DryRun = False,
    as_: AsFormat = "text",
) -> None:
    """Comment on a pull request; the token is GITHUB_TOKEN.

    Example: `fleet comment github --sections out/sections`
    """
    event = _event()
    request = event.get("pull_request") if isinstance(event.get("pull_request"), dict) else {}
    # GITHUB_SHA is of the merge that GitHub tries, which is nobody's head.
    wanted = _wanted(section, sections, title, commit or (request or {}).get("head", {}).get("sha"), key, link)

    def forge() -> Forge:
        from fleet.comment.forges import GitHub  # noqa: PLC0415 - `fleet check` need not pay for HTTP

        where = repository or os.environ.get("GITHUB_REPOSITORY") or _lacks("--repository", "GITHUB_REPOSITORY")
        if not re.fullmatch(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+", where):
            raise typer.BadParameter(f"{where!r} is not OWNER/NAME", param_hint="--repository")
        of = number or (request or {}).get("number") or _lacks("--number", "GITHUB_EVENT_PATH of a pull_request event")
        return GitHub(os.environ.get("GITHUB_API_URL") or "https://api.github.com", where, int(of), _token("GITHUB_TOKEN"))

    _post(forge, wanted, GITHUB_LIMIT, dry_run, as_)


@app.command()
def gitlab(
    section: Section = None,
    sections: Sections = None,
    title: Title = "Fleet preview",
    commit: Commit = None,
    key: Key = "default",
    link: Link = "",
    project: Annotated[str | None, typer.Option("--project", help="Id or path. Default: CI_PROJECT_ID.")] = None,
    number: Number = None,
    dry_run: DryRun = False,
    as_: AsFormat = "text",
) -> None:
    """Comment on a merge request; the token is GITLAB_TOKEN.

    Example: `fleet comment gitlab --sections out/sections`
    """
    env = os.environ
    # In a pipeline of merged results CI_COMMIT_SHA is the merge's.
    of_job = env.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or env.get("CI_COMMIT_SHA")
    wanted = _wanted(section, sections, title, commit or of_job, key, link)

    def forge() -> Forge:
        from fleet.comment.forges import GitLab  # noqa: PLC0415

        where = project or env.get("CI_PROJECT_ID") or _lacks("--project", "CI_PROJECT_ID")
        iid = env.get("CI_MERGE_REQUEST_IID", "")
        of = number or (int(iid) if iid.isdecimal() else 0) or _lacks("--number", "CI_MERGE_REQUEST_IID")
        return GitLab(env.get("CI_API_V4_URL") or "https://gitlab.com/api/v4", where, of, _token("GITLAB_TOKEN"))

    _post(forge, wanted, GITLAB_LIMIT, dry_run, as_)


def _post(forge: Callable[[], Forge], wanted: Wanted, limit: int, dry_run: bool, as_: str) -> None:
    if dry_run:
        print(render(wanted, limit))  # noqa: T201
        return
    from fleet.comment.http import ForgeError  # noqa: PLC0415
    from fleet.comment.sticky import Action, post  # noqa: PLC0415

    try:
        done = post(forge(), wanted)
    except ForgeError as problem:
        complain(problem)
        raise typer.Exit(1) from None
    if as_ == "json":
        print(json.dumps(done.as_json(), indent=2))  # noqa: T201
        return
    why = {
        Action.STALE: f"left alone: the request's head is {done.head[:12]}, the sections are of {wanted.commit[:12]}",
        Action.UNCHANGED: "unchanged" if done.url else "nothing changes and no comment stands: none made",
    }
    print(" ".join(filter(None, (why.get(done.action, done.action.value), done.url))))  # noqa: T201


def _wanted(section: list[str] | None, directory: Path | None, title: str, commit: str | None, key: str, link: str) -> Wanted:
    commit = (commit or _lacks("--commit", "a commit among the job's variables")).lower()
    if not _COMMIT.fullmatch(commit):
        raise typer.BadParameter(f"{commit!r} is not a commit's SHA of 7 digits or more", param_hint="--commit")
    if not KEY.fullmatch(key) or len(key) > 64:
        raise typer.BadParameter(f"{key!r}: use small letters and digits, single - . _ between them", param_hint="--key")
    if link and not _LINK.fullmatch(link):
        raise typer.BadParameter(f"{link!r} is no http(s) address without blanks and brackets", param_hint="--link")
    if not title.strip() or "\n" in title or len(title) > 200:
        raise typer.BadParameter("one line, 1 to 200 characters", param_hint="--title")
    return Wanted(key, commit, title.strip(), _read(section, directory), link)


def _read(section: list[str] | None, directory: Path | None) -> dict[str, str]:
    """Markdown by stack, in the order of names."""
    if not section and not directory:
        raise typer.BadParameter("say --section NAME=FILE or --sections DIR", param_hint="--sections")
    if directory and not directory.is_dir():
        raise typer.BadParameter(f"{directory} is no directory", param_hint="--sections")
    files = [(file.stem, file) for file in sorted(directory.glob("*.md"))] if directory else []
    for one in section or []:
        name, is_pair, file = one.partition("=")
        if not is_pair or not file:
            raise typer.BadParameter(f"{one!r} is not NAME=FILE", param_hint="--section")
        files.append((name, Path(file)))
    made: dict[str, str] = {}
    for name, path in files:
        if not _NAME.fullmatch(name):
            raise typer.BadParameter(f"{name!r}: a name has letters, digits and . _ - only", param_hint="--section")
        if name in made:
            raise typer.BadParameter(f"{name} has two files", param_hint="--section")
        try:
            if path.stat().st_size > _LARGEST:
                raise typer.BadParameter(f"{path} is larger than {_LARGEST:,} bytes", param_hint="--section")
            made[name] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            raise typer.BadParameter(f"{path}: {problem}", param_hint="--section") from None
    return dict(sorted(made.items()))


def _event() -> dict[str, Any]:
    """The event that started a GitHub job; empty elsewhere."""
    path = os.environ.get("GITHUB_EVENT_PATH")
    if not path:
        return {}
    try:
        event = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise typer.BadParameter(f"GITHUB_EVENT_PATH {path}: {problem}") from None
    return event if isinstance(event, dict) else {}


def _lacks(flag: str, variable: str) -> NoReturn:
    raise typer.BadParameter(f"say {flag}: this job has no {variable}", param_hint=flag)


def _token(name: str) -> str:
    token = os.environ.get(name, "").strip()
    if not token:
        complain(f"{name} is not set: put a token that may comment there (docs/comment.md), or add --dry-run")
        raise typer.Exit(3)
    return token
