"""How a cloud says no."""

from __future__ import annotations


class CloudError(Exception):
    """A refusal, with the cloud's own error code (`ResourceInUseException`, `alreadyExists`, `QuotaExceeded`…)."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def not_found(what: str) -> CloudError:
    return CloudError("NotFound", f"{what} does not exist", 404)


def already_exists(what: str) -> CloudError:
    return CloudError("AlreadyExists", f"{what} already exists", 409)
