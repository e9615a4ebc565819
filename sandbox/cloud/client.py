"""How plugins, the CLI and tests talk to the daemon: one POST a call, retried only where nothing can have happened."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from sandbox.cloud.errors import CloudError

# A cluster's start-up on a busy two-core machine stays well under this.
_TIMEOUT_S = 600


def home() -> Path:
    """The sandbox's directory: $ACCELFLEET_SANDBOX, else `.sandbox` in the repository."""
    chosen = os.environ.get("ACCELFLEET_SANDBOX")
    return Path(chosen) if chosen else Path(__file__).resolve().parents[2] / ".sandbox"


class Client:
    """A connection to the daemon of one sandbox.

    Raises:
        CloudError: code `SandboxDown` where no daemon answers, else what the cloud refused.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._about = (directory or home()) / "daemon.json"

    def call(self, route: str, **query: Any) -> Any:
        try:
            url = json.loads(self._about.read_text())["url"]
        except (OSError, ValueError):
            raise CloudError("SandboxDown", "no sandbox is running: `fleet sandbox up` starts one", 503) from None
        request = urllib.request.Request(f"{url}/{route}", json.dumps(query).encode(), {"content-type": "application/json"})  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as reply:  # noqa: S310
                return json.loads(reply.read())
        except urllib.error.HTTPError as error:
            body = error.read()
            try:
                refusal = json.loads(body)
            except ValueError:
                raise CloudError("InternalError", body.decode(errors="replace")[:500], error.code) from None
            raise CloudError(refusal["code"], refusal["message"], error.code) from None
        except (urllib.error.URLError, OSError) as error:
            raise CloudError(
                "SandboxDown", f"the sandbox does not answer ({error}): `fleet sandbox up` starts it", 503
            ) from None
