"""One comment a request and key: found, made, updated or left alone. It owns the decision; a forge only does it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from fleet.comment.body import Wanted, key_of, render
from fleet.comment.forges import Comment, Forge
from fleet.comment.http import UnsureError

_TRIES_TO_CREATE = 3


class Action(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    STALE = "stale"
    CLEARED = "cleared"


@dataclass(frozen=True)
class Done:
    """What was done; `url` is empty where no comment stands."""

    action: Action
    url: str = ""
    head: str = ""

    def as_json(self) -> dict[str, object]:
        return {"version": 1, "action": self.action.value, "url": self.url or None}


def post(forge: Forge, wanted: Wanted) -> Done:
    """Make the request's comment say what is wanted, unless the request has moved on from the commit.

    Raises:
        ForgeError: the forge refused, or did not answer.
    """
    body = render(wanted, forge.limit)
    mine = _mine(forge, wanted.key)
    # Asked last, so that a push during the search for our comment is noticed.
    head = forge.head()
    if not head.startswith(wanted.commit):
        return Done(Action.STALE, mine[0].url if mine else "", head)
    if not mine:
        return Done(Action.UNCHANGED) if wanted.quiet else _create(forge, wanted.key, body)
    first = mine[0]
    same = _as_kept(first.body) == _as_kept(body)
    if not same:
        forge.update(first, body)
    for double in mine[1:]:
        forge.delete(double)
    return Done(Action.UNCHANGED if same else Action.CLEARED if wanted.quiet else Action.UPDATED, first.url)


def _mine(forge: Forge, key: str) -> list[Comment]:
    """Our comments with this key, the oldest first."""
    return sorted((one for one in forge.comments() if one.ours and key_of(one.body) == key), key=lambda one: one.id)


def _create(forge: Forge, key: str, body: str) -> Done:
    for tried in range(1, _TRIES_TO_CREATE + 1):
        try:
            return Done(Action.CREATED, forge.create(body))
        except UnsureError:
            made = _mine(forge, key)
            if made:
                return Done(Action.CREATED, made[0].url)
            if tried == _TRIES_TO_CREATE:
                raise
    raise AssertionError("the last try returns or raises")


def _as_kept(body: str) -> str:
    """A body as forges give it back: other line ends, no blank at its end."""
    return body.replace("\r\n", "\n").strip()
