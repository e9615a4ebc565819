"""GitHub and GitLab as `fleet.comment.sticky` sees them: the request's head, its comments, and who we are there."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from fleet.comment.body import GITHUB_LIMIT, GITLAB_LIMIT
from fleet.comment.http import Api, ForgeError


@dataclass(frozen=True)
class Comment:
    """One that stands; `ours` where our account wrote it, or a bot where the API cannot tell who we are."""

    id: int
    body: str
    url: str
    ours: bool


class Forge(Protocol):
    """One request of one repository."""

    @property
    def limit(self) -> int: ...

    def head(self) -> str: ...

    def comments(self) -> list[Comment]: ...

    def create(self, body: str) -> str: ...

    def update(self, comment: Comment, body: str) -> str: ...

    def delete(self, comment: Comment) -> None: ...


class GitHub:
    """A pull request. A workflow's own token may not ask who it is; then a bot with our marker is us."""

    limit = GITHUB_LIMIT

    def __init__(self, url: str, repository: str, number: int, token: str, sleep: Callable[[float], None] = time.sleep) -> None:
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        right = "give the job `permissions: pull-requests: write`; a workflow that a fork's pull request starts never has it"
        self._api = Api(url, token, headers, env="GITHUB_TOKEN", right=right, sleep=sleep)
        self._repository, self._number = f"/repos/{repository}", number

    def head(self) -> str:
        return str(self._api.call("GET", f"{self._repository}/pulls/{self._number}")["head"]["sha"])

    def comments(self) -> list[Comment]:
        me = _who(self._api)
        found = self._api.pages(f"{self._repository}/issues/{self._number}/comments?per_page=100")
        # A deleted account leaves a comment without a user.
        users = [(one, one.get("user") or {}) for one in found]
        return [
            Comment(
                one["id"], one.get("body") or "", one["html_url"], user.get("id") == me if me else user.get("type") == "Bot"
            )
            for one, user in users
        ]

    def create(self, body: str) -> str:
        made = self._api.call("POST", f"{self._repository}/issues/{self._number}/comments", {"body": body})
        return str(made["html_url"])

    def update(self, comment: Comment, body: str) -> str:
        self._api.call("PATCH", f"{self._repository}/issues/comments/{comment.id}", {"body": body})
        return comment.url

    def delete(self, comment: Comment) -> None:
        _gone(lambda: self._api.call("DELETE", f"{self._repository}/issues/comments/{comment.id}"))


class GitLab:
    """A merge request."""

    limit = GITLAB_LIMIT
    _BOT = re.compile(r"(project|group)_\d+_bot.*")

    def __init__(self, url: str, project: str, number: int, token: str, sleep: Callable[[float], None] = time.sleep) -> None:
        right = "it needs the scope `api` and at least the role Reporter; a job's own CI_JOB_TOKEN may not comment"
        self._api = Api(url, token, {"PRIVATE-TOKEN": token}, env="GITLAB_TOKEN", right=right, sleep=sleep)
        self._request = f"/projects/{quote(project, safe='')}/merge_requests/{number}"
        self._page = ""

    def head(self) -> str:
        return str(self._about()["sha"])

    def comments(self) -> list[Comment]:
        me, page = _who(self._api), self._about()["web_url"]
        self._page = page
        found = self._api.pages(f"{self._request}/notes?per_page=100&sort=asc&order_by=created_at")
        return [Comment(one["id"], one["body"], f"{page}#note_{one['id']}", self._ours(one["author"], me)) for one in found]

    def create(self, body: str) -> str:
        made = self._api.call("POST", f"{self._request}/notes", {"body": body})
        return f"{self._page}#note_{made['id']}"

    def update(self, comment: Comment, body: str) -> str:
        self._api.call("PUT", f"{self._request}/notes/{comment.id}", {"body": body})
        return comment.url

    def delete(self, comment: Comment) -> None:
        _gone(lambda: self._api.call("DELETE", f"{self._request}/notes/{comment.id}"))

    def _about(self) -> dict[str, str]:
        about: dict[str, str] = self._api.call("GET", self._request)
        return about

    def _ours(self, author: dict[str, object], me: int | None) -> bool:
        return author.get("id") == me if me else bool(self._BOT.fullmatch(str(author.get("username"))))


def _who(api: Api) -> int | None:
    """The token's own account; None where it may not ask."""
    try:
        return int(api.call("GET", "/user")["id"])
    except ForgeError as refused:
        if refused.status in (403, 404):
            return None
        raise


def _gone(delete: Callable[[], object]) -> None:
    try:
        delete()
    except ForgeError as refused:
        # Another run of ours was quicker.
        if refused.status != 404:
            raise
