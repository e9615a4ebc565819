"""What runs in any cluster, against mocks: device plugins, the autoscaler, namespaces and models on their pools."""

from __future__ import annotations

import json
from dataclasses import replace

import pulumi
import pulumi_kubernetes as kubernetes
import pytest

from fleet.catalog.accelerators import Family
from fleet.catalog.clouds import Cloud
from fleet.catalog.drivers import DriverOwner, driver_owner
from fleet.catalog.machines import machine, machines
from fleet.catalog.nodes import brings_device_plugin, credential_endpoints
from fleet.catalog.tpu import TOPOLOGIES, tpu_slice
from fleet.contract import ACCELERATOR_LABEL
from fleet.load import load_stack
from fleet.spec import Autoscaler, ModelSpec, WeightsSpec
from infra import versions
from infra.clouds.aws.autoscaler import EksAutoscalerRole, autoscaler_policy
from infra.kubernetes import cluster_autoscaler
from infra.kubernetes.cluster_autoscaler import ClusterAutoscaler
from infra.kubernetes.device_plugins import DevicePlugins
from infra.kubernetes.model_servers import OPEN_INFERENCE, SERVING, VLLM, server_of
from infra.kubernetes.model_serving import CHART, ModelServing, ModelServingArgs, chart_values, start_up_seconds
from infra.kubernetes.namespaces import KEDA, ModelsNamespace
from infra.platform import deploy as deploy_platform
from infra.stack import Stack
from tests.accelerator_pools import INF2, L4, L4_ON_GKE, ON_OFFER, T4_ON_AKS, pool_of, tolerates
from tests.mocked_engine import set_accounts

DAEMON_SET = "kubernetes:apps/v1:DaemonSet"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
NAMESPACE = "kubernetes:core/v1:Namespace"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
RELEASE = "kubernetes:helm.sh/v3:Release"
IMAGE = "vllm/vllm-openai:v0.11.0"


def in_cluster(make):
    """The component under a provider, as the platform makes it."""

    def program():
        provider = kubernetes.Provider("api", kubeconfig="{}")
        make(pulumi.ResourceOptions(providers=[provider]))

    return program


def plugins(*pools):
    return in_cluster(lambda opts: DevicePlugins("plugins", list(pools), opts=opts))


def model(pool=None, **changes):
    args = {
        "name": "chat",
        "pool": pool or pool_of(L4),
        "count": 1,
        "image": IMAGE,
        "replicas": (1, 1),
        "autoscaler": Autoscaler.NONE,
        "weights_url": "s3://weights/chat",
        "weights_gib": 16,
    }
    return ModelServingArgs(**{**args, **changes})


def serving(args):
    return in_cluster(lambda opts: ModelServing("main-chat", args, opts))


