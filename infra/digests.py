"""Which image a tag of `infra/versions.py` is: `digests.csv`, and `python -m infra.digests`, which asks the registries.

A row pins an image; one without a row goes by its maker's tag, under a waiver of the policy pack. The file was written where
no registry could be reached, so run the command once where they can, read the difference, commit. A tag that has come to be
another image is refused, never taken. Follows https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2

FILE = Path(__file__).with_name("digests.csv")
_COLUMNS = ("image", "digest", "read", "source")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# Of all platforms first: a digest of one platform's image would not start on the others' nodes.
_KINDS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
# The one registry whose name is not its address.
_ADDRESSES = {"docker.io": "registry-1.docker.io"}


class DigestError(Exception):
    """A digest could not be had, or is another one than before; the message says of which image and what to do."""


@cache
def rows() -> dict[str, dict[str, str]]:
    """The rows of `digests.csv` by image.

    Raises:
        DigestError: a row is none.
    """
    found = list(csv.DictReader(io.StringIO(FILE.read_text())))
    for number, row in enumerate(found, 2):
        if None in row or not row.get("image") or not _DIGEST.fullmatch(row.get("digest") or ""):
            raise DigestError(f"{FILE}, line {number}: expected {','.join(_COLUMNS)} with sha256: and 64 lower-case digits")
    return {row["image"]: row for row in found}


def pinned(image: str) -> str:
    """The image by its digest, too, where somebody has looked it up: the tag then says it to people alone."""
    row = rows().get(image)
    return f"{image}@{row['digest']}" if row else image


def images() -> list[str]:
    """Every image of `infra/versions.py` that has a tag."""
    from infra import versions  # noqa: PLC0415 - which takes `pinned` from here

    named = [value for name, value in vars(versions).items() if name.endswith(("_IMAGE", "_IMAGES"))]
    found = [one for value in named for one in (value.values() if isinstance(value, dict) else [value])]
    tagged = {one.partition("@")[0] for one in found}
    return sorted(one for one in tagged if ":" in one.rpartition("/")[2])


def digest(http: httpx2.Client, image: str) -> str:
    """What the image's registry has under its tag, worked out from the manifest itself.

    Raises:
        DigestError: the registry could not be asked, asks who we are, or has no such image.
    """
    import httpx2  # noqa: PLC0415 - a program that pins nothing need not load it

    host, _, rest = image.partition("/")
    name, _, tag = rest.rpartition(":")
    # What listens on this machine only has no certificate.
    scheme = "http" if host.partition(":")[0] == "127.0.0.1" else "https"
    url = f"{scheme}://{_ADDRESSES.get(host, host)}/v2/{name}/manifests/{tag}"
    try:
        answer = http.get(url, headers={"Accept": _KINDS})
        if answer.status_code == httpx2.codes.UNAUTHORIZED:
            answer = http.get(url, headers={"Accept": _KINDS, "Authorization": _anybody(http, image, answer)})
    except httpx2.HTTPError as wrong:
        raise DigestError(f"{image}: {host} could not be asked: {wrong or type(wrong).__name__}") from None
    if answer.status_code != httpx2.codes.OK:
        raise DigestError(f"{image}: {host} answered {answer.status_code} {answer.reason_phrase}")
    found = f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
    if (said := answer.headers.get("docker-content-digest", found)) != found:
        raise DigestError(f"{image}: {host} calls it {said}, and what it sent is {found}: somebody is in between")
    return found


def _anybody(http: httpx2.Client, image: str, refused: httpx2.Response) -> str:
    """The right to read that a registry gives to anybody who asks for it.

    Raises:
        DigestError: it does not.
    """
    asked = refused.headers.get("www-authenticate", "")
    about = dict(re.findall(r'(\w+)="([^"]*)"', asked))
    if asked.startswith("Bearer ") and "realm" in about:
        realm = about.pop("realm")
        given = http.get(realm, params={key: about[key] for key in ("service", "scope") if key in about})
        if given.is_success and (token := given.json().get("token") or given.json().get("access_token")):
            return f"Bearer {token}"
    host = image.partition("/")[0]
    raise DigestError(f"{image}: {host} asks who you are; log in there, look it up, and write the row into {FILE.name}")


def look_up(
    http: httpx2.Client, known: Mapping[str, Mapping[str, str]], wanted: Iterable[str]
) -> Iterator[tuple[str, str, str]]:
    """Image, digest and what became of it: `new`, `same`, or why there is none."""
    for image in wanted:
        before = known.get(image, {}).get("digest")
        try:
            found = digest(http, image)
        except DigestError as wrong:
            yield image, before or "", str(wrong)
            continue
        if before in (None, found):
            yield image, found, "same" if before else "new"
        else:
            yield image, before or "", f"{image}: the tag was {before} and is {found} now; if that is right, delete its row"


def main() -> int:
    """Look every image up, write the new rows; 1 where one could not be had or has moved."""
    import httpx2  # noqa: PLC0415

    known = rows()
    written, wrong = {image: [row[c] for c in _COLUMNS] for image, row in known.items()}, 0
    today = datetime.now(UTC).date().isoformat()
    with httpx2.Client(follow_redirects=True, timeout=30, headers={"Accept-Encoding": "identity"}) as http:
        for image, found, became in look_up(http, known, images()):
            if became == "new":
                written[image] = [image, found, today, image.partition("/")[0]]
            elif became != "same":
                wrong += 1
            sys.stderr.write(f"{image}: {became} {found}\n" if became in ("new", "same") else f"{became}\n")
    part = FILE.with_suffix(".part")
    with part.open("w", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([_COLUMNS, *(written[image] for image in sorted(written))])
    part.replace(FILE)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
