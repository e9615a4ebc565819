"""Rules about what a pod may do on its node, after the Pod Security Standards."""

from __future__ import annotations

from collections.abc import Iterator

from policies.accel_policies.kubernetes import NSA, PSS
from policies.accel_policies.rule import Found, Resource, Rules, Severity
from policies.accel_policies.settings import Settings
from policies.accel_policies.values import View
from policies.accel_policies.workloads import WORKLOADS, Container, containers, namespace, pods

rules = Rules("kubernetes")
CRITICAL, HIGH, MEDIUM = Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM


def _hosts(one: Resource) -> list[tuple[Resource, View]]:
    return [(one, pod) for pod in pods(one)]


def _host_containers(one: Resource) -> list[tuple[Resource, Container]]:
    return [(one, container) for container in containers(one)]


def _may_touch_nodes(one: Resource, settings: Settings) -> bool:
    return namespace(one) in settings.limits.host_namespaces


@rules.on(
    "k8s-privileged",
    CRITICAL,
    WORKLOADS,
    mend="leave securityContext.privileged out, and name the capabilities that are needed",
    refs=(f"{PSS}baseline", "CIS Kubernetes 5.2.2", "CKV_K8S_16"),
    parts=_host_containers,
)
def _privileged(part: tuple[Resource, Container], settings: Settings) -> Iterator[Found]:
    """No container is privileged but device plugins in their namespace.

    A privileged container is root on its node, and so on everything that runs there.
    """
    one, container = part
    if container.view("securityContext.privileged", False) and not _may_touch_nodes(one, settings):
        yield container.view.at("securityContext.privileged"), True


@rules.on(
    "k8s-host-namespaces",
    CRITICAL,
    WORKLOADS,
    mend="leave hostPID, hostIPC and hostNetwork out",
    refs=(f"{PSS}baseline", "CIS Kubernetes 5.2.3-5", "CKV_K8S_17"),
    parts=_hosts,
)
def _host_namespaces(part: tuple[Resource, View], settings: Settings) -> Iterator[Found]:
    """No pod shares its node's processes, memory or network but device plugins in their namespace.

    From there it sees, or answers for, everybody else on the node.
    """
    one, pod = part
    for key in ("hostPID", "hostIPC", "hostNetwork"):
        if pod(key, False) and not _may_touch_nodes(one, settings):
            yield pod.at(key), True


@rules.on(
    "k8s-host-path",
    CRITICAL,
    WORKLOADS,
    mend="use emptyDir, a claim, or a CSI volume",
    refs=(f"{PSS}baseline", "CIS Kubernetes 5.2.12"),
    parts=_hosts,
)
def _host_path(part: tuple[Resource, View], settings: Settings) -> Iterator[Found]:
    """No pod mounts its node's disk but device plugins in their namespace.

    One writable path is enough to become root on the node.
    """
    one, pod = part
    for volume in pod.maps("volumes"):
        if "hostPath" in volume and not _may_touch_nodes(one, settings):
            yield volume.at("hostPath.path"), volume("hostPath.path")


@rules.on(
    "k8s-non-root",
    HIGH,
    WORKLOADS,
    mend="set securityContext.runAsNonRoot: true with a user of the image's own",
    refs=(f"{PSS}restricted", "CIS Kubernetes 5.2.7", "CKV_K8S_23"),
    parts=_host_containers,
)
def _non_root(part: tuple[Resource, Container], settings: Settings) -> Iterator[Found]:
    """Processes do not run as root.

    Root in a container is root on the node at the first hole in the kernel.
    """
    one, container = part
    if container.security("runAsNonRoot") is not True and not _may_touch_nodes(one, settings):
        yield container.view.at("securityContext.runAsNonRoot"), container.security("runAsNonRoot")


@rules.on(
    "k8s-privilege-escalation",
    HIGH,
    WORKLOADS,
    mend="set securityContext.allowPrivilegeEscalation: false",
    refs=(f"{PSS}restricted", "CIS Kubernetes 5.2.6", "CKV_K8S_20"),
    parts=_host_containers,
)
def _escalation(part: tuple[Resource, Container], settings: Settings) -> Iterator[Found]:
    """No process gets more rights than it was started with.

    A set-uid program in the image is else all that an intruder needs.
    """
    one, container = part
    allowed = container.view("securityContext.allowPrivilegeEscalation")
    if allowed is not False and not _may_touch_nodes(one, settings):
        yield container.view.at("securityContext.allowPrivilegeEscalation"), allowed


@rules.on(
    "k8s-capabilities",
    HIGH,
    WORKLOADS,
    mend="set securityContext.capabilities.drop: [ALL]",
    refs=(f"{PSS}restricted", "CIS Kubernetes 5.2.10", "CKV_K8S_37"),
    parts=_host_containers,
)
def _capabilities(part: tuple[Resource, Container], settings: Settings) -> Iterator[Found]:
    """Containers drop all capabilities.

    The default ones let a process forge packets and change owners of files.
    """
    one, container = part
    dropped = container.view("securityContext.capabilities.drop", ())
    if "ALL" not in dropped and not _may_touch_nodes(one, settings):
        yield container.view.at("securityContext.capabilities.drop"), dropped or None


@rules.on(
    "k8s-seccomp",
    HIGH,
    WORKLOADS,
    mend="set securityContext.seccompProfile.type: RuntimeDefault",
    refs=(f"{PSS}restricted", "CIS Kubernetes 5.7.2", "CKV_K8S_31"),
    parts=_host_containers,
)
def _seccomp(part: tuple[Resource, Container], settings: Settings) -> Iterator[Found]:
    """The kernel refuses system calls that no container needs.

    Most escapes begin with one of them.
    """
    one, container = part
    kind = container.security("seccompProfile.type")
    if kind not in ("RuntimeDefault", "Localhost") and not _may_touch_nodes(one, settings):
        yield container.view.at("securityContext.seccompProfile.type"), kind


@rules.on(
    "k8s-read-only-root",
    MEDIUM,
    WORKLOADS,
    mend="set securityContext.readOnlyRootFilesystem: true, with an emptyDir where it writes",
    refs=(f"{NSA}immutable container file systems", "CKV_K8S_22"),
    parts=_host_containers,
)
def _read_only(part: tuple[Resource, Container], settings: Settings) -> Iterator[Found]:
    """A container cannot change its own programs.

    An intruder else stays until the pod is replaced.
    """
    one, container = part
    if not container.view("securityContext.readOnlyRootFilesystem", False) and not _may_touch_nodes(one, settings):
        yield container.view.at("securityContext.readOnlyRootFilesystem"), None
