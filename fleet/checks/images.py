"""Facts about images, of whatever is in them: a name that a registry takes, and that is the same image tomorrow."""

from __future__ import annotations

import re

from fleet.checks.finding import Finding, Path

_TAGGED = re.compile(r"^[^\s@]+(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$")


def check(where: Path, image: str) -> list[Finding]:
    """The fault of an image's name, if it has one."""
    name, _, tag = image.partition("@")[0].rpartition(":")
    if not _TAGGED.match(image):
        message, remedy = "is no image name", "write name:tag"
    elif "@" not in image and (not name or "/" in tag or tag == "latest"):
        message = "'latest' is another image tomorrow" if tag == "latest" else "the image has no tag"
        remedy = "name a version"
    else:
        return []
    return [Finding(where, message, repr(image), "name:tag or name@sha256:…", remedy)]