def selects(daemon_set, labels):
    term = daemon_set["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
    (only,) = term["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    return all(labels.get(e["key"]) in e["values"] for e in only["matchExpressions"] if e["operator"] == "In")


# Device plugins


@pytest.mark.parametrize("hardware", ON_OFFER, ids=lambda m: f"{m.cloud}-{m.name}-{m.accelerator.name}")
def test_pain_3_device_plugin_lands_on_tainted_and_spot_nodes(deploy, hardware):
    both = [pool_of(hardware, "gpu"), pool_of(hardware, "gpu-spot", spot=True)]
    made = deploy(plugins(*both)).of(DAEMON_SET)
    if brings_device_plugin(hardware.cloud, hardware.accelerator.family):
        assert made == {}
        return
    (daemon_set,) = made.values()
    tolerations = daemon_set["spec"]["template"]["spec"]["tolerations"]
    for pool in both:
        assert selects(daemon_set, pool.node_labels | pool.cloud_labels)
        assert pool.all_taints, "an accelerator pool without a taint would prove nothing"
        for taint in pool.all_taints:
            assert any(tolerates(t, taint) for t in tolerations), f"{taint} keeps the plugin off pool {pool.name}"


def test_one_daemon_set_a_family_however_many_pools(deploy):
    a10g = machine(Cloud.AWS, "g5.xlarge")
    made = deploy(plugins(pool_of(L4, "a"), pool_of(a10g, "b"), pool_of(L4, "c", spot=True), pool_of(INF2, "d"))).of(DAEMON_SET)
    names = {d["metadata"]["name"]: d for d in made.values()}
    assert sorted(names) == ["neuron-device-plugin", "nvidia-device-plugin"]
    nvidia = names["nvidia-device-plugin"]
    assert selects(nvidia, {ACCELERATOR_LABEL: "nvidia-l4"})
    assert selects(nvidia, {ACCELERATOR_LABEL: "nvidia-a10g"})
    assert not selects(nvidia, {ACCELERATOR_LABEL: "inferentia2"})
    assert not selects(nvidia, {}), "nodes without accelerators need no plugin"


def test_nothing_at_all_where_the_cloud_brings_the_plugins(deploy):
    recorded = deploy(plugins(pool_of(L4_ON_GKE)))
    assert recorded.of(DAEMON_SET) == {}
    assert recorded.of(NAMESPACE) == {}


def test_nothing_at_all_without_pools(deploy):
    assert deploy(plugins()).of(NAMESPACE) == {}


@pytest.mark.parametrize("hardware", [L4, INF2, T4_ON_AKS], ids=lambda m: m.name)
def test_pain_4_driver_is_owned_once(deploy, hardware):
    assert driver_owner(hardware.cloud, hardware.accelerator.family) is DriverOwner.CLOUD
    recorded = deploy(plugins(pool_of(hardware)))
    pod = recorded.one(DAEMON_SET).inputs["spec"]["template"]["spec"]
    # What installing a driver takes: an init container, privileges, and the host's modules or devices.
    assert "initContainers" not in pod
    assert len(pod["containers"]) == 1
    for container in pod["containers"]:
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        assert not [word for word in ("driver", "operator") if word in container["image"]]
    assert {v["hostPath"]["path"] for v in pod["volumes"]} <= {"/var/lib/kubelet/device-plugins", "/run"}


def test_pain_4_every_machine_on_offer_has_exactly_one_driver_owner():
    owners = {(m.cloud, m.accelerator.family): driver_owner(m.cloud, m.accelerator.family) for m in ON_OFFER}
    assert set(owners.values()) == {DriverOwner.CLOUD}


def test_a_pool_whose_driver_nobody_brings_is_refused(deploy):
    lost = replace(pool_of(T4_ON_AKS), machine=replace(T4_ON_AKS, accelerator=INF2.accelerator))
    with pytest.raises(ValueError, match="owned by none"):
        deploy(plugins(lost))


def test_a_family_without_a_plugin_is_refused_by_name(deploy):
    tpu = next(m for m in machines() if m.accelerator and m.accelerator.family is Family.TPU)
    elsewhere = pool_of(tpu, cloud=Cloud.AWS)
    with pytest.raises(ValueError, match=r"no device plugin is known for tpu.*infra/kubernetes/device_plugins\.py"):
        deploy(plugins(elsewhere))


def test_plugins_may_touch_the_node_and_models_may_not(deploy):
    def program(opts):
        DevicePlugins("plugins", [pool_of(L4)], opts=opts)
        ModelsNamespace("models", opts=opts)

    made = {n["metadata"]["name"]: n["metadata"]["labels"] for n in deploy(in_cluster(program)).of(NAMESPACE).values()}
    for name, level in {"accelerators": "privileged", "models": "restricted"}.items():
        assert {made[name][f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "audit", "warn")} == {level}


def test_plugins_are_not_the_first_to_be_evicted(deploy):
    pod = deploy(plugins(pool_of(L4))).one(DAEMON_SET).inputs["spec"]["template"]["spec"]
    assert pod["priorityClassName"] == "system-node-critical"


def test_neuron_reads_its_node_and_nvidia_holds_no_token(deploy):
    recorded = deploy(plugins(pool_of(L4, "a"), pool_of(INF2, "b")))
    tokens = {
        a["metadata"]["name"]: a["automountServiceAccountToken"]
        for a in recorded.of("kubernetes:core/v1:ServiceAccount").values()
    }
    assert tokens == {"nvidia-device-plugin": False, "neuron-device-plugin": True}
    binding = recorded.one("kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding").inputs
    role = recorded.one("kubernetes:rbac.authorization.k8s.io/v1:ClusterRole").inputs
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "neuron-device-plugin", "namespace": "accelerators"}]


# Namespaces


