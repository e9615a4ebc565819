"""Pods and jobs for the admission rules: what keeps all of them, and for each rule what it refuses and what it just lets in."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import machine
from fleet.catalog.neuron import cores
from fleet.catalog.sharing import Sharing, SharingMode
from fleet.spec import ClusterSpec
from fleet.spec_admission import AdmissionRule as Id
from tests.accelerator_pools import INF2, L4, pool_of

Json = dict[str, Any]
GPU, NEURON, TPU = "nvidia.com/gpu", "aws.amazon.com/neuron", "google.com/tpu"
POOL = "accelfleet.io/pool"
SPOT = {"key": "accelfleet.io/spot", "operator": "Exists"}

POOLS = [
    pool_of(L4, "l4", fallback=pool_of(L4, "l4", spot=True, physical_name="l4-spot")),
    pool_of(machine(Cloud.AWS, "g4dn.12xlarge"), "t4s"),
    pool_of(L4, "slices", sharing=Sharing(SharingMode.TIME_SLICING, 4)),
    pool_of(INF2, "inf2"),
]
CORES = [pool_of(INF2, "cores", sharing=cores("inferentia2"))]
EKS = ClusterSpec.model_validate({"cloud": "aws", "region": "us-east-1"})
TEAMS = ClusterSpec.model_validate({"cloud": "aws", "region": "us-east-1", "teams": {"ads": {}}})
SLICE = pool_of(machine(Cloud.GCP, "ct5lp-hightpu-4t"), "slice")
GKE = ClusterSpec.model_validate({"cloud": "gcp", "region": SLICE.region})


def pod(count: int | str = 1, resource: str = GPU, pool: str | None = "t4s", **spec: Any) -> Json:
    """A PodSpec that keeps every rule, but for what is changed."""
    limits = {"memory": "8Gi", resource: str(count)}
    return {
        **({"nodeSelector": {POOL: pool}} if pool else {}),
        "tolerations": [{"key": resource, "operator": "Exists", "effect": "NoSchedule"}],
        "containers": [{"name": "c", "image": "registry.example/model:1", "resources": {"limits": limits}}],
        **spec,
    }


def container(spec: Json, **changes: Any) -> Json:
    changed = deepcopy(spec)
    changed["containers"][0].update(changes)
    return changed


def workload(spec: Json, kind: str = "Deployment") -> Json:
    """The spec of a Deployment, a StatefulSet or a DaemonSet of such pods."""
    named = {"serviceName": "x"} if kind == "StatefulSet" else {}
    labels = {"app": "x"}
    return {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}, **named}


def resources(memory: str | None, asked: str | None = None, count: int = 1) -> Json:
    limits = {GPU: str(count), **({"memory": memory} if memory else {})}
    return {"limits": limits, **({"requests": {"memory": asked}} if asked else {})}


def plain(**spec: Any) -> Json:
    """A PodSpec without accelerators."""
    return {"containers": [{"name": "c", "image": "nginx:1"}], **spec}


def tolerating(*tolerations: Json) -> list[Json]:
    return [{"key": GPU, "operator": "Exists"}, *tolerations]


def job(deadline: int | None = 3600, retries: int = 6, *tolerations: Json, rules: list[Json] | None = None) -> Json:
    """A JobSpec."""
    template = {"spec": pod(restartPolicy="Never", tolerations=tolerating(*tolerations))}
    found: Json = {"template": template, "backoffLimit": retries}
    found |= {"activeDeadlineSeconds": deadline} if deadline else {}
    return found | ({"podFailurePolicy": {"rules": rules}} if rules else {})


_IGNORED = [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
_COUNTED = [{"action": "Count", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
_ENV = "NVIDIA_VISIBLE_DEVICES"
_REQUIRED = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": POOL, "operator": "In", "values": ["t4s"]}]}]
        }
    }
}
_SLICE = {"cloud.google.com/gke-tpu-accelerator": "tpu-v5-lite-podslice", "cloud.google.com/gke-tpu-topology": "2x2"}

# Rule -> (pods that it refuses, pods that it just lets in).
PODS: dict[Id, tuple[list[Json], list[Json]]] = {
    Id.OFFERED: (
        [
            pod(1, "nvidia.com/mig-1g.10gb"),
            pod(1, "habana.ai/gaudi"),
            container(plain(), resources={"limits": {"amd.com/gpu": 1}}),
        ],
        [pod(1, NEURON, "inf2"), container(plain(), resources={"limits": {"nvidia.com/hostdev": 1}})],
    ),
    Id.COUNT: (
        [
            pod(5),
            pod(2, pool="l4"),
            pod(2, pool="slices"),
            pod(3, containers=[*pod(3)["containers"], {**pod(2)["containers"][0], "name": "d"}]),
        ],
        [pod(4), pod(1, pool="slices"), pod(8, pool="somebody-elses")],
    ),
    Id.MEMORY: (
        [container(pod(), resources=resources(None)), container(pod(), resources=resources("8Gi", "4Gi"))],
        [container(pod(), resources=resources("8Gi", "8192Mi")), plain()],
    ),
    Id.PLACE: (
        [pod(pool=None), pod(pool=None, nodeSelector={"disk": "ssd"})],
        [pod(pool=None, affinity=_REQUIRED), pod(1, NEURON, None)],
    ),
    Id.TOLERATES: (
        [pod(tolerations=[]), pod(tolerations=[{"key": NEURON, "operator": "Exists"}])],
        [pod(tolerations=[{"key": GPU, "operator": "Equal", "value": "present"}]), plain()],
    ),
    Id.BLANKET: (
        [
            pod(tolerations=tolerating({"operator": "Exists"})),
            plain(tolerations=[{"operator": "Exists", "effect": "NoSchedule"}]),
        ],
        [
            plain(tolerations=[{"operator": "Exists", "effect": "NoExecute"}]),
            plain(tolerations=[{"key": "a", "operator": "Exists"}]),
        ],
    ),
    Id.SQUATS: (
        [plain(tolerations=tolerating())],
        [
            plain(tolerations=tolerating(), resourceClaims=[{"name": "gpu", "resourceClaimTemplateName": "gpu"}]),
            plain(tolerations=[SPOT]),
        ],
    ),
    Id.UNASKED: (
        [container(plain(), env=[{"name": _ENV, "value": "all"}]), container(pod(), env=[{"name": _ENV, "value": "0"}])],
        [
            container(plain(), env=[{"name": _ENV, "value": "void"}]),
            container(plain(), env=[{"name": "CUDA_VISIBLE_DEVICES", "value": "0"}]),
        ],
    ),
    Id.HOST: (
        [
            pod(hostNetwork=True),
            pod(hostPID=True),
            pod(hostIPC=True),
            container(pod(), securityContext={"privileged": True}),
            pod(volumes=[{"name": "v", "hostPath": {"path": "/dev"}}]),
            pod(initContainers=[{"name": "i", "image": "a:1", "securityContext": {"privileged": True}}]),
        ],
        [
            container(pod(hostNetwork=False), securityContext={"privileged": False}),
            pod(volumes=[{"name": "v", "emptyDir": {}}]),
            plain(volumes=[{"name": "v", "hostPath": {"path": "/dev"}}]),
        ],
    ),
    Id.IMAGE: (
        [
            container(pod(), image=name)
            for name in ("model", "registry.example:5000/model", "model:latest", "registry.example/model@sha1:0123")
        ],
        [container(pod(), image=name) for name in ("registry.example:5000/model:1", f"model@sha256:{'0' * 64}", "a:latest-1")],
    ),
}
JOBS: dict[Id, tuple[list[Json], list[Json]]] = {
    Id.JOB_DEADLINE: ([job(None, 6, SPOT)], [job(1, 6, SPOT), job(None)]),
    Id.JOB_RETRY: (
        [job(60, 0, SPOT), job(60, 0, SPOT, rules=_COUNTED)],
        [job(60, 1, SPOT), job(60, 0, SPOT, rules=_IGNORED), job(60, 0)],
    ),
}
TPUS: tuple[list[Json], list[Json]] = (
    [pod(4, TPU, "slice"), pod(4, TPU, "slice", nodeSelector=dict([*_SLICE.items()][:1]))],
    [pod(4, TPU, "slice", nodeSelector=_SLICE, tolerations=[])],
)
