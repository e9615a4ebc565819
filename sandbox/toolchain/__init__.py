"""The programs the sandbox runs, from where they are cheapest: PATH, then the cache, then built from pinned Go modules.

Owns versions and where binaries lie; what a program does is its caller's business. Go verifies every module against
the go.sum files in `modules/`. With $TOOLCHAIN=download the projects' releases come before a build. Docs: sandbox/README.md.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sandbox.toolchain import releases

_MODULES = Path(__file__).parent / "modules"
_K8S = "k8s.io/component-base/version"


@dataclass(frozen=True)
class Carried:
    """Files of a Go module that a program needs and that no build puts into it.

    Attributes:
        directory: where they are kept, beside the program. module: which has them. files: their paths there.
    """

    directory: str
    module: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Tool:
    """A program built from a Go module.

    Attributes:
        module: directory under `modules/` with its go.mod and go.sum.
        expected_s: about how many seconds a cold build takes on two quiet cores, after those before it.
        tags: Go build tags, separated by commas.
        on_path: oldest version accepted from PATH; None where only ours will do, since versions must match.
        carries: what its module has beside it; part of it in the cache.
    """

    name: str
    module: str
    package: str
    version: str
    expected_s: int
    ldflags: str = ""
    tags: str = ""
    on_path: tuple[int, int] | None = None
    carries: Carried | None = None

    @property
    def key(self) -> str:
        """Changes when the sources, the flags or the version do."""
        digest = hashlib.sha256(f"{self.package} {self.ldflags}{f' {self.tags}' if self.tags else ''}".encode())
        for part in ("go.mod", "go.sum"):
            digest.update((_MODULES / self.module / part).read_bytes())
        return f"{self.name}-{self.version}-{digest.hexdigest()[:12]}"


_KUBE = "1.37.2"
_KUBE_FLAGS = f"-X {_K8S}.gitVersion=v{_KUBE} -X {_K8S}.gitMajor=1 -X {_K8S}.gitMinor=37"


def _kube(name: str, expected_s: int) -> Tool:
    return Tool(name, "kubernetes", f"k8s.io/kubernetes/cmd/{name}", _KUBE, expected_s, _KUBE_FLAGS)


# How KWOK's nodes and pods live.
_STAGES = Carried(
    "stages",
    "sigs.k8s.io/kwok",
    tuple(
        f"kustomize/stage/{name}.yaml"
        for name in (
            "node/fast/node-initialize",
            "node/heartbeat-with-lease/node-heartbeat-with-lease",
            "pod/fast/pod-ready",
            "pod/fast/pod-complete",
            "pod/fast/pod-delete",
        )
    ),
)
_KEDA = "2.21.0"
_KEDA_FLAGS = f"-X github.com/kedacore/keda/v2/version.Version={_KEDA}"
_KEDA_CRDS = Carried(
    "crds",
    "github.com/kedacore/keda/v2",
    tuple(
        f"config/crd/bases/{group}_{plural}.yaml"
        for group, plural in (
            ("eventing.keda.sh", "cloudeventsources"),
            ("eventing.keda.sh", "clustercloudeventsources"),
            ("keda.sh", "clustertriggerauthentications"),
            ("keda.sh", "scaledjobs"),
            ("keda.sh", "scaledobjects"),
            ("keda.sh", "triggerauthentications"),
        )
    ),
)


def _keda(name: str, command: str, expected_s: int, carries: Carried | None = None) -> Tool:
    return Tool(name, "keda", f"github.com/kedacore/keda/v2/cmd/{command}", _KEDA, expected_s, _KEDA_FLAGS, carries=carries)


_KARPENTER_CRDS = Carried(
    "crds",
    "github.com/aws/karpenter-provider-aws",
    tuple(
        f"pkg/apis/crds/{name}.yaml"
        for name in (
            "autoscaling.x-k8s.io_capacitybuffers",
            "karpenter.k8s.aws_ec2nodeclasses",
            "karpenter.sh_nodeclaims",
            "karpenter.sh_nodeoverlays",
            "karpenter.sh_nodepools",
        )
    ),
)
_KUEUE = "0.16.2"
_KUEUE_KINDS = (
    *("admissionchecks", "clusterqueues", "cohorts", "localqueues", "multikueueclusters", "multikueueconfigs"),
    *("provisioningrequestconfigs", "resourceflavors", "topologies", "workloadpriorityclasses", "workloads"),
)
_KUEUE_OBJECTS = Carried(
    "objects",
    "sigs.k8s.io/kueue",
    (
        *(f"config/components/crd/bases/kueue.x-k8s.io_{plural}.yaml" for plural in _KUEUE_KINDS),
        "config/components/webhook/manifests.yaml",
    ),
)
_PULUMI = "3.259.0"
TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool(
            "pulumi",
            "pulumi",
            "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
            _PULUMI,
            200,
            f"-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{_PULUMI}",
            on_path=(3, 259),
        ),
        Tool("etcd", "etcd", "go.etcd.io/etcd/server/v3", "3.7.3", 20),
        _kube("kube-apiserver", 220),
        _kube("kube-controller-manager", 80),
        _kube("kube-scheduler", 10),
        _kube("kubectl", 25),
        Tool("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok", "0.8.0", 70, carries=_STAGES),
        Tool("helm", "helm", "helm.sh/helm/v4/cmd/helm", "4.3.1", 30, on_path=(3, 22)),
        # Beside it, as charts must be the same to both. Quick after Helm 4, whose packages it shares.
        Tool("helm3", "helm3", "helm.sh/helm/v3/cmd/helm", "3.22.0", 10),
        Tool("fake-gcs-server", "fake-gcs-server", "github.com/fsouza/fake-gcs-server", "1.54.0", 45),
        _keda("keda-operator", "operator", 320, _KEDA_CRDS),
        _keda("keda-adapter", "adapter", 60),
        Tool(
            "karpenter",
            "karpenter",
            "github.com/aws/karpenter-provider-aws/cmd/controller",
            "1.14.1",
            200,
            carries=_KARPENTER_CRDS,
        ),
        Tool(
            "kueue",
            "kueue",
            "sigs.k8s.io/kueue/cmd/kueue",
            _KUEUE,
            90,
            f"-X sigs.k8s.io/kueue/pkg/version.GitVersion=v{_KUEUE}",
            carries=_KUEUE_OBJECTS,
        ),
        Tool(
            "promtool",
            "prometheus",
            "github.com/prometheus/prometheus/cmd/promtool",
            "0.316.0",  # as a module; 3.16.0 to everybody else
            40,
            "-X github.com/prometheus/common/version.Version=3.16.0",
            # Of its two dozen ways to find what to watch, none is needed to check rules.
            tags="remove_all_sd",
        ),
        Tool("kube-score", "kube-score", "github.com/zegl/kube-score/cmd/kube-score", "1.20.0", 20),
        Tool("actionlint", "actionlint", "github.com/rhysd/actionlint/cmd/actionlint", "1.7.12", 5),
    )
}


def cache() -> Path:
    """Where programs are kept: $ACCELFLEET_CACHE, else `~/.cache/accelfleet`."""
    return Path(os.environ.get("ACCELFLEET_CACHE") or Path.home() / ".cache" / "accelfleet")


def downloading() -> bool:
    """Whether $TOOLCHAIN asks for the projects' releases instead of builds.

    Raises:
        RuntimeError: it asks for something else.
    """
    asked = os.environ.get("TOOLCHAIN") or "build"
    if asked not in ("build", "download"):
        raise RuntimeError(
            f"TOOLCHAIN={asked!r} is neither `build` (from pinned Go modules; the default) nor `download` (the projects' "
            "releases): set one of them, or unset it"
        )
    return asked == "download"


def path(name: str) -> Path:
    """The program, built or downloaded now if it is nowhere yet.

    Raises:
        RuntimeError: it could not be had; the message ends with what Go or the server said.
    """
    found = find(name)
    if found is None:
        ensure([name])
        found = find(name)
    assert found is not None, f"{name} was made but is not in the cache"
    return found


def find(name: str) -> Path | None:
    """The program from PATH or the cache; None where it has to be built or downloaded.

    A downloaded one counts only while $TOOLCHAIN asks for it, so that a run without it has what Go built and nothing else.
    """
    tool = TOOLS[name]
    downloaded = releases.key(tool) if downloading() else None
    if tool.on_path and (here := _from_path(tool)):
        return here
    places = (cache() / key / tool.name for key in (downloaded, tool.key) if key)
    return next((place for place in places if place.exists()), None)


def _from_path(tool: Tool) -> Path | None:
    """The program on PATH, if it is new enough. Ours are on PATH inside the sandbox, and then need no asking."""
    found = shutil.which(tool.name)
    if found is None:
        return None
    if Path(found).is_relative_to(cache()):
        return Path(found)
    said = subprocess.run([found, "version"], capture_output=True, text=True, check=False)
    # Helm built by a distribution may say v4.3 with no patch, or v3.22.0+g1234567 with more than one.
    version = re.search(r"\bv(\d+)\.(\d+)(?!\d)", said.stdout)
    new_enough = version is not None and (int(version[1]), int(version[2])) >= (tool.on_path or (0, 0))
    return Path(found) if new_enough else None


def ensure(names: Iterable[str] = tuple(TOOLS)) -> None:
    """Build what is missing (or download it, see `downloading`), with progress and the time to expect.

    Raises:
        RuntimeError: a build or a download failed, or $TOOLCHAIN is neither.
    """
    missing = [TOOLS[name] for name in names if find(name) is None]
    if missing and downloading():
        from sandbox.toolchain.download import download  # noqa: PLC0415 - nobody with a warm cache pays for it

        missing = download(missing)
    if missing:
        from sandbox.toolchain.build import build  # noqa: PLC0415 - nobody with a warm cache pays for it

        build(missing)


def carried(name: str) -> list[Path]:
    """The files that a tool carries: KWOK's stages, KEDA's CRDs, Kueue's CRDs and webhooks."""
    carries = TOOLS[name].carries
    return sorted((path(name).parent / carries.directory).glob("*.yaml")) if carries else []