def test_models_are_cut_off_until_a_policy_lets_them_speak(deploy):
    policy = deploy(in_cluster(lambda opts: ModelsNamespace("models", opts=opts))).one(POLICY).inputs
    assert policy["metadata"]["namespace"] == "models"
    assert policy["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


# Autoscaler


def autoscaler():
    return in_cluster(
        lambda opts: ClusterAutoscaler(
            "autoscaler", cluster="dev-main", minor="1.35", env={"AWS_REGION": "us-east-1"}, opts=opts
        )
    )


def test_the_autoscaler_finds_the_groups_that_pools_tag(deploy):
    deployment = deploy(autoscaler()).one(DEPLOYMENT).inputs
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    discovery = next(a for a in container["args"] if a.startswith("--node-group-auto-discovery="))
    wanted = discovery.removeprefix("--node-group-auto-discovery=asg:tag=").split(",")
    assert set(wanted) <= set(pool_of(L4).autoscaler_tags("dev-main"))
    assert "k8s.io/cluster-autoscaler/dev-main" in wanted
    # Instance metadata is one hop away and pods are two.
    assert container["env"] == [{"name": "AWS_REGION", "value": "us-east-1"}]
    assert deployment["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"] == "cluster-autoscaler"


def test_the_autoscaler_writes_only_its_own_lease_and_status(deploy):
    recorded = deploy(autoscaler())
    everywhere = recorded.one("kubernetes:rbac.authorization.k8s.io/v1:ClusterRole").inputs["rules"]
    at_home = recorded.one("kubernetes:rbac.authorization.k8s.io/v1:Role").inputs["rules"]
    writing = {"update", "patch", "delete", "create"}
    written = {r for rule in everywhere if writing & set(rule["verbs"]) for r in rule["resources"]}
    assert written == {"events", "endpoints", "pods/eviction", "pods/status", "nodes"}
    for rule in at_home:
        assert rule.get("resourceNames") or not {"update", "delete", "get"} & set(rule["verbs"])
    assert not [rule for rule in [*everywhere, *at_home] if "*" in rule["resources"] + rule["verbs"] + rule["apiGroups"]]


def test_the_autoscaler_moves_this_clusters_groups_and_no_other():
    see, move = autoscaler_policy("dev-main")["Statement"]
    assert not [action for action in see["Action"] if ":Describe" not in action and ":Get" not in action]
    assert move["Condition"] == {
        "StringEquals": {
            "aws:ResourceTag/k8s.io/cluster-autoscaler/enabled": "true",
            "aws:ResourceTag/k8s.io/cluster-autoscaler/dev-main": "owned",
        }
    }


class StandInCluster:
    """What the role reads of an EKS cluster."""

    physical_name = "dev-main"
    cluster_name = pulumi.Output.from_input("dev-main")


def test_the_autoscalers_role_belongs_to_its_service_account_alone(deploy):
    def program():
        role = EksAutoscalerRole(
            "rights",
            cluster=StandInCluster(),
            region="eu-west-1",
            namespace=cluster_autoscaler.NAMESPACE,
            service_account=cluster_autoscaler.SERVICE_ACCOUNT,
        )
        assert role.env == {"AWS_REGION": "eu-west-1"}

    recorded = deploy(program)
    role = recorded.one("aws:iam/role:Role").inputs
    (statement,) = json.loads(role["assumeRolePolicy"])["Statement"]
    assert statement["Condition"]["StringEquals"] == {
        "aws:RequestTag/eks-cluster-name": "dev-main",
        "aws:RequestTag/kubernetes-namespace": "kube-system",
        "aws:RequestTag/kubernetes-service-account": "cluster-autoscaler",
    }
    association = recorded.one("aws:eks/podIdentityAssociation:PodIdentityAssociation")
    assert association.inputs["serviceAccount"] == "cluster-autoscaler"
    rights = recorded.one("aws:iam/rolePolicy:RolePolicy")
    assert rights in recorded.depends_on(association), "a pod that starts between the two would hold a role without rights"


# Models


@pytest.mark.parametrize("hardware", ON_OFFER, ids=lambda m: f"{m.cloud}-{m.name}-{m.accelerator.name}")
def test_replicas_that_fill_a_nodes_accelerators_fit_its_cpu_memory_and_disk(hardware):
    pool = pool_of(hardware)
    for count in {1, pool.per_node} if pool.tpu is None else {pool.per_node}:
        resources = chart_values(model(pool, count=count))["resources"]
        replicas = pool.per_node // count
        assert 0 < int(resources["cpu"].removesuffix("m")) * replicas * 10 <= hardware.vcpus * 1000 * 7
        assert 0 < int(resources["memory"].removesuffix("Gi")) * replicas * 10 <= hardware.memory_gib * 7
        assert 0 < int(resources["ephemeralStorage"].removesuffix("Gi")) * replicas * 10 <= pool.disk_gib * 4


def test_pain_2_a_model_is_placed_by_its_pool_and_by_nothing_else(deploy):
    pool = pool_of(T4_ON_AKS, spot=True)
    release = deploy(serving(model(pool))).one(RELEASE).inputs
    placement = pool.placement(1)
    assert release["values"]["nodeSelector"] == placement.node_selector
    assert release["values"]["tolerations"] == placement.tolerations
    assert release["values"]["accelerator"] == {"resource": "nvidia.com/gpu", "count": 1}


def test_a_replica_larger_than_a_node_is_refused_before_anything_is_made(deploy):
    with pytest.raises(ValueError, match=r"pool gpu: a pod asks for 2 nvidia-l4"):
        deploy(serving(model(count=2)))


def test_a_release_that_does_not_come_up_is_taken_back_and_is_given_time(deploy):
    release = deploy(serving(model(weights_gib=100))).one(RELEASE).inputs
    assert (release["atomic"], release["cleanupOnFail"], release["skipAwait"]) == (True, True, False)
    assert release["timeout"] > start_up_seconds(100)
    assert (release["name"], release["namespace"]) == ("chat", "models")
    # An absolute path would be another in everybody's state (pulumi-kubernetes#2573).
    assert release["chart"] == CHART == "./charts/model-serving"


def test_pain_16_start_up_is_two_minutes_and_five_seconds_a_gib():
    assert start_up_seconds(0) == 120
    assert start_up_seconds(100) == 620
    startup = chart_values(model())["probes"]["startup"]
    assert startup["baseSeconds"] + 100 * startup["secondsPerGiB"] == start_up_seconds(100)


def test_of_reads_the_model_from_the_stack_file():
    spec = ModelSpec(
        pool="gpu", weights=WeightsSpec(store="weights", size_gib=16), replicas={"min": 2, "max": 3}, autoscaler="hpa"
    )
    args = ModelServingArgs.of("chat", spec, pool_of(L4), weights_url="s3://weights/chat")
    assert (args.count, args.replicas, args.weights_gib, args.autoscaler) == (1, (2, 3), 16, Autoscaler.HPA)
    whole = pool_of(machine(Cloud.GCP, "ct5lp-hightpu-4t"))
    assert ModelServingArgs.of("chat", ModelSpec(pool="gpu"), whole).count == 4


SLICES = [tpu_slice(name, topology) for name, topologies in TOPOLOGIES.items() for topology in topologies]


@pytest.mark.parametrize("shape", SLICES, ids=lambda s: f"{s.accelerator}-{s.topology}")
def test_a_slice_of_many_hosts_has_a_worker_on_each_and_one_host_what_the_file_says(shape):
    pool = pool_of(shape.machine, tpu=shape)
    args = ModelServingArgs.of("large", ModelSpec(pool="gpu"), pool)
    assert args.replicas == (shape.hosts, shape.hosts)
    assert args.count * args.replicas[0] == shape.chips
    if not shape.multi_host:
        assert ModelServingArgs.of("large", ModelSpec(pool="gpu", replicas={"min": 2, "max": 2}), pool).replicas == (2, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"replicas": {"min": 2, "max": 2}}, r"large: replicas 2 to 2, .* each of its 4 hosts: .* \{min: 4, max: 4\}"),
        ({"replicas": {"min": 4, "max": 4}, "autoscaler": "hpa"}, r"large: autoscaler is hpa, .* leave autoscaler out"),
    ],
    ids=["half a slice", "an autoscaler"],
)
def test_a_slice_is_served_whole_or_not_at_all(changes, message):
    shape = tpu_slice("tpu-v5e", "4x4")
    pool = pool_of(shape.machine, tpu=shape)
    assert ModelServingArgs.of("large", ModelSpec(pool="gpu", replicas={"min": 4, "max": 4}), pool).replicas == (4, 4)
    with pytest.raises(ValueError, match=message):
        ModelServingArgs.of("large", ModelSpec(pool="gpu", **changes), pool)


