"""Fixtures of the rules about what runs in a cluster."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pulumi_kubernetes as k8s

from fleet.spec_policies import LimitsSpec, WaiverSpec
from policies.accel_policies.settings import Settings
from tests.policies.programs import DEV, GONE, TODAY, Case, U, builder, case, merged

DIGEST = "registry.example/server@sha256:" + "0" * 64
SAFE = {
    "name": "server",
    "image": DIGEST,
    "security_context": {
        "run_as_non_root": True,
        "allow_privilege_escalation": False,
        "read_only_root_filesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccomp_profile": {"type": "RuntimeDefault"},
    },
    "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
}
LABELS = {"app.kubernetes.io/name": "server", "app.kubernetes.io/managed-by": "pulumi"}
META = {"name": "server", "namespace": "models", "labels": LABELS}
TEMPLATE = {"spec": {"service_account_name": "server", "containers": [SAFE]}}
SELECTOR = {"match_labels": {"app": "server"}}

deployment = builder(k8s.apps.v1.Deployment, metadata=META, spec={"replicas": 2, "selector": SELECTOR, "template": TEMPLATE})
pod = builder(
    k8s.core.v1.Pod,
    metadata={**META, "owner_references": [{"name": "x", "kind": "Job", "api_version": "v1", "uid": "1"}]},
    spec=TEMPLATE["spec"],
)
job = builder(k8s.batch.v1.Job, metadata=META, spec={"template": TEMPLATE})
cron_job = builder(
    k8s.batch.v1.CronJob, metadata=META, spec={"schedule": "@daily", "job_template": {"spec": {"template": TEMPLATE}}}
)
daemon_set = builder(k8s.apps.v1.DaemonSet, metadata=META, spec={"selector": SELECTOR, "template": TEMPLATE})
role = builder(k8s.rbac.v1.ClusterRole, rules=[{"api_groups": [""], "resources": ["pods"], "verbs": ["get"]}])
binding = builder(
    k8s.rbac.v1.ClusterRoleBinding,
    role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
    subjects=[{"kind": "Group", "name": "platform"}],
)
namespace = builder(
    k8s.core.v1.Namespace,
    metadata={
        "name": "models",
        "labels": {"pod-security.kubernetes.io/enforce": "restricted", "app.kubernetes.io/managed-by": "pulumi"},
    },
)
deny = builder(
    k8s.networking.v1.NetworkPolicy,
    metadata={"name": "deny", "namespace": "models"},
    spec={"pod_selector": {}, "policy_types": ["Ingress", "Egress"]},
)
service = builder(k8s.core.v1.Service, metadata=META, spec={"type": "ClusterIP"})
budget = builder(k8s.policy.v1.PodDisruptionBudget, spec={"selector": SELECTOR, "max_unavailable": 1})
release = builder(
    k8s.helm.v3.Release,
    chart="./charts/model-serving",
    namespace="models",
    values={
        "image": {"name": DIGEST},
        "accelerator": {"resource": "nvidia.com/gpu", "count": 1},
        "resources": {"memory": "11Gi"},
    },
)


def of(**container: Any) -> dict[str, Any]:
    """A workload whose container has these changes."""
    return {"spec": {"template": {"spec": {"containers": [merged(SAFE, container)]}}}}


def secure(**context: Any) -> dict[str, Any]:
    return of(security_context=context)


def of_pod(**spec: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": spec}}}


def both(*containers: dict[str, Any]) -> dict[str, Any]:
    return of_pod(containers=[merged(SAFE, one) for one in containers])


def inside(where: str, changes: dict[str, Any]) -> dict[str, Any]:
    return merged({"metadata": {"namespace": where}}, changes)


def plugin(changes: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The same in the namespace of device plugins, which is not minded."""
    return inside("accelerators", changes), False


def env(**variable: Any) -> dict[str, Any]:
    return of(env=[{"name": "MODE", "value": "fast"}, variable])


def may(*verbs: Any, resources: Any = None) -> dict[str, Any]:
    return {"rules": [{"api_groups": ["*"], "resources": resources or ["*"], "verbs": list(verbs)}]}


def bound(name: Any, to: Any = "view") -> dict[str, Any]:
    subjects = [{"kind": "User", "name": "ann"}, {"kind": "Group", "name": name}]
    return {"subjects": subjects, "role_ref": {"name": to}}


def level(value: Any, name: Any = "models") -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": value}}}


