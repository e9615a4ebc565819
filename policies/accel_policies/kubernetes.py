"""Rules about what runs in a cluster: Pod Security, rights, images, networks, availability."""

from __future__ import annotations

from collections.abc import Iterator

from policies.accel_policies.rule import Found, FoundAt, Resource, Rules, Severity, Stack, Told
from policies.accel_policies.settings import Settings
from policies.accel_policies.values import View
from policies.accel_policies.workloads import (
    DEPLOYMENT,
    POD,
    RELEASE,
    STATEFUL_SET,
    WORKLOADS,
    Container,
    Image,
    containers,
    images,
    namespace,
    pods,
)

rules = Rules("kubernetes")
CRITICAL, HIGH, MEDIUM, LOW = Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW

NAMESPACE = "kubernetes:core/v1:Namespace"
SERVICE = "kubernetes:core/v1:Service"
NETWORK_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"
_RBAC = "kubernetes:rbac.authorization.k8s.io/v1"
ROLES = (f"{_RBAC}:Role", f"{_RBAC}:ClusterRole")
BINDINGS = (f"{_RBAC}:RoleBinding", f"{_RBAC}:ClusterRoleBinding")
_ANYBODY = ("system:anonymous", "system:unauthenticated", "system:authenticated", "system:masters")
_CLIMBS = ("escalate", "bind", "impersonate")
_INTERNAL = (
    "service.beta.kubernetes.io/aws-load-balancer-scheme",
    "service.beta.kubernetes.io/aws-load-balancer-internal",
    "networking.gke.io/load-balancer-type",
    "service.beta.kubernetes.io/azure-load-balancer-internal",
)
_SECRET_WORDS = ("PASSWORD", "TOKEN", "SECRET", "API_KEY", "APIKEY", "PRIVATE_KEY")
PSS = "Pod Security Standards: "
NSA = "NSA/CISA Kubernetes Hardening Guide 1.2: "


@rules.on(
    "k8s-default-account",
    MEDIUM,
    WORKLOADS,
    mend="set automountServiceAccountToken: false, or a serviceAccountName of its own",
    refs=("CIS Kubernetes 5.1.5", "CIS Kubernetes 5.1.6", "CKV_K8S_38"),
    parts=pods,
)
def _account(pod: View, _: Settings) -> Iterator[Found]:
    """No pod carries the token of its namespace's default account.

    Rights that anybody ever gives that account all of them have.
    """
    if pod("automountServiceAccountToken", True) and pod("serviceAccountName", "default") == "default":
        yield pod.at("serviceAccountName"), pod("serviceAccountName")


@rules.on(
    "k8s-rbac-star",
    CRITICAL,
    ROLES,
    mend="name API groups, resources and verbs",
    refs=("CIS Kubernetes 5.1.3", "CKV_K8S_49"),
    parts=lambda one: one.view.maps("rules"),
)
def _rbac_star(it: View, _: Settings) -> Iterator[Found]:
    """No role allows everything on everything.

    Whoever gets at it owns the cluster.
    """
    if "*" in it("verbs", ()) and "*" in it("resources", ()):
        yield it.at("verbs"), "*"


@rules.on(
    "k8s-rbac-climb",
    CRITICAL,
    ROLES,
    mend="leave the verb out",
    refs=("CIS Kubernetes 5.1.8", "CKV_K8S_157", "CKV_K8S_158"),
    parts=lambda one: one.view.maps("rules"),
)
def _rbac_climb(it: View, _: Settings) -> Iterator[Found]:
    """No role lets its holder give itself more rights, or be somebody else.

    Such a right is every right.
    """
    for verb in it("verbs", ()):
        if verb in _CLIMBS:
            yield it.at("verbs"), verb


@rules.on(
    "k8s-rbac-anybody",
    CRITICAL,
    BINDINGS,
    mend="bind roles to named users, groups of your directory, or service accounts",
    refs=("CIS Kubernetes 5.1.1", "CIS Kubernetes 5.1.7"),
)
def _rbac_anybody(it: View, _: Settings) -> Iterator[Found]:
    """No role is bound to everybody, and nobody is cluster-admin.

    Rights that no directory gave none can take away.
    """
    for subject in it.maps("subjects"):
        if subject("name") in _ANYBODY:
            yield subject.at("name"), subject("name")
    if it("roleRef.name") == "cluster-admin":
        yield "roleRef.name", "cluster-admin"


@rules.on(
    "k8s-secret-in-env",
    MEDIUM,
    WORKLOADS,
    mend="mount the secret as a file, or use the pod's identity",
    refs=("CIS Kubernetes 5.4.1", "CKV_K8S_35"),
    parts=containers,
)
def _env(container: Container, _: Settings) -> Iterator[Found]:
    """Secrets are files, not variables.

    Variables end up in logs, crash dumps and every process that is started.
    """
    for variable in container.view.maps("env"):
        name = str(variable("name")).upper()
        # One that says where the file is holds no secret.
        named = any(word in name for word in _SECRET_WORDS) and not name.endswith(("_FILE", "_PATH"))
        if "secretKeyRef" in variable("valueFrom", View({})) or (named and "value" in variable):
            # The value itself is nobody's business.
            yield variable.at("name"), variable("name")


