"""Rules about who asks for accelerators: pods, jobs, autoscalers and queues."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.catalog.clouds import Cloud
from policies.accel_policies.pools import Pool, of_stack
from policies.accel_policies.rule import Found, FoundAt, Resource, Rules, Severity, Stack, Told
from policies.accel_policies.settings import Settings
from policies.accel_policies.values import View
from policies.accel_policies.workloads import (
    ACCELERATOR_RESOURCES,
    DEPLOYMENT,
    JOB,
    RELEASE,
    WORKLOADS,
    Container,
    containers,
    namespace,
    pods,
)

rules = Rules("workloads")
CRITICAL, HIGH, MEDIUM = Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM

SCALED = "kubernetes:keda.sh/v1alpha1:ScaledObject"
AUTOSCALER = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
LOCAL_QUEUES = ("kubernetes:kueue.x-k8s.io/v1beta1:LocalQueue", "kubernetes:kueue.x-k8s.io/v1beta2:LocalQueue")
CLUSTER_QUEUES = ("kubernetes:kueue.x-k8s.io/v1beta1:ClusterQueue", "kubernetes:kueue.x-k8s.io/v1beta2:ClusterQueue")
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"

# The taint by which a pod says that it goes to spot nodes, and the seconds from notice to end.
# GKE gives pods 15 of its 30; sources as in fleet/catalog/nodes.py, read 2026-11-23.
_NOTICE_S = {
    "cloud.google.com/gke-spot": 15,
    "kubernetes.azure.com/scalesetpriority": 30,
    "accelfleet.io/spot": 120,
    "eks.amazonaws.com/capacityType": 120,
    "karpenter.sh/capacity-type": 120,
}
_GRACE_S = 30  # Kubernetes' default
_MOST_A_NODE = 16  # trn1.32xlarge; every machine's number divides it
_LASTS = ("persistentVolumeClaim", "csi", "nfs")


def _asking(one: Resource) -> list[tuple[Container, str, int | None, int | None]]:
    """(container, resource, asked, limit) of all that ask for accelerators."""
    return [(c, *wanted) for c in containers(one) for wanted in c.accelerators]


def _asks(one: Resource) -> bool:
    return bool(_asking(one))


@rules.on(
    "accel-pod-limit", HIGH, WORKLOADS, mend="set the same number under requests and limits, or limits alone", parts=_asking
)
def _limit(part: tuple[Container, str, int | None, int | None], _: Settings) -> Iterator[Found]:
    """Who asks for accelerators sets a limit, the same as the request.

    Kubernetes refuses anything else, when the pod is made and not when it is applied.
    """
    container, name, asked, limit = part
    if limit is None or asked not in (None, limit):
        yield container.view.at(f"resources.limits.{name}"), limit


@rules.on("accel-pod-fits", HIGH, WORKLOADS, mend="ask for 1, 2, 4, 8 or 16", parts=_asking)
def _fits(part: tuple[Container, str, int | None, int | None], _: Settings) -> Iterator[Found]:
    """A pod asks for a number of accelerators that fills nodes evenly.

    Of eight a pod with three leaves two that nobody can use.
    """
    container, name, asked, limit = part
    count = limit if limit is not None else asked
    if count is not None and (count < 1 or _MOST_A_NODE % count):
        yield container.view.at(f"resources.limits.{name}"), count


@rules.on(
    "accel-pod-namespace",
    HIGH,
    WORKLOADS,
    mend="give it a team's namespace",
    parts=lambda one: [one] if _asks(one) else [],
)
def _namespace(one: Resource, _: Settings) -> Iterator[Found]:
    """Nobody takes accelerators from the default namespace.

    It has no quota, so that one person's loop takes all of them.
    """
    if namespace(one) == "default":
        yield "metadata.namespace", None


@rules.on(
    "accel-pod-tolerates",
    CRITICAL,
    WORKLOADS,
    mend="tolerate the taint of the nodes: key <resource>, operator Exists",
    whole=True,
)
def _tolerates(stack: Stack, _: Settings) -> Iterator[FoundAt]:
    """Pods with accelerators tolerate the taints of their nodes.

    They else wait for ever, beside idle nodes. (GKE adds the toleration itself.)
    """
    keys = {key for pool in of_stack(stack) if pool.cloud is not Cloud.GCP for key, _ in pool.taints}
    for one in stack.of(*WORKLOADS):
        wanted = {name for _, name, _, _ in _asking(one)} & keys
        for pod in pods(one) if wanted else ():
            tolerated = [it("key") for it in pod.maps("tolerations")]
            if None not in tolerated and not wanted <= set(tolerated):
                yield one, pod.at("tolerations"), Told(f"without {', '.join(sorted(wanted - set(tolerated)))}")


@rules.on("accel-model-size", HIGH, RELEASE, mend="set values.accelerator.count and values.resources.memory")
def _model(it: View, _: Settings) -> Iterator[Found]:
    """A model's release says how many accelerators and how much memory a replica takes.

    Without, the scheduler packs replicas until one is killed.
    """
    if "accelerator" not in it("values", View({})):
        return
    if it("values.accelerator.count", 0) < 1 and not len(it("values.resourceClaims", ())):
        yield "values.accelerator.count", it("values.accelerator.count")
    if not it("values.resources.memory"):
        yield "values.resources.memory", None


def _spec_and_tolerations(one: Resource) -> list[tuple[View, str, list[View]]]:
    """(where the grace period stands, its key's full path, tolerations)."""
    if one.type == RELEASE:
        values = one.view("values")
        return [(values, values.at("terminationGracePeriodSeconds"), values.maps("tolerations"))] if values else []
    return [(pod, pod.at("terminationGracePeriodSeconds"), pod.maps("tolerations")) for pod in pods(one)]


@rules.on(
    "accel-spot-grace",
    HIGH,
    (*WORKLOADS, RELEASE),
    mend="set terminationGracePeriodSeconds to no more than that",
    parts=_spec_and_tolerations,
)
def _grace(part: tuple[View, str, list[View]], _: Settings) -> Iterator[Found]:
    """On spot a pod needs no longer to stop than the cloud's notice.

    What is not done by then is cut off in the middle.
    """
    it, path, tolerations = part
    notices = [_NOTICE_S[str(t("key"))] for t in tolerations if str(t("key")) in _NOTICE_S]
    grace = it("terminationGracePeriodSeconds", _GRACE_S)
    if notices and grace > min(notices):
        yield path, Told(f"{grace} s, and the notice is {min(notices)} s")


@rules.on(
    "accel-spot-job",
    HIGH,
    JOB,
    mend="set spec.backoffLimit, and mount a claim or a bucket for checkpoints",
    parts=lambda one: [one],
)
def _job(one: Resource, _: Settings) -> Iterator[Found]:
    """A job on spot nodes can begin again, from where it was.

    The first call for its node else costs all that it had learnt.
    """
    for pod in pods(one):
        if not any(str(t("key")) in _NOTICE_S for t in pod.maps("tolerations")) or not _asks(one):
            continue
        if one.view("spec.backoffLimit", 6) < 1:
            yield "spec.backoffLimit", one.view("spec.backoffLimit")
        if not any(kind in volume for volume in pod.maps("volumes") for kind in _LASTS):
            yield pod.at("volumes"), Told("nothing that outlives the pod")


def _offered(stack: Stack) -> dict[str, int] | None:
    """Accelerators of all pools at their bounds, by resource name; None where a bound is unknown, or parts are shared."""
    found: dict[str, int] = {}
    for pool in of_stack(stack):
        most = pool.most
        if most is None or pool.family is None or _is_shared(pool):
            return None
        found[pool.family.resource] = found.get(pool.family.resource, 0) + most * pool.accelerators
    return found


def _is_shared(pool: Pool) -> bool:
    shared = any(guest("gpuSharingConfig") for guest in pool.view.maps("nodeConfig.guestAccelerators"))
    return shared or any("sharing" in key for key in pool.tags) or pool.view("gpuInstanceProfile") is not None


@rules.on("accel-autoscale-bound", HIGH, AUTOSCALER, mend="lower maxReplicas, or raise the pool's bound", whole=True)
def _bound(stack: Stack, _: Settings) -> Iterator[FoundAt]:
    """An autoscaler makes no more replicas than the pools have accelerators for.

    The rest wait for ever, and the alarm is theirs.
    """
    offered = _offered(stack)
    targets = {str(one.view("metadata.name", one.name)): one for one in stack.of(DEPLOYMENT)}
    for scaler in stack.of(AUTOSCALER) if offered else ():
        target = targets.get(str(scaler.view("spec.scaleTargetRef.name")))
        most = int(scaler.view("spec.maxReplicas", 1))
        for name, asked, limit in (found[1:] for found in _asking(target)) if target else ():
            wanted = most * (limit or asked or 0)
            if wanted > (offered or {}).get(name, 0):
                yield scaler, "spec.maxReplicas", Told(f"{most}, which takes {wanted} {name} of {(offered or {}).get(name, 0)}")


@rules.on("accel-zero-activation", HIGH, SCALED, mend="set an activation threshold in each trigger's metadata")
def _activation(it: View, _: Settings) -> Iterator[Found]:
    """What scales to zero says from where on it comes back.

    The least noise in a metric else starts a node with eight GPUs.
    """
    if it("spec.minReplicaCount", 0) > 0:
        return
    for trigger in it.maps("spec.triggers"):
        if not any(key.lower().startswith("activation") for key in trigger("metadata", View({})).data):
            yield trigger.at("metadata"), Told("without activation")


@rules.on("accel-queue-name", HIGH, WORKLOADS, mend=f"label it {QUEUE_LABEL}", whole=True)
def _queue_name(stack: Stack, _: Settings) -> Iterator[FoundAt]:
    """Where accelerators are queued for, everybody queues.

    Who goes past the queue takes what it promised to others.
    """
    queued = {namespace(one) for one in stack.of(*LOCAL_QUEUES)}
    for one in stack.of(*WORKLOADS):
        if namespace(one) in queued and _asks(one) and QUEUE_LABEL not in one.view("metadata.labels", View({})):
            yield one, f"metadata.labels.{QUEUE_LABEL}", None


@rules.on("accel-queue-quota", HIGH, CLUSTER_QUEUES, mend="lower nominalQuota, or raise the pools' bounds", whole=True)
def _queue_quota(stack: Stack, _: Settings) -> Iterator[FoundAt]:
    """Queues give out no more accelerators than the pools have.

    Jobs are else admitted and then wait for nodes, holding what others could use.
    """
    offered = _offered(stack)
    given = [(one, it) for one in stack.of(*CLUSTER_QUEUES) for it in _quotas(one)]
    for name in ACCELERATOR_RESOURCES if offered else ():
        of_name = [(one, it) for one, it in given if it("name") == name]
        amount = sum(int(str(it("nominalQuota", 0))) for _, it in of_name)
        if amount > (offered or {}).get(name, 0):
            one, it = of_name[-1]
            yield one, it.at("nominalQuota"), Told(f"part of {amount} {name}, of {(offered or {}).get(name, 0)} in the pools")


def _quotas(one: Resource) -> list[View]:
    return [
        wanted
        for group in one.view.maps("spec.resourceGroups")
        for flavor in group.maps("flavors")
        for wanted in flavor.maps("resources")
    ]
