"""What an image's registry has under its tag, asked as anybody: for `fleet.catalog.digests`.

A tag that has come to be another image is refused, never taken. Follows
https://github.com/opencontainers/distribution-spec/blob/main/spec.md and https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping

import httpx2

from fleet.catalog.digests import FILE, DigestError, Pin

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


def digest(http: httpx2.Client, image: str) -> str:
    """What the image's registry has under its tag, worked out from the manifest itself.

    Raises:
        DigestError: the registry could not be asked, asks who we are, or has no such image.
    """
    host, _, rest = image.partition("/")
    name, _, tag = rest.rpartition(":")
    # What listens on this machine only has no certificate.
    scheme = "http" if host.partition(":")[0] == "127.0.0.1" else "https"
    url = f"{scheme}://{_ADDRESSES.get(host, host)}/v2/{name}/manifests/{tag}"
    try:
        answer = http.get(url, headers={"Accept": _KINDS})
        if answer.status_code == httpx2.codes.UNAUTHORIZED:
            answer = http.get(url, headers={"Accept": _KINDS, "Authorization": _anybody(http, image, answer)})
    except (httpx2.HTTPError, ValueError) as wrong:
        raise DigestError(f"{image}: {host} could not be asked: {wrong or type(wrong).__name__}") from None
    if {one.url.scheme for one in (*answer.history, answer)} != {scheme}:
        raise DigestError(f"{image}: {host} sends us to where no certificate is asked for")
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


def client() -> httpx2.Client:
    # Identity, so that what is hashed is what the registry has.
    return httpx2.Client(follow_redirects=True, timeout=30, headers={"Accept-Encoding": "identity"})


def look_up(
    http: httpx2.Client, known: Mapping[str, Pin], wanted: Iterable[str], today: str
) -> Iterator[tuple[Pin | None, str]]:
    """The row of each image, None where there is none to be had or it has moved, and what is to be said of it."""
    for image in wanted:
        before = known.get(image)
        try:
            found = digest(http, image)
        except DigestError as wrong:
            yield None, str(wrong)
            continue
        if before is None:
            yield Pin(image, found, image.partition("/")[0], today), f"{image}: {found}, new"
        elif before.digest == found:
            yield before, f"{image}: {found}, as before"
        else:
            yield None, f"{image}: the tag was {before.digest} and is {found} now; if that is right, delete its row"