@rules.on(
    "k8s-default-namespace",
    LOW,
    (*WORKLOADS, RELEASE),
    mend="set a namespace of its own",
    refs=("CIS Kubernetes 5.7.4", "CKV_K8S_21"),
    parts=lambda one: [one],
)
def _default_namespace(one: Resource, _: Settings) -> Iterator[Found]:
    """Nothing runs in the default namespace.

    It has no quota, no network policy and no security level, and everybody's slips land there.
    """
    if namespace(one) == "default":
        yield "namespace" if one.type == RELEASE else "metadata.namespace", None


@rules.on(
    "k8s-namespace-security",
    HIGH,
    NAMESPACE,
    mend="label it pod-security.kubernetes.io/enforce: restricted",
    refs=(f"{PSS}admission", "CIS Kubernetes 5.2.1"),
)
def _security_label(it: View, settings: Settings) -> Iterator[Found]:
    """Every namespace enforces a Pod Security level, restricted but for device plugins.

    Else the API server takes any pod that anybody sends.
    """
    level = it("metadata.labels", View({})).get("pod-security.kubernetes.io/enforce")
    free = it("metadata.name") in settings.limits.host_namespaces
    if level not in ("restricted", "baseline") and not (free and level == "privileged"):
        yield "metadata.labels.pod-security.kubernetes.io/enforce", level


@rules.on(
    "k8s-namespace-default-deny",
    HIGH,
    NAMESPACE,
    mend="add a NetworkPolicy with an empty podSelector, policyTypes Ingress and Egress, and no rules",
    refs=("CIS Kubernetes 5.3.2", f"{NSA}network separation"),
    whole=True,
)
def _default_deny(stack: Stack, settings: Settings) -> Iterator[FoundAt]:
    """In every namespace what no policy allows is refused.

    Else one pod that was broken into reaches all others.
    """
    closed = [one.view("metadata.namespace") for one in stack.of(NETWORK_POLICY) if _denies(one.view)]
    for one in stack.of(NAMESPACE):
        name = one.view("metadata.name")
        if name not in closed and name not in settings.limits.host_namespaces:
            yield one, "networkPolicies", None


def _denies(it: View) -> bool:
    """Selects every pod and allows nothing that comes in."""
    everybody = not it("spec.podSelector", View({})).data
    return everybody and "Ingress" in it("spec.policyTypes", ()) and not len(it("spec.ingress", ()))


@rules.on(
    "k8s-image-tag",
    HIGH,
    (*WORKLOADS, RELEASE),
    mend="name a version, or better a digest",
    refs=("CIS Kubernetes 5.5.1", "CKV_K8S_14"),
    parts=images,
)
def _tag(image: Image, _: Settings) -> Iterator[Found]:
    """Images name a version.

    What was tested is else not what runs after the next restart.
    """
    tag = image.name.rpartition("/")[2].partition(":")[2]
    if tag in ("", "latest"):  # a digest has a colon, too
        yield image.path, image.name


@rules.on(
    "k8s-image-digest",
    HIGH,
    (*WORKLOADS, RELEASE),
    mend="add @sha256:… to the image's name",
    refs=("CIS Kubernetes 5.5.1", "CKV_K8S_43"),
    parts=images,
)
def _digest(image: Image, settings: Settings) -> Iterator[Found]:
    """In production images are named by digest.

    A tag can be moved to another image by whoever holds the registry.
    """
    if settings.environment == "prod" and "@sha256:" not in image.name:
        yield image.path, image.name


@rules.on(
    "k8s-image-registry",
    HIGH,
    (*WORKLOADS, RELEASE),
    mend="mirror the image, or add its registry to policies.limits.registries",
    refs=("CIS GKE 5.1.4", f"{NSA}trusted registries"),
    parts=images,
)
def _registry(image: Image, settings: Settings) -> Iterator[Found]:
    """Images come from the registries that the stack file names, where it names any.

    A misspelt name is somebody else's image.
    """
    allowed = settings.limits.registries
    if allowed and not image.name.startswith(tuple(allowed)):
        yield image.path, image.name


@rules.on(
    "k8s-resources",
    MEDIUM,
    WORKLOADS,
    mend="set requests for cpu and memory, and a limit for memory",
    refs=("kube-score container-resources", "CKV_K8S_10", "CKV_K8S_12", "CKV_K8S_13"),
    parts=containers,
)
def _resources(container: Container, _: Settings) -> Iterator[Found]:
    """Containers say what they need, and how much memory they may take.

    One that takes all of it brings down its neighbours.
    """
    for path in ("resources.requests.cpu", "resources.requests.memory", "resources.limits.memory"):
        if container.view(path) is None:
            yield container.view.at(path), None


