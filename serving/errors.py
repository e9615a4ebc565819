"""What goes wrong: a request that is refused, a model that cannot be served, a process that cannot work any more.

Owns the statuses and their gRPC codes. Refuses to say 500 of what a client did: a client's fault is a 4xx with a reason.
"""

from __future__ import annotations

from http import HTTPStatus


class Refusal(Exception):
    """A request that gets no answer.

    Attributes:
        status: HTTP status.
        reason: for the client: what is wrong, and where.
        retry_after_s: whole seconds after which asking again may help.
    """

    def __init__(self, status: HTTPStatus, reason: str, retry_after_s: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s


def malformed(reason: str) -> Refusal:
    """The client's own fault: 400."""
    return Refusal(HTTPStatus.BAD_REQUEST, reason)


class BadInput(Exception):
    """The runtime took the tensors and the model could not work with them, such as an index past a table's end."""


class Broken(Exception):
    """The process cannot run this model any more, such as after a CUDA fault: only a restart mends it."""


class ModelError(Exception):
    """A model that cannot be served: what, where and how to mend it. Ends the process with status 1."""


class UsageError(ModelError):
    """Wrong flags or a wrong model.yaml. Ends the process with status 2."""


class Missing(ModelError):
    """A package or device that is not on this machine. Ends the process with status 3."""
