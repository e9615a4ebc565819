"""Where each project publishes its programs, and the checksums beside them.

Two things are not published and stay builds: checksums of KWOK, and Kubernetes' servers for anything but Linux.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.toolchain import Tool

# (operating system, processor) in Go's words, which most projects use.
Platform = tuple[str, str]
PLATFORMS: tuple[Platform, ...] = (("linux", "amd64"), ("linux", "arm64"), ("darwin", "amd64"), ("darwin", "arm64"))
_PROCESSORS = {"x86_64": "amd64", "aarch64": "arm64"}


class UnpublishedError(LookupError):
    """Nothing verifiable is published; the message says what is missing."""


@dataclass(frozen=True)
class Release:
    """A program as its project publishes it.

    Attributes:
        checksums: a file with the SHA-256 of `url`: alone, or in lines of `sha256sum`.
        member: the program's path in the archive; None where what is published is the program itself.
    """

    url: str
    checksums: str
    member: str | None

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]


def here() -> Platform:
    """The platform this runs on."""
    machine = platform.machine().lower()
    return platform.system().lower(), _PROCESSORS.get(machine, machine)


def release(tool: Tool, on: Platform) -> Release:
    """What to fetch for a platform.

    Raises:
        UnpublishedError: there is nothing that could be verified.
    """
    if on not in PLATFORMS:
        raise UnpublishedError(f"nothing is downloaded for {'/'.join(on)}")
    if tool.module not in _PUBLISHED:
        raise UnpublishedError("its project publishes no checksums")
    return _PUBLISHED[tool.module](tool, *on)


def key(tool: Tool) -> str | None:
    """The cache's directory for the downloaded program, never that of a built one; None where nothing is published."""
    try:
        found = release(tool, here())
    except UnpublishedError:
        return None
    digest = hashlib.sha256(f"{found.url} {found.member}".encode()).hexdigest()
    return f"{tool.name}-{tool.version}-release-{digest[:12]}"


def _pulumi(tool: Tool, system: str, processor: str) -> Release:
    base = "https://get.pulumi.com/releases/sdk/pulumi-"
    its_word = "x64" if processor == "amd64" else processor
    archive = f"{base}v{tool.version}-{system}-{its_word}.tar.gz"
    return Release(archive, f"{base}{tool.version}-checksums.txt", "pulumi/pulumi")


def _etcd(tool: Tool, system: str, processor: str) -> Release:
    base = f"https://github.com/etcd-io/etcd/releases/download/v{tool.version}"
    directory = f"etcd-v{tool.version}-{system}-{processor}"
    kind = "tar.gz" if system == "linux" else "zip"
    return Release(f"{base}/{directory}.{kind}", f"{base}/SHA256SUMS", f"{directory}/etcd")


def _kubernetes(tool: Tool, system: str, processor: str) -> Release:
    if system != "linux" and tool.name != "kubectl":
        raise UnpublishedError("Kubernetes publishes its servers for Linux only")
    url = f"https://dl.k8s.io/v{tool.version}/bin/{system}/{processor}/{tool.name}"
    return Release(url, f"{url}.sha256", None)


def _helm(tool: Tool, system: str, processor: str) -> Release:
    url = f"https://get.helm.sh/helm-v{tool.version}-{system}-{processor}.tar.gz"
    return Release(url, f"{url}.sha256sum", f"{system}-{processor}/helm")


def _fake_gcs_server(tool: Tool, system: str, processor: str) -> Release:
    base = f"https://github.com/fsouza/fake-gcs-server/releases/download/v{tool.version}"
    archive = f"{base}/fake-gcs-server_{tool.version}_{system.title()}_{processor}.tar.gz"
    return Release(archive, f"{base}/checksums.txt", "fake-gcs-server")


# By module. KWOK is not here: its releases carry programs and no checksums.
_PUBLISHED: dict[str, Callable[[Tool, str, str], Release]] = {
    "pulumi": _pulumi,
    "etcd": _etcd,
    "kubernetes": _kubernetes,
    "helm": _helm,
    "helm3": _helm,
    "fake-gcs-server": _fake_gcs_server,
}