@rules.on(
    "k8s-probes-differ",
    MEDIUM,
    (DEPLOYMENT, STATEFUL_SET),
    mend="let liveness ask something cheaper, or wait longer",
    refs=("kube-score pod-probes-identical",),
    parts=containers,
)
def _probes(container: Container, _: Settings) -> Iterator[Found]:
    """A pod that is not ready is not dead: the two probes differ.

    A replica that is busy is else restarted, and the others get its load.
    """
    alive, ready = container.view("livenessProbe"), container.view("readinessProbe")
    if alive is not None and ready is not None and alive.data == ready.data:
        yield container.view.at("livenessProbe"), Told("the same as readinessProbe")


@rules.on(
    "k8s-bare-pod",
    MEDIUM,
    POD,
    mend="write a Deployment or a Job",
    refs=("kube-score", "CIS Kubernetes 5.7"),
)
def _bare(it: View, _: Settings) -> Iterator[Found]:
    """Pods belong to something that makes them again.

    One that loses its node is else gone.
    """
    if not it.maps("metadata.ownerReferences"):
        yield "metadata.ownerReferences", None


@rules.on(
    "k8s-one-replica",
    HIGH,
    DEPLOYMENT,
    mend="set spec.replicas: 2 or more and add a PodDisruptionBudget with maxUnavailable: 1",
    refs=("kube-score deployment-replicas",),
    whole=True,
)
def _one_replica(stack: Stack, settings: Settings) -> Iterator[FoundAt]:
    """In production a service outlives a node: two replicas and a disruption budget.

    Every upgrade of the nodes is else an outage.
    """
    if settings.environment != "prod":
        return
    budgets = [dict(one.view("spec.selector.matchLabels", View({})).items()) for one in stack.of(BUDGET)]
    for one in stack.of(DEPLOYMENT):
        labels = dict(one.view("spec.selector.matchLabels", View({})).items())
        if one.view("spec.replicas", 1) < 2:
            yield one, "spec.replicas", one.view("spec.replicas")
        elif labels not in budgets:
            yield one, "podDisruptionBudget", None


@rules.on(
    "k8s-budget-blocks",
    HIGH,
    BUDGET,
    mend="set maxUnavailable: 1",
    refs=("kube-score poddisruptionbudget",),
)
def _budget_blocks(it: View, _: Settings) -> Iterator[Found]:
    """A disruption budget lets at least one pod go.

    No node of such pods can be drained, and upgrades hang.
    """
    if it("spec.maxUnavailable") in (0, "0", "0%"):
        yield "spec.maxUnavailable", it("spec.maxUnavailable")
    if it("spec.minAvailable") == "100%":
        yield "spec.minAvailable", "100%"


@rules.on(
    "k8s-public-balancer",
    HIGH,
    SERVICE,
    mend="make it internal by your cloud's annotation, or go through a gateway with TLS and a login",
    refs=("CIS EKS 5.4.5",),
)
def _balancer(it: View, _: Settings) -> Iterator[Found]:
    """No Service puts a model on the internet by itself.

    Model servers ask nobody who they are.
    """
    if it("spec.type") != "LoadBalancer":
        return
    annotations = it("metadata.annotations", View({}))
    if not any(str(annotations.get(key)).lower() in ("internal", "true") for key in _INTERNAL):
        yield "spec.type", "LoadBalancer"


@rules.on(
    "k8s-labels",
    LOW,
    (*WORKLOADS, NAMESPACE),
    mend="set app.kubernetes.io/name and app.kubernetes.io/managed-by, of a namespace the second",
    refs=("kubernetes.io: recommended labels",),
    parts=lambda one: [one],
)
def _labels(one: Resource, _: Settings) -> Iterator[Found]:
    """Objects say what they are and who made them.

    Else nobody dares to delete them.
    """
    labels = one.view("metadata.labels", View({}))
    for key in ("name", "managed-by") if one.type != NAMESPACE else ("managed-by",):
        if f"app.kubernetes.io/{key}" not in labels:
            yield f"metadata.labels.app.kubernetes.io/{key}", None


@rules.on(
    "k8s-chart-version",
    HIGH,
    RELEASE,
    mend="set version",
    refs=("CIS Kubernetes 5.5.1",),
)
def _chart(it: View, _: Settings) -> Iterator[Found]:
    """A chart from a repository is of a named version.

    What was tested is else not what is installed next time.
    """
    remote = "repo" in it("repositoryOpts", View({})) or str(it("chart", "")).startswith("oci://")
    if remote and it("version") is None:
        yield "version", None