def probes(alive: Any, ready: Any) -> dict[str, Any]:
    def probe(path: Any) -> Any:
        return GONE if path is GONE else {"http_get": {"path": path, "port": 80}}

    return of(liveness_probe=probe(alive), readiness_probe=probe(ready))


def balancer(key: str = "x", value: Any = "y") -> dict[str, Any]:
    return {"spec": {"type": "LoadBalancer"}, "metadata": {"annotations": {key: value}}}


def asked(path: str) -> dict[str, Any]:
    kind, name = path.split(".")
    return of(resources={kind: {name: GONE}})


AWS_SCHEME = "service.beta.kubernetes.io/aws-load-balancer-scheme"
REGISTRIES = Settings(environment="prod", today=TODAY, limits=LimitsSpec(registries=["registry.example/"]))
HOST_VOLUME = [{"name": "d", "host_path": {"path": "/"}}]
VALUE_FROM = {"secret_key_ref": {"name": "s", "key": "k"}}

CASES: dict[str, Case] = {
    "k8s-privileged": case(
        deployment,
        secure(privileged=True),
        secure(privileged=False),
        False,
        secure(privileged=U),
        plugin(secure(privileged=True)),
        (both({"security_context": {"privileged": U}}, {"security_context": {"privileged": True}}), True),
        (of_pod(init_containers=[merged(SAFE, {"security_context": {"privileged": True}})]), True),
    ),
    "k8s-host-namespaces": case(
        deployment,
        of_pod(host_network=True),
        of_pod(host_network=False, host_pid=False, host_ipc=False),
        False,
        of_pod(host_network=U),
        (of_pod(host_pid=True), True),
        (of_pod(host_ipc=True), True),
        plugin(of_pod(host_network=True)),
        (inside("kube-system", of_pod(host_network=True)), False),
    ),
    "k8s-host-path": case(
        deployment,
        of_pod(volumes=HOST_VOLUME),
        of_pod(volumes=[{"name": "d", "empty_dir": {}}]),
        False,
        of_pod(volumes=U),
        plugin(of_pod(volumes=HOST_VOLUME)),
        (of_pod(volumes=[U, *HOST_VOLUME]), True),
    ),
    "k8s-non-root": case(
        deployment,
        secure(run_as_non_root=GONE),
        merged(secure(run_as_non_root=GONE), of_pod(security_context={"run_as_non_root": True})),
        False,
        secure(run_as_non_root=U),
        (merged(secure(run_as_non_root=False), of_pod(security_context={"run_as_non_root": True})), True),
        plugin(secure(run_as_non_root=GONE)),
    ),
    "k8s-privilege-escalation": case(
        deployment,
        secure(allow_privilege_escalation=True),
        secure(allow_privilege_escalation=GONE),
        True,
        secure(allow_privilege_escalation=U),
        plugin(secure(allow_privilege_escalation=True)),
    ),
    "k8s-capabilities": case(
        deployment,
        secure(capabilities=GONE),
        secure(capabilities={"drop": ["NET_RAW"]}),
        True,
        secure(capabilities={"drop": [U]}),
        (secure(capabilities={"drop": ["NET_RAW", "ALL"]}), False),
        plugin(secure(capabilities=GONE)),
    ),
    "k8s-seccomp": case(
        deployment,
        secure(seccomp_profile={"type": "Unconfined"}),
        secure(seccomp_profile={"type": "Localhost"}),
        False,
        secure(seccomp_profile={"type": U}),
        (secure(seccomp_profile=GONE), True),
        (merged(secure(seccomp_profile=GONE), of_pod(security_context={"seccomp_profile": {"type": "RuntimeDefault"}})), False),
        plugin(secure(seccomp_profile=GONE)),
    ),
    "k8s-read-only-root": case(
        deployment,
        secure(read_only_root_filesystem=False),
        secure(read_only_root_filesystem=GONE),
        True,
        secure(read_only_root_filesystem=U),
        plugin(secure(read_only_root_filesystem=False)),
    ),
    "k8s-default-account": case(
        deployment,
        of_pod(service_account_name="default"),
        of_pod(service_account_name=GONE, automount_service_account_token=False),
        False,
        of_pod(service_account_name=U),
        (of_pod(service_account_name=GONE), True),
        (of_pod(service_account_name=GONE, automount_service_account_token=True), True),
    ),
    "k8s-rbac-star": case(
        role,
        may("get", "*"),
        may("get", resources=["*"]),
        False,
        may(U),
        (may("*", resources=["pods"]), False),
        ({"rules": [{"resources": U, "verbs": ["*"]}, {"resources": ["*"], "verbs": ["*"]}]}, True),
    ),
    "k8s-rbac-climb": case(
        role,
        may("escalate", resources=["roles"]),
        may("create", resources=["roles"]),
        False,
        may(U, resources=["roles"]),
        (may("get", "bind"), True),
        (may("impersonate"), True),
    ),
    "k8s-rbac-anybody": case(
        binding,
        bound("system:authenticated"),
        bound("system:nodes"),
        False,
        bound(U),
        *[(bound(f"system:{who}"), True) for who in ("anonymous", "unauthenticated", "masters")],
        (bound("platform", "cluster-admin"), True),
    ),
    "k8s-secret-in-env": case(
        deployment,
        env(name="DB_PASSWORD", value="x"),
        env(name="DB_PASSWORD_FILE_MODE", value_from={"field_ref": {"field_path": "metadata.name"}}),
        False,
        env(name=U, value="x"),
        (env(name="X", value_from=VALUE_FROM), True),
        *[(env(name=f"a_{word}", value="x"), True) for word in ("token", "secret", "api_key", "apikey", "private_key")],
        (env(name="X", value="x"), False),
        *[
            (env(name=f"A_TOKEN{end}", value="/run/t"), clean)
            for end, clean in (("_FILE", False), ("_PATH", False), ("S", True))
        ],
    ),
    "k8s-default-namespace": case(
        deployment,
        {"metadata": {"namespace": "default"}},
        {"metadata": {"namespace": GONE}},
        True,
        {"metadata": {"namespace": U}},
        ({"metadata": {"namespace": "default-models"}}, False),
    ),
    "k8s-namespace-security": case(
        namespace,
        level("privileged"),
        level("privileged", "accelerators"),
        False,
        level(U),
        (level(GONE), True),
        (level("baseline"), False),
        (level(GONE, "accelerators"), True),
    ),
    "k8s-namespace-default-deny": Case(
        good=[(namespace, {}), (deny, {})],
        bad=[(namespace, {})],
        edge=([(namespace, {}), (deny, {"spec": {"ingress": [{}]}})], True),
        unknown=[(namespace, {}), (deny, {"spec": {"policy_types": U}})],
        more=(
            ([(namespace, {}), (deny, {"spec": {"policy_types": ["Egress"]}})], True),
            ([(namespace, {}), (deny, {"spec": {"pod_selector": {"match_labels": {"a": "b"}}}})], True),
            ([(namespace, {}), (deny, {"metadata": {"namespace": "other"}})], True),
            ([(namespace, {"metadata": {"name": "accelerators"}})], False),
        ),
    ),
    "k8s-image-tag": case(
        deployment,
        of(image="registry.example/server"),
        of(image="registry.example:5000/server"),
        True,
        of(image=U),
        (of(image="server:latest"), True),
        (of(image="server:v1"), False),
        (of(image="server@sha256:" + "0" * 64), False),
        good=of(image="registry.example:5000/server:v1"),
    ),
    "k8s-image-digest": case(
        deployment, of(image="server:v1"), of(image="server:v1"), False, of(image=U), others={"edge": DEV}
    ),
    "k8s-image-registry": case(
        deployment,
        of(image="docker.io/server:v1"),
        of(image="registry.example.evil/server:v1"),
        True,
        of(image=U),
        (of(image="docker.io/server:v1"), False),
        settings=REGISTRIES,
        others={"more-0": DEV},
    ),
    "k8s-resources": case(
        deployment,
        asked("limits.memory"),
        asked("requests.cpu"),
        True,
        of(resources={"limits": {"memory": U}}),
        (asked("requests.memory"), True),
    ),
    "k8s-probes-differ": case(
        deployment,
        probes("/ready", "/ready"),
        probes("/ready", GONE),
        False,
        probes("/ready", U),
        (probes("/live", "/ready"), False),
        (probes(GONE, "/ready"), False),
    ),
    "k8s-bare-pod": case(
        pod,
        {"metadata": {"owner_references": GONE}},
        {"metadata": {"owner_references": []}},
        True,
        {"metadata": {"owner_references": U}},
    ),
    "k8s-one-replica": Case(
        good=[(deployment, {}), (budget, {})],
        bad=[(deployment, {"spec": {"replicas": 1}}), (budget, {})],
        edge=([(deployment, {"spec": {"replicas": 2}})], True),
        unknown=[(deployment, {"spec": {"replicas": U}}), (budget, {})],
        more=(
            ([(deployment, {"spec": {"replicas": GONE}}), (budget, {})], True),
            ([(deployment, {}), (budget, {"spec": {"selector": {"match_labels": {"app": "other"}}}})], True),
            ([(deployment, {"spec": {"replicas": 1}})], False),
        ),
        others={"more-2": DEV},
    ),
    "k8s-budget-blocks": case(
        budget,
        {"spec": {"max_unavailable": 0}},
        {"spec": {"max_unavailable": GONE, "min_available": "99%"}},
        False,
        {"spec": {"max_unavailable": U}},
        ({"spec": {"max_unavailable": "0%"}}, True),
        ({"spec": {"max_unavailable": "0"}}, True),
        ({"spec": {"max_unavailable": GONE, "min_available": "100%"}}, True),
    ),
    "k8s-public-balancer": case(
        service,
        balancer(),
        balancer(AWS_SCHEME, "internal"),
        False,
        balancer(AWS_SCHEME, U),
        (balancer(AWS_SCHEME, "internet-facing"), True),
        (balancer("networking.gke.io/load-balancer-type", "Internal"), False),
        (balancer("service.beta.kubernetes.io/azure-load-balancer-internal", "true"), False),
        (balancer("service.beta.kubernetes.io/aws-load-balancer-internal", "true"), False),
        ({"spec": {"type": "NodePort"}}, False),
    ),
    "k8s-labels": case(
        deployment,
        {"metadata": {"labels": GONE}},
        {"metadata": {"labels": {"app.kubernetes.io/name": GONE}}},
        True,
        {"metadata": {"labels": U}},
        ({"metadata": {"labels": {"app.kubernetes.io/managed-by": GONE}}}, True),
    ),
    "k8s-chart-version": case(
        release,
        {"chart": "keda", "repository_opts": {"repo": "https://charts.example"}},
        {"chart": "oci://registry.example/keda"},
        True,
        {"chart": "keda", "repository_opts": {"repo": "https://charts.example"}, "version": U},
        ({"chart": "keda", "repository_opts": {"repo": "https://charts.example"}, "version": "1.2.3"}, False),
    ),
    "waiver-expired": Case(
        good=[(namespace, {})], bad=[(namespace, {})], edge=([(namespace, {})], False), unknown=[(namespace, {"metadata": U})]
    ),
    "waiver-ends-soon": Case(
        good=[(namespace, {})], bad=[(namespace, {})], edge=([(namespace, {})], True), unknown=[(namespace, {"metadata": U})]
    ),
}


