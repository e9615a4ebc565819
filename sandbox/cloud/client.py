"""How plugins, the CLI and tests talk to the daemon: one POST a call, with a token, so that a lost answer can be asked for
again and nothing is made twice (as by EC2's client tokens and Google's request ids). Bounded, with jitter; what the cloud
itself refused is not tried again.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

from sandbox.cloud.errors import CloudError

# A cluster's start-up on a busy two-core machine stays well under this.
_TIMEOUT_S = 600
_TRIES = 5
_AGAIN = frozenset({429, 500, 502, 503, 504})
TOKEN_HEADER = "x-request-token"  # noqa: S105 - the header's name


def home() -> Path:
    """The sandbox's directory: $ACCELFLEET_SANDBOX, else `.sandbox` in the repository."""
    chosen = os.environ.get("ACCELFLEET_SANDBOX")
    return Path(chosen) if chosen else Path(__file__).resolve().parents[2] / ".sandbox"


class Client:
    """A connection to the daemon of one sandbox.

    Raises:
        CloudError: code `SandboxDown` where no daemon answers, else what the cloud refused.
    """

    def __init__(self, directory: Path | None = None, timeout_s: float = _TIMEOUT_S) -> None:
        self._about = (directory or home()) / "daemon.json"
        self._timeout_s = timeout_s

    def call(self, route: str, **query: Any) -> Any:
        """One request; what was broken on its way is sent again, and the daemon does nothing twice for one token."""
        headers = {"content-type": "application/json", TOKEN_HEADER: uuid.uuid4().hex}
        request = urllib.request.Request(f"{self._url()}/{route}", json.dumps(query).encode(), headers)  # noqa: S310
        for tried in range(1, _TRIES + 1):
            try:
                return self._answer(request)
            except _Broken as broken:
                if tried == _TRIES:
                    raise CloudError("SandboxDown", f"the sandbox did not answer in {_TRIES} tries: {broken}", 503) from None
            time.sleep(random.uniform(0.5, 1) * 0.1 * 2**tried)  # noqa: S311 - jitter
        raise AssertionError("the last try returns or raises")

    def _url(self) -> str:
        try:
            return str(json.loads(self._about.read_text())["url"])
        except (OSError, ValueError):
            raise CloudError("SandboxDown", "no sandbox is running: `fleet sandbox up` starts one", 503) from None

    def _answer(self, request: urllib.request.Request) -> Any:
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s) as reply:  # noqa: S310
                return json.loads(reply.read())
        except urllib.error.HTTPError as error:
            body = error.read()
            try:
                refusal = json.loads(body)
                refused = CloudError(refusal["code"], refusal["message"], error.code)
            except (ValueError, KeyError, TypeError):
                said = f"{error.code} {body.decode(errors='replace')[:500]}"
                if error.code in _AGAIN:
                    raise _Broken(said) from None
                raise CloudError("InternalError", said, error.code) from None
            raise refused from None
        except (urllib.error.URLError, OSError, http.client.HTTPException, ValueError) as error:
            if isinstance(getattr(error, "reason", error), ConnectionRefusedError):
                raise CloudError(
                    "SandboxDown", f"the sandbox does not answer ({error}): `fleet sandbox up` starts it", 503
                ) from None
            raise _Broken(str(error) or type(error).__name__) from None


class _Broken(Exception):
    """No answer, half of one, or one that is not the daemon's own: nobody can tell whether anything was done."""