def test_weights_reach_vllm_with_all_accelerators_of_the_replica():
    pool = pool_of(machine(Cloud.AWS, "g6.12xlarge"))
    values = chart_values(model(pool, count=4))
    assert values["weights"] == {"sizeGiB": 16, "cache": {"kind": "none"}, "url": "s3://weights/chat"}
    assert values["server"]["command"] == ["vllm", "serve"]
    assert values["server"]["args"][0] == "$(WEIGHTS_URL)"
    assert "--tensor-parallel-size=4" in values["server"]["args"]


def test_our_own_server_reads_its_folder_and_speaks_both_protocols():
    values = chart_values(model(image="registry.example/accelfleet-serving:1.0"))
    assert "command" not in values["server"] or not values["server"]["command"]
    assert values["server"]["args"][0] == "--model=$(WEIGHTS_URL)"
    assert "--cache=$(HOME)/models" in values["server"]["args"]
    assert (values["server"]["port"], values["server"]["grpcPort"]) == (8000, 8001)
    assert f"--grpc-port={values['server']['grpcPort']}" in values["server"]["args"]
    assert values["probes"]["readiness"]["path"] == "/v2/health/ready"
    assert chart_values(model())["server"]["grpcPort"] == 0


def test_a_server_without_weights_is_left_to_its_image():
    values = chart_values(model(weights_url=None, weights_gib=0))
    assert "command" not in values["server"]
    assert "url" not in values["weights"]


