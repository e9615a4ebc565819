"""The model-serving chart: rendered by helm and read as YAML, then installed into a real API server."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
import yaml

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import machine, machines
from fleet.spec import Autoscaler
from infra.kubernetes.model_serving import chart_values, start_up_seconds
from tests.accelerator_pools import L4, ON_OFFER, pool_of, tolerates
from tests.charts.rendering import MODEL_SERVING, QUEUE, TRIGGER, Refused, merged, minimal, model, objects_in, restricted

CHART = MODEL_SERVING
MINIMAL = minimal(CHART)
NO_RESOURCE = {"accelerator": {"resource": ""}}


@pytest.fixture(scope="module")
def render(helm):
    """`render(values) -> objects by kind`; the same values are rendered once."""
    done = {}

    def run(values, minor="1.34.0"):
        key = f"{minor} {json.dumps(values, sort_keys=True)}"
        if key not in done:
            text = helm("template", "chat", str(CHART), "--namespace", "models", "--kube-version", minor, values=values)
            done[key] = objects_in(text)
        return {t["kind"]: t for t in done[key] if "helm.sh/hook" not in t["metadata"].get("annotations", {})}

    return run


def with_(**changes):
    return merged(MINIMAL, changes)


def pod_of(objects):
    return objects["Deployment"]["spec"]["template"]["spec"]


def test_the_schema_knows_every_value_and_no_other():
    def same(given, schema, path=()):
        if isinstance(given, dict) and "properties" in schema:
            assert schema["additionalProperties"] is False, path
            assert set(given) == set(schema["properties"]), path
            for key, inner in given.items():
                same(inner, schema["properties"][key], (*path, key))

    same(yaml.safe_load((CHART / "values.yaml").read_text()), json.loads((CHART / "values.schema.json").read_text()))


# Rendered


WRONG = [
    ({"accelerators": {}}, "additional properties 'accelerators' not allowed"),
    ({"image": {"tag": "v1"}}, "/image"),
    ({"probes": {"startup": {"failureThreshold": 3}}}, "/probes/startup"),
    ({"tolerations": [{"key": "a", "operater": "Exists"}]}, "/tolerations/0"),
    ({"accelerator": {"resource": ""}}, "/accelerator/resource"),
    ({"accelerator": {"count": 0}}, "/accelerator/count"),
    ({"image": {"name": ""}}, "/image/name"),
    ({"server": {"runAsUser": 0}}, "/server/runAsUser"),
    ({"disruptionBudget": {"maxUnavailable": 0}}, "/disruptionBudget/maxUnavailable"),
    ({"resources": {"memory": "8 GB"}}, "/resources/memory"),
    ({"autoscaling": {"kind": "vpa"}}, "/autoscaling/kind"),
    ({"autoscaling": {"kind": "keda"}}, "/autoscaling/keda/triggers"),
    ({"autoscaling": {"kind": "hpa"}, "replicas": {"min": 0}}, "/replicas/min"),
    ({"resourceClaims": [{"name": "gpu", "deviceClass": "gpu.nvidia.com", "count": 1}]}, "/accelerator/resource"),
    ({**NO_RESOURCE, "resourceClaims": [{"name": "gpu", "deviceClass": "gpu.nvidia.com"}]}, "/resourceClaims/0"),
    ({**NO_RESOURCE, "resourceClaims": [{"name": "gpu", "resource": "nvidia.com/gpu", "count": 1}]}, "/resourceClaims/0"),
    (
        {**NO_RESOURCE, "resourceClaims": [{"name": "gpu", "deviceClass": "a/b", "count": 1}]},
        "/resourceClaims/0/deviceClass",
    ),
    ({**NO_RESOURCE, "resourceClaims": []}, "/accelerator/resource"),
    ({"image": {"pullPolicy": "Never"}}, "/image/pullPolicy"),
    ({"image": {"name": "vllm openai:v1"}}, "/image/name"),
    ({"server": {"port": 70000}}, "/server/port"),
    ({"server": {"env": [{"name": "A", "value": 1}]}}, "/server/env/0"),
    ({"weights": {"url": "weights/chat"}}, "/weights/url"),
    ({"weights": {"sizeGiB": -1}}, "/weights/sizeGiB"),
    ({"weights": {"cache": {"kind": "disk"}}}, "/weights/cache/kind"),
    ({"weights": {"cache": {"kind": "node"}}}, "/weights/cache/node"),
    ({"weights": {"cache": {"kind": "node", "node": {"path": "var/weights"}}}}, "/weights/cache/node/path"),
    ({"weights": {"cache": {"kind": "image"}}}, "/weights/cache"),
    ({"weights": {"cache": {"path": "cache"}}}, "/weights/cache/path"),
    ({"replicas": {"max": 0}}, "/replicas/max"),
    ({"autoscaling": {"kind": "jobs"}, "replicas": {"min": 0}}, "/autoscaling/keda/triggers"),
    ({"autoscaling": {"kind": "jobs", "keda": {"triggers": [TRIGGER]}}, "replicas": {"min": 1}}, "/replicas/min"),
    ({"autoscaling": {"kind": "keda", "keda": {"triggers": [{"type": "cron"}]}}}, "/autoscaling/keda/triggers/0"),
    ({"autoscaling": {"keda": {"fallback": {"behavior": "none"}}}}, "/autoscaling/keda/fallback/behavior"),
    ({"autoscaling": {"keda": {"identity": {"provider": "aws-eks"}}}}, "/autoscaling/keda/identity/provider"),
    (
        {"autoscaling": {"keda": {"multipleScalersCalculation": "least"}}},
        "/autoscaling/keda/multipleScalersCalculation",
    ),
    ({"autoscaling": {"scaleDown": {"percent": 0}}}, "/autoscaling/scaleDown/percent"),
    ({"autoscaling": {"scaleDown": {"stabilizationSeconds": 7200}}}, "/autoscaling/scaleDown/stabilizationSeconds"),
    ({"route": {"canary": {"percent": 10}}}, "/route/canary"),
    ({"route": {"canary": {"service": "chat-v2", "percent": 101}}}, "/route/canary/percent"),
    ({"route": {"gateway": {"name": "Public"}}}, "/route/gateway/name"),
    ({"route": {"hostnames": ["https://models.example"]}}, "/route/hostnames/0"),
    ({"podMonitor": {"enabled": "yes"}}, "/podMonitor/enabled"),
    ({"job": {"deadlineSeconds": 0}}, "/job/deadlineSeconds"),
    ({"networkPolicy": {"credentialEndpoints": [{"cidr": "169.254.170.23/32"}]}}, "/networkPolicy/credentialEndpoints/0"),
]


def test_many_wrong_values_are_known():
    assert len(WRONG) >= 30
    assert len({json.dumps(values, sort_keys=True) for values, _ in WRONG}) == len(WRONG)


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("values", "at"),
    WRONG,
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_the_schema_refuses_what_the_chart_does_not_know(render, values, at):
    with pytest.raises(Refused, match=r"don't meet the specifications of the schema") as refused:
        render(with_(**values))
    assert at in str(refused.value)


@pytest.mark.sandbox
def test_without_an_accelerator_there_is_no_model(render):
    with pytest.raises(Refused, match="/accelerator/resource"):
        render({"image": MINIMAL["image"]})


@pytest.mark.sandbox
def test_a_runtime_class_is_the_pods_where_one_is_given(render):
    assert pod_of(render(with_(runtimeClassName="nvidia")))["runtimeClassName"] == "nvidia"
    assert "runtimeClassName" not in pod_of(render(MINIMAL))


@pytest.mark.sandbox
def test_a_scheduler_is_the_pods_where_one_is_given(render):
    assert pod_of(render(with_(schedulerName="neuron-scheduler")))["schedulerName"] == "neuron-scheduler"
    assert "schedulerName" not in pod_of(render(MINIMAL))


@pytest.mark.sandbox
def test_a_class_of_priority_is_the_pods_where_one_is_given(render):
    assert pod_of(render(with_(priorityClassName="accelfleet-high")))["priorityClassName"] == "accelfleet-high"
    assert "priorityClassName" not in pod_of(render(MINIMAL))


@pytest.mark.sandbox
def test_an_old_cluster_is_refused(helm):
    with pytest.raises(Refused, match="incompatible with Kubernetes"):
        helm("template", "chat", str(CHART), "--kube-version", "1.32.0", values=MINIMAL)


@pytest.mark.sandbox
def test_pain_11_replicas_have_one_owner(render):
    alone = render(with_(replicas={"min": 3, "max": 3}))
    assert alone["Deployment"]["spec"]["replicas"] == 3
    assert not {"HorizontalPodAutoscaler", "ScaledObject"} & set(alone)
    hpa = render(with_(autoscaling={"kind": "hpa"}, replicas={"min": 2, "max": 5}))
    assert "replicas" not in hpa["Deployment"]["spec"]
    assert "ScaledObject" not in hpa
    bounds = hpa["HorizontalPodAutoscaler"]["spec"]
    assert (bounds["minReplicas"], bounds["maxReplicas"]) == (2, 5)
    assert bounds["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"}
    keda = render(with_(autoscaling={"kind": "keda", "keda": {"triggers": [TRIGGER]}}, replicas={"min": 1, "max": 5}))
    assert "replicas" not in keda["Deployment"]["spec"]
    assert "HorizontalPodAutoscaler" not in keda
    scaled = keda["ScaledObject"]["spec"]
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"], scaled["triggers"]) == (1, 5, [TRIGGER])


@pytest.mark.sandbox
def test_keda_can_go_by_a_formula_of_its_triggers(render):
    triggers = [{"name": "waiting", **TRIGGER}, {"name": "grid", **TRIGGER}]
    keda = {"triggers": triggers, "formula": "min(waiting ?? 0.0, 4 * (grid ?? 0.0))", "target": "4"}
    scaled = render(with_(autoscaling={"kind": "keda", "keda": keda}, replicas={"min": 2, "max": 5}))["ScaledObject"]["spec"]
    made = {"formula": keda["formula"], "target": "4", "metricType": "AverageValue"}
    assert scaled["advanced"]["scalingModifiers"] == made
    assert scaled["fallback"] == {"failureThreshold": 2, "replicas": 2, "behavior": "scalingModifiers"}
    plain = render(with_(autoscaling={"kind": "keda", "keda": {"triggers": [TRIGGER]}}, replicas={"min": 1, "max": 5}))
    assert "scalingModifiers" not in plain["ScaledObject"]["spec"]["advanced"]


@pytest.mark.sandbox
@pytest.mark.parametrize("kind", ["hpa", "keda"])
def test_replicas_go_slowly_and_come_at_once(render, kind):
    scaling = {"kind": kind, "keda": {"triggers": [TRIGGER]}, "scaleDown": {"stabilizationSeconds": 820}}
    objects = render(with_(autoscaling=scaling, replicas={"min": 1, "max": 5}))
    if kind == "hpa":
        behavior = objects["HorizontalPodAutoscaler"]["spec"]["behavior"]
    else:
        behavior = objects["ScaledObject"]["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    half = {"type": "Percent", "value": 50, "periodSeconds": 60}
    assert behavior == {"scaleDown": {"stabilizationWindowSeconds": 820, "policies": [half]}}


@pytest.mark.sandbox
def test_where_none_may_be_none_is_made(render):
    scaling = {"kind": "keda", "keda": {"triggers": [TRIGGER]}}
    assert render(with_(autoscaling=scaling, replicas={"min": 0, "max": 5}))["Deployment"]["spec"]["replicas"] == 0


@pytest.mark.sandbox
def test_what_cannot_be_counted_takes_no_replica_away(render):
    def fallback(least, **keda):
        scaling = {"kind": "keda", "keda": {"triggers": [TRIGGER], **keda}}
        return render(with_(autoscaling=scaling, replicas={"min": least, "max": 5}))["ScaledObject"]["spec"]["fallback"]

    assert fallback(2) == {"failureThreshold": 2, "replicas": 2, "behavior": "currentReplicasIfHigher"}
    assert fallback(2, fallback={"replicas": 4, "behavior": "static"})["replicas"] == 4
    assert fallback(0)["replicas"] == 1, "with 0, KEDA takes a failure for no work until the fallback holds"


@pytest.mark.sandbox
def test_a_queue_is_read_by_an_identity(render):
    trigger = {**QUEUE, "authenticationRef": {"name": "chat"}}
    keda = {"triggers": [trigger], "identity": {"provider": "aws"}}
    objects = render(with_(autoscaling={"kind": "keda", "keda": keda}, replicas={"min": 0, "max": 5}))
    assert objects["TriggerAuthentication"]["spec"] == {"podIdentity": {"provider": "aws"}}
    assert objects["TriggerAuthentication"]["metadata"]["name"] == trigger["authenticationRef"]["name"]
    assert objects["ScaledObject"]["spec"]["triggers"] == [trigger]
    assert "TriggerAuthentication" not in render(with_(autoscaling={"kind": "keda", "keda": {"triggers": [QUEUE]}}))


@pytest.mark.sandbox
def test_jobs_have_the_replicas_pod_and_serve_nobody(render):
    replicas = pod_of(render(with_(tolerations=[{"key": "a", "operator": "Exists"}])))
    objects = render(
        with_(
            tolerations=[{"key": "a", "operator": "Exists"}],
            autoscaling={"kind": "jobs", "keda": {"triggers": [QUEUE]}},
            replicas={"min": 0, "max": 5},
        )
    )
    assert set(objects) == {"ScaledJob", "ServiceAccount", "NetworkPolicy"}
    job = objects["ScaledJob"]["spec"]
    assert (job["minReplicaCount"], job["maxReplicaCount"], job["triggers"]) == (0, 5, [QUEUE])
    assert job["scalingStrategy"] == {"multipleScalersCalculation": "max"}
    pod = job["jobTargetRef"]["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    for key in ("tolerations", "securityContext", "serviceAccountName", "volumes"):
        assert pod[key] == replicas[key], key
    (container,), (server,) = pod["containers"], replicas["containers"]
    assert set(server) - set(container) == {"ports", "startupProbe", "livenessProbe", "readinessProbe", "lifecycle"}
    assert container["resources"] == server["resources"]
    assert objects["NetworkPolicy"]["spec"]["ingress"] == []


@pytest.mark.sandbox
def test_a_canary_gets_its_part_of_the_requests(render):
    route = {"gateway": {"name": "public", "namespace": "gateways"}, "hostnames": ["chat.example"]}
    canary = {"service": "chat-v2", "percent": 10}
    objects = render(with_(route={**route, "canary": canary}))
    spec = objects["HTTPRoute"]["spec"]
    assert spec["parentRefs"] == [{"name": "public", "namespace": "gateways"}]
    assert spec["hostnames"] == ["chat.example"]
    ((stable, new),) = [rule["backendRefs"] for rule in spec["rules"]]
    assert stable == {"name": "chat", "port": 8000, "weight": 90}
    assert new == {"name": "chat-v2", "port": 8000, "weight": 10}
    came = objects["NetworkPolicy"]["spec"]["ingress"][0]["from"]
    assert {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateways"}}} in came
    (alone,) = render(with_(route=route))["HTTPRoute"]["spec"]["rules"][0]["backendRefs"]
    assert alone["weight"] == 100
    assert "HTTPRoute" not in render(MINIMAL)


@pytest.mark.sandbox
def test_a_pod_monitor_looks_at_the_replicas_metrics(render):
    objects = render(with_(podMonitor={"enabled": True, "labels": {"release": "prometheus"}}))
    spec = objects["PodMonitor"]["spec"]
    assert objects["PodMonitor"]["metadata"]["labels"]["release"] == "prometheus"
    assert spec["selector"] == {"matchLabels": objects["Service"]["spec"]["selector"]}
    assert spec["podMetricsEndpoints"] == [{"port": "http", "path": "/metrics", "interval": "15s"}]
    assert "PodMonitor" not in render(MINIMAL)


@pytest.mark.sandbox
def test_weights_outlive_a_replica_in_a_claim_or_on_its_node_or_come_as_an_image(render):
    def weights(objects):
        (volume,) = [v for v in pod_of(objects)["volumes"] if v["name"] == "weights"]
        (container,) = pod_of(objects)["containers"]
        (mount,) = [m for m in container["volumeMounts"] if m["name"] == "weights"]
        assert {e["name"]: e["value"] for e in container["env"]}["WEIGHTS_CACHE"] == mount["mountPath"]
        return volume, mount

    made = render(with_(weights={"sizeGiB": 16, "cache": {"kind": "pvc", "claim": {"storageClass": "efs"}}}))
    claim = made["PersistentVolumeClaim"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "32Gi"
    assert (claim["spec"]["accessModes"], claim["spec"]["storageClassName"]) == (["ReadWriteMany"], "efs")
    assert weights(made)[0]["persistentVolumeClaim"] == {"claimName": claim["metadata"]["name"]}
    given = render(with_(weights={"cache": {"kind": "pvc", "claim": {"name": "mine"}}}))
    assert "PersistentVolumeClaim" not in given
    assert weights(given)[0]["persistentVolumeClaim"] == {"claimName": "mine"}
    on_node = render(with_(weights={"sizeGiB": 16, "cache": {"kind": "node", "node": {"path": "/mnt/weights"}}}))
    volume, claim = on_node["PersistentVolume"], on_node["PersistentVolumeClaim"]
    assert volume["spec"]["local"] == {"path": "/mnt/weights"}
    assert claim["spec"]["volumeName"] == volume["metadata"]["name"] == "models-chat-weights"
    assert volume["spec"]["claimRef"] == {"namespace": "models", "name": claim["metadata"]["name"]}
    assert volume["spec"]["capacity"] == claim["spec"]["resources"]["requests"] == {"storage": "32Gi"}
    assert weights(on_node)[0]["persistentVolumeClaim"] == {"claimName": claim["metadata"]["name"]}
    image = with_(weights={"cache": {"kind": "image", "image": "registry.example/weights:1"}})
    volume, mount = weights(render(image, "1.35.0"))
    assert volume["image"]["reference"] == "registry.example/weights:1"
    assert mount["readOnly"]
    (container,) = pod_of(render(image, "1.35.0"))["containers"]
    assert {e["name"]: e["value"] for e in container["env"]}["WEIGHTS_URL"] == mount["mountPath"]
    with pytest.raises(Refused, match=r"image needs Kubernetes 1\.35"):
        render(image)
    assert "weights" not in {v["name"] for v in pod_of(render(MINIMAL))["volumes"]}


@pytest.mark.sandbox
def test_an_hpa_can_go_by_a_metric_of_the_pods(render):
    hpa = {"metric": {"name": "vllm:num_requests_waiting", "averageValue": "4"}}
    (metric,) = render(with_(autoscaling={"kind": "hpa", "hpa": hpa}))["HorizontalPodAutoscaler"]["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] == "vllm:num_requests_waiting"


@pytest.mark.sandbox
def test_an_update_asks_for_no_accelerator_that_is_not_there(render):
    def strategy(**changes):
        return render(with_(**changes))["Deployment"]["spec"]["strategy"]

    rolled = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    assert strategy(replicas={"min": 2}) == rolled
    assert strategy(replicas={"min": 1, "max": 3}, autoscaling={"kind": "hpa"}) == rolled
    assert strategy(replicas={"min": 1}) == {"type": "Recreate"}, "the next one's pod would make a node while this one ends"


@pytest.mark.sandbox
def test_resources_are_whole(render):
    objects = render(with_(accelerator={"count": 4}))
    (container,) = pod_of(objects)["containers"]
    requests, limits = container["resources"]["requests"], container["resources"]["limits"]
    assert requests["nvidia.com/gpu"] == limits["nvidia.com/gpu"] == 4
    assert requests["memory"] == limits["memory"]
    assert "cpu" not in limits
    # Pain 17: without a request of disk the kubelet evicts the pod first when weights fill the node.
    assert requests["ephemeral-storage"] == limits["ephemeral-storage"]
    volumes = {v["name"]: v["emptyDir"] for v in pod_of(objects)["volumes"]}
    assert volumes["shared-memory"] == {"medium": "Memory", "sizeLimit": "1Gi"}
    assert volumes["scratch"]["sizeLimit"] == requests["ephemeral-storage"]
    assert {m["mountPath"] for m in container["volumeMounts"]} == {"/dev/shm", "/tmp", "/home/model"}


@pytest.mark.sandbox
def test_a_claim_takes_the_place_of_the_resource(render):
    pool = pool_of(L4, dra=True)
    objects = render(chart_values(model(pool)))
    spec, template = pod_of(objects), objects["ResourceClaimTemplate"]
    assert template["spec"]["spec"] == pool.placement(1).claim.spec
    (claim,) = spec["resourceClaims"]
    assert claim["resourceClaimTemplateName"] == template["metadata"]["name"]
    (container,) = spec["containers"]
    assert container["resources"]["claims"] == [{"name": claim["name"]}]
    assert set(container["resources"]["limits"]) == {"memory", "ephemeral-storage"}
    counted = render(chart_values(model(pool_of(L4))))
    assert "ResourceClaimTemplate" not in counted
    assert "resourceClaims" not in pod_of(counted)
    assert "claims" not in pod_of(counted)["containers"][0]["resources"]


@pytest.mark.sandbox
def test_another_claim_is_another_template_as_none_can_be_edited(render):
    a100 = pool_of(machine(Cloud.AWS, "p4d.24xlarge"), dra=True)
    names = {render(chart_values(model(a100, count=n)))["ResourceClaimTemplate"]["metadata"]["name"] for n in (1, 2, 2)}
    assert len(names) == 2


@pytest.mark.sandbox
def test_claims_are_refused_where_the_cluster_knows_none(helm):
    with pytest.raises(Refused, match=r"resourceClaims need Kubernetes 1\.34"):
        helm("template", "chat", str(CHART), "--kube-version", "1.33.0", values=chart_values(model(pool_of(L4, dra=True))))


@pytest.mark.sandbox
@pytest.mark.parametrize("gib", [0, 1, 16, 140, 1500])
def test_pain_16_a_start_has_the_time_its_weights_take(render, gib):
    (container,) = pod_of(render(chart_values(model(pool_of(L4), weights_gib=gib))))["containers"]
    probe = container["startupProbe"]
    assert 0 <= probe["failureThreshold"] * probe["periodSeconds"] - start_up_seconds(gib) < probe["periodSeconds"]


@pytest.mark.sandbox
def test_the_process_is_asked_for_life_and_the_model_for_readiness(render):
    paths = {"liveness": {"path": "/v2/health/live"}, "readiness": {"path": "/v2/health/ready"}}
    (container,) = pod_of(render(with_(probes=paths)))["containers"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/v2/health/live"
    assert container["readinessProbe"]["httpGet"]["path"] == container["startupProbe"]["httpGet"]["path"] == "/v2/health/ready"


@pytest.mark.sandbox
def test_weights_and_identity_reach_the_pod(render):
    values = with_(
        weights={"url": "gs://weights/chat"},
        podLabels={"azure.workload.identity/use": "true"},
        serviceAccount={"annotations": {"iam.gke.io/gcp-service-account": "a@b"}},
    )
    objects = render(values)
    (container,) = pod_of(objects)["containers"]
    assert {e["name"]: e["value"] for e in container["env"]}["WEIGHTS_URL"] == "gs://weights/chat"
    assert objects["Deployment"]["spec"]["template"]["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    assert objects["ServiceAccount"]["metadata"]["annotations"] == {"iam.gke.io/gcp-service-account": "a@b"}
    assert objects["ServiceAccount"]["metadata"]["name"] == pod_of(objects)["serviceAccountName"] == "chat"
    (bare,) = pod_of(render(MINIMAL))["containers"]
    assert "WEIGHTS_URL" not in {e["name"] for e in bare["env"]}


@pytest.mark.sandbox
def test_traffic_is_refused_unless_it_is_named(render):
    endpoints = [{"cidr": "169.254.170.23/32", "port": 80}]
    objects = render(with_(networkPolicy={"fromNamespaces": ["monitoring"], "credentialEndpoints": endpoints}))
    policy, service = objects["NetworkPolicy"]["spec"], objects["Service"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["podSelector"]["matchLabels"] == service["selector"]
    (way_in,) = policy["ingress"]
    monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    assert way_in == {"from": [{"podSelector": {}}, monitoring], "ports": [{"protocol": "TCP", "port": "http"}]}
    dns, tls, credentials = policy["egress"]
    assert [(p["protocol"], p["port"]) for p in dns["ports"]] == [("UDP", 53), ("TCP", 53)]
    assert [p["port"] for p in tls["ports"]] == [443]
    assert credentials == {
        "to": [{"ipBlock": {"cidr": "169.254.170.23/32"}}],
        "ports": [{"protocol": "TCP", "port": 80}],
    }


@pytest.mark.sandbox
def test_a_new_chart_version_restarts_no_replica(render):
    labels = render(MINIMAL)["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert not [value for value in labels.values() if "0.1" in value]


@pytest.mark.sandbox
def test_every_machine_gets_a_pod_that_its_nodes_take(render):
    kinds = [*ON_OFFER, *(m for m in machines() if m.accelerator and m.accelerator.withdrawn)]
    for hardware in kinds:
        for spot in (False, True):
            pool = pool_of(hardware, spot=spot)
            spec = pod_of(render(chart_values(model(pool, count=pool.per_node))))
            labels = pool.node_labels | pool.cloud_labels
            assert all(labels.get(k) == v for k, v in spec["nodeSelector"].items()), (
                f"{pool.machine.name}: {spec['nodeSelector']}"
            )
            for taint in pool.all_taints:
                assert any(tolerates(t, taint) for t in spec["tolerations"]), f"{taint} keeps pods off {pool.machine.name}"
            assert spec["containers"][0]["resources"]["limits"][pool.resource] == pool.per_node


# Installed


@pytest.mark.sandbox
def test_the_api_server_admits_every_part_under_pod_security_restricted(helm, kubectl, control_plane):
    """The replica is made by the ReplicaSet, so it is there only if admission let it pass."""
    kubectl("apply", "-f", "-", stdin=restricted("models"))
    t4 = machine(Cloud.GCP, "n1-standard-4", "nvidia-t4")
    values = chart_values(model(pool_of(t4, spot=True), autoscaler=Autoscaler.HPA, replicas=(1, 2)))
    where = ("--namespace", "models", "--kubeconfig", str(control_plane.directory / "kubeconfig"))
    helm("install", "chat", str(CHART), *where, values=values)
    pods = wait_for(lambda: json.loads(kubectl("get", "pods", "-n", "models", "-o", "json"))["items"])
    assert [p["spec"]["containers"][0]["image"] for p in pods] == ["vllm/vllm-openai:v0.11.0"]
    hooks = objects_in(helm("get", "hooks", "chat", *where))
    assert sorted(thing["kind"] for thing in hooks) == ["NetworkPolicy", "Pod"]
    for thing in hooks:
        kubectl("create", "--dry-run=server", "-f", "-", stdin=thing)


@pytest.mark.sandbox
@pytest.mark.parametrize(("by", "wait"), [("helm3", "--wait"), ("helm", "--wait=legacy")])
@pytest.mark.parametrize("kind", ["none", "hpa"])
def test_a_release_waits_for_a_single_replica_and_rolls_several(helm, kubectl, control_plane, by, wait, kind):
    """By helm's older wait, which Pulumi's provider has, too; no node is there, so no replica is ever ready."""
    namespace, late = f"awaited-{by}-{kind}", r"deadline exceeded|would exceed context deadline"
    kubectl("apply", "-f", "-", stdin=restricted(namespace))
    scaling = {"replicas": {"min": 1, "max": 5}, "autoscaling": {"kind": kind}, "rollout": {"awaited": True}}

    def release(*flags, **changes):
        where = ("--namespace", namespace, "--kubeconfig", str(control_plane.directory / "kubeconfig"))
        helm("upgrade", "--install", "chat", str(CHART), *where, *flags, values=with_(**scaling, **changes), by=by)

    def strategy():
        return json.loads(kubectl("get", "deployment", "chat", "-n", namespace, "-o", "jsonpath={.spec.strategy}"))

    with pytest.raises(Refused, match=late):
        release(wait, "--timeout", "3s")
    release()
    assert strategy() == {"type": "Recreate"}
    with pytest.raises(Refused, match=late):
        release(wait, "--timeout", "3s", terminationGracePeriodSeconds=40)
    if kind == "hpa":
        kubectl("scale", "deployment", "chat", "-n", namespace, "--replicas=3")
        release(terminationGracePeriodSeconds=50)
        assert strategy() == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
        kubectl("scale", "deployment", "chat", "-n", namespace, "--replicas=1")
        release(terminationGracePeriodSeconds=60)
        assert strategy() == {"type": "Recreate"}


@pytest.mark.sandbox
def test_a_replica_finds_room_on_a_node_that_keeps_its_weights(helm, kubectl, control_plane):
    """By the real volume binder and scheduler: whatever node it is, the one volume is there."""
    kubectl("apply", "-f", "-", stdin=restricted("kept"))
    name = {"kubernetes.io/hostname": "keeper"}
    room = {"cpu": "8", "memory": "64Gi", "ephemeral-storage": "100Gi", "pods": "10", "nvidia.com/gpu": "1"}
    metadata = {"name": "keeper", "labels": name, "annotations": {"kwok.x-k8s.io/node": "fake"}}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": {"capacity": room, "allocatable": room}}
    kubectl("create", "-f", "-", stdin=node)
    values = with_(nodeSelector=name, weights={"sizeGiB": 1, "cache": {"kind": "node", "node": {"path": "/mnt/weights"}}})
    where = ("--namespace", "kept", "--kubeconfig", str(control_plane.directory / "kubeconfig"))
    helm("install", "chat", str(CHART), *where, values=values)
    where = wait_for(lambda: kubectl("get", "pods", "-n", "kept", "-o", "jsonpath={.items[*].spec.nodeName}"))
    assert where == "keeper"
    volume = kubectl("get", "persistentvolume", "kept-chat-weights", "-o", "jsonpath={.status.phase} {.spec.claimRef.name}")
    assert volume == "Bound chat-weights"


@pytest.mark.sandbox
def test_pod_security_restricted_would_have_noticed(helm, kubectl, render):
    """The same pod, made a little worse, is refused: the namespace's labels do what the test above relies on."""
    kubectl("apply", "-f", "-", stdin=restricted("checked"))
    spec = pod_of(render(chart_values(model(replace(pool_of(L4), name="l4")))))
    worse = {**spec, "serviceAccountName": "default", "securityContext": {"runAsUser": 0}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "worse", "namespace": "checked"}, "spec": worse}
    with pytest.raises(Refused, match='violates PodSecurity "restricted:latest"'):
        kubectl("create", "--dry-run=server", "-f", "-", stdin=pod)


def wait_for(ask, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := ask():
            return found
        time.sleep(0.5)
    raise AssertionError(f"nothing came within {seconds} s")


@pytest.mark.sandbox
def test_cpus_have_no_limit_unless_whole_ones_are_to_be_the_pods_own(render):
    def container(**resources):
        return render(with_(resources=resources))["Deployment"]["spec"]["template"]["spec"]["containers"][0]["resources"]

    assert "cpu" not in container(cpu="4")["limits"]
    own = container(cpu="4000m", cpuLimit="4000m", memory="8Gi")
    for key in ("cpu", "memory"):
        assert own["limits"][key] == own["requests"][key], "else the pod is not guaranteed, and gets no CPU for its own"
