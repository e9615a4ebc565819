"""CustomResourceDefinitions of what our charts render and no program here serves, out of pinned Go modules into the cache.

With them a real API server validates a render by the kind's own schema. Refuses a module that go.sum does not know. What
a program brings itself, such as KEDA's, is `toolchain.carried`'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from sandbox.toolchain import Carried, cache

_HERE = Path(__file__).parent
CRDS: dict[str, Carried] = {
    carried.directory: carried
    for carried in (
        Carried(
            "HTTPRoute",
            "sigs.k8s.io/gateway-api",
            ("config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",),
        ),
        Carried("JobSet", "sigs.k8s.io/jobset", ("config/components/crd/bases/jobset.x-k8s.io_jobsets.yaml",)),
        Carried(
            "PodMonitor",
            "github.com/prometheus-operator/prometheus-operator",
            ("example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",),
        ),
        Carried("RayJob", "github.com/ray-project/kuberay/ray-operator", ("config/crd/bases/ray.io_rayjobs.yaml",)),
    )
}


def place() -> Path:
    """Where they are kept; another place where versions or files are others."""
    digest = hashlib.sha256(repr(CRDS).encode())
    for part in ("go.mod", "go.sum"):
        digest.update((_HERE / part).read_bytes())
    return cache() / f"crds-{digest.hexdigest()[:12]}"


def files(kinds: Iterable[str] = tuple(CRDS)) -> list[Path]:
    """The definitions of these kinds, all of `CRDS` fetched first if they are not there yet.

    Raises:
        RuntimeError: a module could not be had, or is not what go.sum says.
    """
    if not place().exists():
        from sandbox.toolchain.build import carry  # noqa: PLC0415 - nobody with a warm cache pays for it

        carry(_HERE, CRDS.values(), place())
    return [file for kind in kinds for file in sorted((place() / CRDS[kind].directory).glob("*.yaml"))]