@pytest.mark.parametrize("hardware", [L4, L4_ON_GKE, T4_ON_AKS], ids=lambda m: str(m.cloud))
def test_pods_reach_their_clouds_credentials_and_only_where_there_are_weights(hardware):
    policy = chart_values(model(pool_of(hardware)))["networkPolicy"]
    assert [(e["cidr"], e["port"]) for e in policy["credentialEndpoints"]] == list(credential_endpoints(hardware.cloud))
    assert "credentialEndpoints" not in chart_values(model(pool_of(hardware), weights_url=None))["networkPolicy"]


def test_images_are_told_apart_by_their_name():
    assert server_of("public.ecr.aws/neuron/pytorch-inference-vllm-neuronx:0.9.1") is VLLM
    assert server_of("ghcr.io/example/serving:1.0") is OPEN_INFERENCE
    assert server_of("ghcr.io/example/accelfleet-serving:1.0") is SERVING
    assert server_of("accelfleet-serving@sha256:0") is SERVING
    assert server_of("accelfleet-serving/other:1") is OPEN_INFERENCE


def test_keda_goes_by_the_queue_of_all_replicas():
    values = chart_values(model(autoscaler=Autoscaler.KEDA, replicas=(1, 4)))
    (trigger,) = values["autoscaling"]["keda"]["triggers"]
    assert trigger["metadata"]["url"] == "http://chat.models.svc:8000/metrics"
    assert trigger["metadata"]["valueLocation"] == 'vllm:num_requests_waiting{model_name="chat"}'
    assert "keda" in values["networkPolicy"]["fromNamespaces"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"replicas": (0, 4)}, "set replicas.min to 1"),
        ({"image": "ghcr.io/example/serving:1.0"}, "use hpa, or vLLM or our own server"),
    ],
    ids=["asleep for good", "no queue"],
)
def test_keda_with_nothing_to_go_by_is_refused(deploy, changes, message):
    with pytest.raises(ValueError, match=message):
        deploy(serving(model(autoscaler=Autoscaler.KEDA, **changes)))


class Identity(pulumi.ComponentResource):
    """A workload identity such as the clouds' own."""

    def __init__(self):
        super().__init__("test:index:Identity", "identity")
        pulumi.CustomResource("test:index:Association", "association", opts=pulumi.ResourceOptions(parent=self))
        self.service_account_annotations = pulumi.Output.from_input({"azure.workload.identity/client-id": "c"})
        self.pod_labels = {"azure.workload.identity/use": "true"}
        self.register_outputs({})