def waived(days: int) -> Settings:
    """One waiver that ends so many days from today."""
    ends = TODAY + timedelta(days=days)
    waiver = WaiverSpec(rule="k8s-labels", resource="*", reason="for a test of waivers", expires=ends)
    return Settings(environment="prod", today=TODAY, waivers=(waiver,))


CASES["waiver-expired"] = Case(
    **{**vars(CASES["waiver-expired"]), "settings": waived(30), "others": {"bad": waived(-1), "edge": waived(0)}}
)
CASES["waiver-ends-soon"] = Case(
    **{
        **vars(CASES["waiver-ends-soon"]),
        "settings": waived(30),
        "others": {"bad": waived(0), "edge": waived(14), "more-0": waived(15), "more-1": waived(-1)},
        "more": (([(namespace, {})], False), ([(namespace, {})], False)),
    }
)
DEEP = {"spec": {"job_template": {"spec": {"template": {"spec": {"host_pid": True}}}}}}
MORE: dict[str, Case] = {
    "k8s-host-namespaces": Case(
        good=[(job, {}), (cron_job, {}), (pod, {}), (daemon_set, {})],
        bad=[(cron_job, DEEP)],
        edge=([(pod, {"spec": {"host_pid": True}})], True),
        unknown=[(job, of_pod(host_pid=U))],
        more=(([(daemon_set, of_pod(host_ipc=True))], True), ([(job, of_pod(host_ipc=True))], True)),
    ),
    "k8s-default-namespace": case(release, {"namespace": "default"}, {"namespace": GONE}, True, {"namespace": U}),
    "k8s-image-digest": case(
        release,
        {"values": {"image": {"name": "server:v1"}}},
        {"values": {"image": GONE}},
        False,
        {"values": {"image": {"name": U}}},
    ),
    "k8s-labels": case(
        namespace,
        {"metadata": {"labels": {"app.kubernetes.io/managed-by": GONE}}},
        {"metadata": {"labels": {"app.kubernetes.io/name": GONE}}},
        False,
        {"metadata": {"labels": U}},
    ),
}
ALL = (CASES, MORE)