def test_a_model_waits_for_its_identity_and_carries_it(deploy):
    spec = ModelSpec(pool="gpu", weights=WeightsSpec(store="weights"))

    def program(opts):
        args = ModelServingArgs.of("chat", spec, pool_of(T4_ON_AKS), weights_url="abfss://w@a/chat", identity=Identity())
        ModelServing("main-chat", args, opts)

    recorded = deploy(in_cluster(program))
    release = recorded.one(RELEASE)
    assert release.inputs["values"]["serviceAccount"]["annotations"] == {"azure.workload.identity/client-id": "c"}
    assert release.inputs["values"]["podLabels"] == {"azure.workload.identity/use": "true"}
    assert recorded.one("test:index:Association") in recorded.depends_on(release)


def test_pain_10_preview_needs_no_crds(deploy):
    """A custom resource in the program would need its CRD at preview, when whatever brings it is not there yet."""

    def program(opts):
        DevicePlugins("plugins", [pool_of(L4), pool_of(INF2, "inf")], opts=opts)
        ModelsNamespace("models", opts=opts)
        ClusterAutoscaler("autoscaler", cluster="dev-main", minor="1.35", env={}, opts=opts)
        ModelServing("main-chat", model(autoscaler=Autoscaler.KEDA, replicas=(1, 4)), opts)

    recorded = deploy(in_cluster(program), preview=True)
    ours = {r.type for r in recorded.resources if r.type.startswith("kubernetes:")}
    built_in = ("core/", "apps/", "rbac.authorization.k8s.io/", "networking.k8s.io/", "helm.sh/")
    assert RELEASE in ours
    assert not [t for t in ours if t.startswith("kubernetes:apiextensions") or not t.partition(":")[2].startswith(built_in)]


def test_everything_has_a_name_of_its_own_choosing_our_labels_and_our_provider(deploy):
    def program(opts):
        DevicePlugins("plugins", [pool_of(L4), pool_of(INF2, "inf")], opts=opts)
        ModelsNamespace("models", opts=opts)
        ClusterAutoscaler("autoscaler", cluster="dev-main", minor="1.35", env={}, opts=opts)
        ModelServing("main-chat", model(), opts)

    recorded = deploy(in_cluster(program))
    objects = [r for r in recorded.resources if r.type.startswith("kubernetes:") and r.custom]
    assert len(objects) > 10
    for made in objects:
        assert "::api::" in made.provider, f"{made.name} would go to whatever cluster kubectl talks to"
        if made.type != RELEASE:
            assert made.inputs["metadata"]["name"]
            assert made.inputs["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "pulumi"
            assert made.inputs["metadata"]["labels"]["app.kubernetes.io/part-of"] == "accelfleet"


def keda_in(deploy, tmp_path, autoscaler):
    file = tmp_path / "aws-queue.yaml"
    file.write_text(
        f"""
owner: ml-platform
environment: dev
clusters:
  main:
    cloud: aws
    region: us-east-1
    api: {{allowed_cidrs: [203.0.113.0/24]}}
    pools:
      l4: {{accelerator: nvidia-l4, nodes: {{min: 0, max: 3}}}}
    models:
      chat: {{pool: l4, autoscaler: {autoscaler}, replicas: {{min: 1, max: 3}}}}
"""
    )
    stack = Stack("aws-queue", load_stack(file))
    set_accounts()
    return deploy(lambda: deploy_platform(stack))


def test_keda_is_there_before_the_model_that_it_scales(deploy, tmp_path):
    recorded = keda_in(deploy, tmp_path, "keda")
    keda = recorded.all(RELEASE)["main-keda"]
    (chat,) = recorded.all("accelfleet:kubernetes:ModelServing").values()
    assert (keda.inputs["chart"], keda.inputs["version"]) == ("keda", versions.KEDA_CHART_VERSION)
    assert keda.inputs["repositoryOpts"] == {"repo": versions.KEDA_CHART_REPOSITORY}
    assert keda.inputs["atomic"] and not keda.inputs["skipAwait"]
    assert keda.urn in chat.dependencies
    assert KEDA in {n["metadata"]["name"] for n in recorded.of(NAMESPACE).values()}


def test_without_a_model_for_it_there_is_no_keda(deploy, tmp_path):
    assert "main-keda" not in keda_in(deploy, tmp_path, "hpa").all(RELEASE)
