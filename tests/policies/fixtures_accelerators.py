"""Fixtures of the rules about accelerator pools and who asks for accelerators."""

from __future__ import annotations

from typing import Any

import pulumi_aws as aws
import pulumi_azure_native as azure_native
import pulumi_gcp as gcp
import pulumi_kubernetes as k8s

from fleet.spec_policies import LimitsSpec
from policies.accel_policies.settings import Settings
from tests.policies.fixtures_azure import aks
from tests.policies.fixtures_kubernetes import daemon_set, deployment, job, namespace, of, of_pod, release
from tests.policies.programs import GONE, PROD, TODAY, Build, Case, Fixture, U, builder, case, merged

TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}
eks = builder(
    aws.eks.NodeGroup,
    cluster_name="c",
    node_role_arn="r",
    subnet_ids=["a", "b"],
    instance_types=["g6.xlarge"],
    capacity_type="ON_DEMAND",
    scaling_config={"min_size": 0, "max_size": 2, "desired_size": 0},
    taints=[TAINT],
)
provider = builder(aws.Provider, region="us-east-1")
gke = builder(
    gcp.container.NodePool,
    cluster="c",
    location="us-west1",
    node_locations=["us-west1-a", "us-west1-b"],
    autoscaling={"total_min_node_count": 0, "total_max_node_count": 2},
    management={"auto_repair": True},
    upgrade_settings={"max_surge": 0, "max_unavailable": 1},
    node_config={
        "machine_type": "g2-standard-4",
        "guest_accelerators": [
            {"type": "nvidia-l4", "count": 1, "gpu_driver_installation_config": {"gpu_driver_version": "DEFAULT"}}
        ],
    },
)
tpu = builder(
    gcp.container.NodePool,
    cluster="c",
    location="us-west1",
    node_locations=["us-west1-a"],
    node_count=4,
    placement_policy={"type": "COMPACT", "tpu_topology": "4x4"},
    node_config={"machine_type": "ct5lp-hightpu-4t"},
)
aks_pool = builder(
    azure_native.containerservice.AgentPool,
    resource_group_name="g",
    resource_name_="c",
    vm_size="Standard_NC24ads_A100_v4",
    availability_zones=["1", "2"],
    enable_auto_scaling=True,
    min_count=0,
    max_count=2,
    count=0,
    node_taints=["nvidia.com/gpu=present:NoSchedule"],
    upgrade_settings={"max_surge": "0", "max_unavailable": "1"},
)
scaler = builder(
    k8s.autoscaling.v2.HorizontalPodAutoscaler,
    spec={"max_replicas": 2, "scale_target_ref": {"kind": "Deployment", "name": "server", "api_version": "apps/v1"}},
)


def custom(api_version: str, kind: str, **base: Any) -> Build:
    """A custom resource, whose spec Pulumi does not know."""

    def make(name: str, **args: Any) -> None:
        k8s.apiextensions.CustomResource(name, api_version=api_version, kind=kind, **args)

    return builder(make, **base)


scaled = custom(
    "keda.sh/v1alpha1",
    "ScaledObject",
    metadata={"name": "s"},
    spec={"minReplicaCount": 0, "triggers": [{"type": "x", "metadata": {"activationThreshold": "1"}}]},
)
local_queue = custom("kueue.x-k8s.io/v1beta1", "LocalQueue", metadata={"name": "q", "namespace": "models"}, spec={})
local_queue_2 = custom("kueue.x-k8s.io/v1beta2", "LocalQueue", metadata={"name": "q", "namespace": "models"}, spec={})
cluster_queue = custom("kueue.x-k8s.io/v1beta1", "ClusterQueue", metadata={"name": "q"})
cluster_queue_2 = custom("kueue.x-k8s.io/v1beta2", "ClusterQueue", metadata={"name": "q"})


def limits(**values: Any) -> Settings:
    return Settings(environment="prod", today=TODAY, limits=LimitsSpec(**values))


def queue(quota: Any, name: str = "nvidia.com/gpu") -> tuple[Build, dict[str, Any]]:
    flavor = {"name": "f", "resources": [{"name": "cpu", "nominalQuota": 900}, {"name": name, "nominalQuota": quota}]}
    return cluster_queue, {"spec": {"resourceGroups": [{"coveredResources": [name], "flavors": [flavor]}]}}


def gpus(limit: Any = 1, asked: Any = GONE, name: str = "nvidia.com/gpu") -> dict[str, Any]:
    return of(resources={"requests": {name: asked}, "limits": {name: limit}})


def tolerating(*keys: Any, grace: Any = GONE, **more: Any) -> dict[str, Any]:
    tolerations = [{"key": key, "operator": "Exists"} for key in keys]
    return of_pod(tolerations=tolerations, termination_grace_period_seconds=grace, **more)


def aws_size(low: Any, high: Any) -> dict[str, Any]:
    return {"scaling_config": {"min_size": low, "max_size": high}}


def guest(**changes: Any) -> dict[str, Any]:
    return {"node_config": {"guest_accelerators": [{"type": "nvidia-l4", "count": 1, **changes}]}}


SPOT_A = {"capacity_type": "SPOT"}
SPOT_G = {"node_config": {"spot": True}}
SPOT_Z = {"scale_set_priority": "Spot"}
DEAR = {"instance_types": ["p5.48xlarge"]}
OWNED = {"labels": {"accelfleet-owner": "ml"}, "tags": {"expires": "2026-12-31"}}
GPU_POD = merged(gpus(), tolerating("nvidia.com/gpu"))
PLUGIN = (daemon_set, {"metadata": {"name": "nvidia-device-plugin", "namespace": "accelerators"}})
SPOT_KEY = "cloud.google.com/gke-spot"
CLAIM = [{"name": "c", "persistent_volume_claim": {"claim_name": "c"}}]
SPOT_JOB = merged(gpus(), tolerating(SPOT_KEY, volumes=CLAIM))
OPERATOR = (release, {"chart": "gpu-operator", "values": GONE})
PLAIN = {"instance_types": ["m7i.xlarge"]}
BOUNDLESS = {"max_count": GONE, "enable_auto_scaling": GONE, "count": GONE}
BUDGET_2 = limits(usd_hour=1.6096)  # two g6.xlarge at 0.8048


def pools(*pairs: tuple[Build, dict[str, Any]]) -> Fixture:
    return list(pairs)


CASES: dict[str, Case] = {
    "accel-pool-taint": case(
        eks,
        {"taints": GONE},
        {"taints": [{**TAINT, "effect": "PREFER_NO_SCHEDULE"}]},
        True,
        {"taints": U},
        ({"taints": [{**TAINT, "effect": "NO_EXECUTE"}]}, False),
        ({"taints": GONE, **PLAIN}, False),
    ),
    "accel-pool-max": case(
        aks_pool,
        {"max_count": GONE},
        {"max_count": GONE, "enable_auto_scaling": False, "count": 2},
        False,
        {"max_count": U},
        (BOUNDLESS, True),
    ),
    "accel-pool-idle": case(
        eks,
        aws_size(1, 2),
        aws_size(0, 2),
        False,
        aws_size(U, 2),
        (aws_size(2, 2), True),
        (aws_size(0, 0), False),
    ),
    "accel-budget": Case(
        good=pools((eks, aws_size(0, 1))),
        bad=pools((eks, aws_size(0, 3))),
        edge=(pools((eks, aws_size(0, 2))), False),
        unknown=pools((eks, aws_size(0, U))),
        more=(
            (pools((eks, aws_size(0, 1)), (eks, aws_size(0, 2))), True),
            (pools((eks, aws_size(0, 99))), False),
            (pools((eks, {**aws_size(0, 99), **PLAIN})), False),
            (pools((aks_pool, BOUNDLESS)), False),
            (pools((eks, aws_size(0, 3)), (aks_pool, BOUNDLESS)), True),
        ),
        settings=BUDGET_2,
        others={"more-1": PROD},
    ),
    "accel-quota": Case(
        good=pools((eks, {})),
        bad=pools((eks, {}), (gke, {"autoscaling": {"total_max_node_count": 3}})),
        edge=(pools((eks, {}), (gke, {})), False),
        unknown=pools((eks, aws_size(0, U)), (gke, {})),
        more=(
            (pools((eks, aws_size(0, 5)), (eks, {})), True),
            (pools((eks, aws_size(0, 99))), False),
            (pools((eks, {**aws_size(0, 99), "instance_types": ["g4dn.xlarge"]})), False),
            (pools((eks, {**aws_size(0, 2), "instance_types": ["g6.12xlarge"]})), True),
        ),
        settings=limits(accelerators={"nvidia-l4": 4}),
        others={"more-1": PROD},
    ),
    "accel-spot-fallback": Case(
        good=pools((eks, SPOT_A), (eks, {})),
        bad=pools((eks, SPOT_A)),
        edge=(pools((eks, SPOT_A), (eks, {"instance_types": ["g4dn.xlarge"]})), True),
        unknown=pools((eks, {"capacity_type": U})),
        more=(
            (pools((gke, SPOT_G)), True),
            (pools((gke, {"node_config": {"preemptible": True}})), True),
            (pools((gke, SPOT_G), (gke, {})), False),
            (pools((aks_pool, SPOT_Z)), True),
            (pools((aks_pool, SPOT_Z), (aks_pool, {"scale_set_priority": "Regular"})), False),
        ),
    ),
    "accel-spot-spread": case(
        eks,
        {**SPOT_A, "subnet_ids": ["a"]},
        {**SPOT_A, "subnet_ids": ["a"], "instance_types": ["g6.xlarge", "g6.2xlarge", "g6.4xlarge"]},
        False,
        {**SPOT_A, "subnet_ids": U},
        ({**SPOT_A, "subnet_ids": ["a"], "instance_types": ["g6.xlarge", "g6.2xlarge"]}, True),
        ({**SPOT_A, "subnet_ids": [U, U]}, False),
        ({"subnet_ids": ["a"]}, False),
        good=SPOT_A,
    ),
    "accel-region-lacks": case(
        gke,
        {"location": "moon-north1"},
        {"location": "us-west1-a"},
        False,
        {"location": U},
        ({"location": "moon-north1-b"}, True),
        ({"location": GONE}, False),
    ),
    "accel-dear-needs-owner": case(
        eks,
        DEAR,
        {**DEAR, "labels": {"accelfleet-owner": "ml"}},
        True,
        {**DEAR, **OWNED, "tags": {"expires": U}, "labels": U},
        ({**DEAR, **OWNED}, False),
        ({**DEAR, **OWNED, "tags": {"expires": "2026-06-01"}}, False),
        ({**DEAR, **OWNED, "tags": {"expires": "2026-05-31"}}, True),
        ({**DEAR, "tags": {"Team": "ml", "ttl": "2026-12-31"}}, False),
        ({**DEAR, "tags": {"expiry": "2026-12-31"}}, True),
        ({**DEAR, **SPOT_A}, False),
        ({"instance_types": ["g6.xlarge"]}, False),
        ({"instance_types": ["g6.xlarge"]}, True),
        ({**DEAR, "tags": {"cost-center": "1", "expiry": "2026-12-31"}}, False),
        ({**DEAR, "tags": {"cost_center": "1", "expiry": "2026-12-31"}}, False),
        others={"more-6": limits(on_demand_usd_hour=0.8048), "more-7": limits(on_demand_usd_hour=0.8047)},
    ),
    "accel-tpu-topology": case(
        tpu,
        {"node_count": 3},
        {"placement_policy": {"tpu_topology": "2x4"}, "node_count": 2},
        False,
        {"node_count": U},
        ({"node_count": 5}, True),
        ({"placement_policy": GONE, "node_count": 1}, False),
        ({"node_count": GONE}, True),
    ),
    "accel-gpu-driver": case(
        gke,
        guest(),
        guest(gpu_driver_installation_config={"gpu_driver_version": "LATEST"}),
        False,
        guest(gpu_driver_installation_config={"gpu_driver_version": U}),
        (guest(gpu_driver_installation_config={}), True),
    ),
    "accel-device-plugin": Case(
        good=pools((eks, {}), PLUGIN),
        bad=pools((eks, {}), (namespace, {})),
        edge=(pools((eks, {})), False),
        unknown=pools((eks, {}), (daemon_set, {"metadata": {"name": U}})),
        more=(
            (pools((aks_pool, {}), (daemon_set, {})), True),
            (pools((aks_pool, {}), OPERATOR), False),
            (pools((gke, {}), (eks, PLAIN), (namespace, {})), False),
            (pools((eks, {}), (gke, {}), (release, {"chart": "keda"})), True),
            *[
                (pools((eks, {}), (release, {"chart": chart})), False)
                for chart in ("x/dra-driver-nvidia", "network-operator", "neuron-helm-chart")
            ],
        ),
    ),
    "accel-pool-repair": case(
        gke,
        {"management": {"auto_repair": False}},
        {"management": GONE},
        True,
        {"management": {"auto_repair": U}},
    ),
    "accel-upgrade-surge": case(
        aks_pool,
        {"upgrade_settings": {"max_surge": "1"}},
        {"upgrade_settings": GONE},
        True,
        {"upgrade_settings": {"max_surge": U}},
        ({"upgrade_settings": {"max_surge": "0%"}}, False),
        ({"upgrade_settings": GONE, **SPOT_Z}, False),
    ),
    "accel-carbon-budget": Case(
        good=pools((gke, {})),
        bad=pools((gke, {"autoscaling": {"total_max_node_count": 4}})),
        edge=(pools((gke, {"autoscaling": {"total_max_node_count": 3}})), False),
        unknown=pools((gke, {"location": U})),
        more=(
            (pools((gke, {"autoscaling": {"total_max_node_count": 400}})), False),
            (pools((gke, {}), (gke, {})), True),
            (pools((gke, {"location": "us-west1-a", "autoscaling": {"total_max_node_count": 4}})), True),
            (pools((aks, {"location": "westeurope"}), (aks_pool, {})), True),
            (pools((aks_pool, {})), False),
            (pools((tpu, {"node_count": 400})), False),
            (pools((provider, {}), (eks, {})), True),
            (pools((eks, {"region": "us-east-1"})), True),
        ),
        # Three L4 for a month in us-west1: 72 W x 3 x 730 h x 0.6 x 1.04 x 79.23 g/kWh = 7.8 kg.
        settings=limits(carbon_kg_month=7.8),
        others={"more-0": PROD},
    ),
    "accel-pod-limit": case(
        deployment,
        gpus(GONE, 1),
        gpus(2, 1),
        True,
        gpus(U, 1),
        (gpus(1, 1), False),
        (gpus(1, U), False),
        (gpus(2, 1, "google.com/tpu"), True),
        good=gpus(1),
    ),
    "accel-pod-fits": case(
        deployment,
        gpus(3),
        gpus(16),
        False,
        gpus(U),
        (gpus(0), True),
        (gpus(GONE, 5), True),
        *[(gpus(n), False) for n in (2, 4, 8)],
        (gpus(32), True),
        (gpus("4"), False),
        *[
            (gpus(7, name=name), True)
            for name in (
                "amd.com/gpu",
                "google.com/tpu",
                "aws.amazon.com/neuron",
                "aws.amazon.com/neuroncore",
                "habana.ai/gaudi",
            )
        ],
        (gpus(7, name="example.com/fpga"), False),
        good=gpus(1),
    ),
    "accel-pod-namespace": case(
        deployment,
        merged(gpus(), {"metadata": {"namespace": "default"}}),
        merged(gpus(), {"metadata": {"namespace": GONE}}),
        True,
        merged(gpus(), {"metadata": {"namespace": U}}),
        ({"metadata": {"namespace": "default"}}, False),
        good=gpus(),
    ),
    "accel-pod-tolerates": Case(
        good=pools((eks, {}), (deployment, GPU_POD)),
        bad=pools((eks, {}), (deployment, gpus())),
        edge=(pools((gke, {}), (deployment, gpus())), False),
        unknown=pools((eks, {}), (deployment, merged(gpus(), of_pod(tolerations=U)))),
        more=(
            (pools((eks, {}), (deployment, merged(gpus(), tolerating("other")))), True),
            (pools((eks, {}), (deployment, merged(gpus(), of_pod(tolerations=[{"operator": "Exists"}])))), False),
            (pools((aks_pool, {}), (deployment, gpus())), True),
            (pools((eks, {}), (deployment, {})), False),
            (pools((eks, {"taints": [{**TAINT, "key": "other"}]}), (deployment, gpus())), False),
        ),
    ),
    "accel-model-size": case(
        release,
        {"values": {"accelerator": {"count": 0}}},
        {"values": {"accelerator": {"count": 0}, "resourceClaims": [{"name": "a"}]}},
        False,
        {"values": {"accelerator": {"count": U}}},
        ({"values": {"resources": GONE}}, True),
        ({"values": {"resources": {"memory": ""}}}, True),
        ({"values": GONE}, False),
        ({"values": {"accelerator": {"count": GONE}}}, True),
    ),
    "accel-spot-grace": case(
        deployment,
        tolerating(SPOT_KEY, grace=16),
        tolerating(SPOT_KEY, grace=15),
        False,
        tolerating(SPOT_KEY, grace=U),
        (tolerating(SPOT_KEY), True),
        (tolerating("kubernetes.azure.com/scalesetpriority"), False),
        (tolerating("kubernetes.azure.com/scalesetpriority", grace=31), True),
        *[
            (tolerating(key, grace=grace), found)
            for key in ("accelfleet.io/spot", "eks.amazonaws.com/capacityType", "karpenter.sh/capacity-type")
            for grace, found in ((120, False), (121, True))
        ],
        (tolerating("accelfleet.io/spot", SPOT_KEY, grace=60), True),
        (tolerating("other", grace=900), False),
        good=tolerating(SPOT_KEY, grace=10),
    ),
    "accel-spot-job": case(
        job,
        merged(SPOT_JOB, {"spec": {"backoff_limit": 0}}),
        merged(SPOT_JOB, {"spec": {"backoff_limit": 1}}),
        False,
        merged(SPOT_JOB, {"spec": {"backoff_limit": U}}),
        (merged(gpus(), tolerating(SPOT_KEY)), True),
        (merged(gpus(), tolerating(SPOT_KEY, volumes=[{"name": "e", "empty_dir": {}}])), True),
        (merged(gpus(), tolerating(SPOT_KEY, volumes=[{"name": "e", "csi": {"driver": "d"}}])), False),
        (merged(gpus(), tolerating(SPOT_KEY, volumes=[{"name": "e", "nfs": {"server": "s", "path": "/"}}])), False),
        (merged(gpus(), tolerating("other")), False),
        (tolerating(SPOT_KEY), False),
        good=SPOT_JOB,
    ),
    "accel-autoscale-bound": Case(
        good=pools((eks, {}), (deployment, gpus()), (scaler, {})),
        bad=pools((eks, {}), (deployment, gpus()), (scaler, {"spec": {"max_replicas": 3}})),
        edge=(pools((eks, aws_size(0, 4)), (deployment, gpus(2)), (scaler, {})), False),
        unknown=pools((eks, aws_size(0, U)), (deployment, gpus()), (scaler, {"spec": {"max_replicas": 9}})),
        more=(
            (pools((eks, aws_size(0, 3)), (deployment, gpus(2)), (scaler, {})), True),
            (pools((eks, {"instance_types": ["g6.12xlarge"]}), (deployment, gpus(4)), (scaler, {})), False),
            (pools((eks, {"labels": {"accelfleet.io/sharing": "x"}}), (deployment, gpus(9)), (scaler, {})), False),
            (pools((deployment, gpus(9)), (scaler, {})), False),
            (pools((eks, {}), (deployment, {"metadata": {"name": "other"}}), (scaler, {})), False),
            (pools((eks, {}), (eks, {}), (deployment, gpus(2)), (scaler, {})), False),
            (pools((eks, {}), (deployment, gpus(3)), (scaler, {"spec": {"max_replicas": GONE}})), True),
            (
                pools((gke, guest(gpu_sharing_config={"max_shared_clients_per_gpu": 4})), (deployment, gpus(9)), (scaler, {})),
                False,
            ),
            (pools((aks_pool, {"gpu_instance_profile": "MIG1g"}), (deployment, gpus(9)), (scaler, {})), False),
            (pools((eks, {}), (deployment, gpus(GONE, 2)), (scaler, {})), True),
            (pools((eks, aws_size(0, 1)), (deployment, gpus()), (scaler, {"spec": {"max_replicas": GONE}})), False),
            (pools((eks, {}), (deployment, gpus(1, name="google.com/tpu")), (scaler, {})), True),
        ),
    ),
    "accel-zero-activation": case(
        scaled,
        {"spec": {"triggers": [{"type": "x", "metadata": {"threshold": "1"}}]}},
        {"spec": {"minReplicaCount": 1, "triggers": [{"type": "x", "metadata": {}}]}},
        False,
        {"spec": {"minReplicaCount": U, "triggers": [{"type": "x", "metadata": {}}]}},
        ({"spec": {"minReplicaCount": GONE, "triggers": [{"type": "x", "metadata": {}}]}}, True),
        ({"spec": {"triggers": [{"type": "x", "metadata": {"activationTargetValue": "1"}}]}}, False),
    ),
    "accel-queue-name": Case(
        good=pools((local_queue, {}), (job, merged(gpus(), {"metadata": {"labels": {"kueue.x-k8s.io/queue-name": "q"}}}))),
        bad=pools((local_queue, {}), (job, gpus())),
        edge=(pools((local_queue, {"metadata": {"namespace": "other"}}), (job, gpus())), False),
        unknown=pools((local_queue, {}), (job, merged(gpus(), {"metadata": {"labels": U}}))),
        more=(
            (pools((local_queue, {}), (job, {})), False),
            (pools((job, gpus())), False),
            (pools((local_queue_2, {}), (job, gpus())), True),
        ),
    ),
    "accel-queue-quota": Case(
        good=pools((eks, {}), queue(1)),
        bad=pools((eks, {}), queue(3)),
        edge=(pools((eks, {}), queue(2)), False),
        unknown=pools((eks, {}), queue(U)),
        more=(
            (pools((eks, {}), queue(1), queue(2)), True),
            (pools(queue(99)), False),
            (pools((eks, {}), queue("3")), True),
            (pools((eks, {}), (cluster_queue_2, queue(3)[1])), True),
            (pools((eks, {}), queue(1, "google.com/tpu")), True),
        ),
    ),
}
MORE: dict[str, Case] = {
    "accel-pool-taint": Case(
        good=pools((aks_pool, {})),
        bad=pools((aks_pool, {"node_taints": ["x=y:PreferNoSchedule"]})),
        edge=(pools((gke, {})), False),
        unknown=pools((aks_pool, {"node_taints": [U, "x:NoSchedule"]})),
        more=((pools((aks_pool, {"node_taints": GONE})), True),),
    ),
    "accel-pool-max": Case(
        good=pools((gke, {}), (eks, {})),
        bad=pools((gke, {"autoscaling": {"total_max_node_count": GONE, "total_min_node_count": GONE}})),
        edge=(pools((gke, {"autoscaling": GONE, "node_count": 2})), False),
        unknown=pools((gke, {"autoscaling": {"total_max_node_count": U}})),
        more=((pools((gke, {"autoscaling": GONE})), True),),
    ),
    "accel-pool-idle": Case(
        good=pools((gke, {}), (aks_pool, {})),
        bad=pools((tpu, {})),
        edge=(pools((aks_pool, {"min_count": 1})), True),
        unknown=pools((tpu, {"node_count": U})),
        more=(
            (pools((gke, {"autoscaling": {"total_min_node_count": 1}})), True),
            (
                pools(
                    (
                        gke,
                        {
                            "autoscaling": {
                                "total_max_node_count": GONE,
                                "total_min_node_count": GONE,
                                "max_node_count": 2,
                                "min_node_count": 1,
                            }
                        },
                    )
                ),
                True,
            ),
            (
                pools(
                    (gke, {"autoscaling": {"total_max_node_count": GONE, "total_min_node_count": GONE, "max_node_count": 2}})
                ),
                False,
            ),
            (pools((aks_pool, {"min_count": GONE, "max_count": GONE, "count": 1})), True),
        ),
    ),
    # GKE counts by zone where it does not say total: two zones of three are six.
    "accel-quota": Case(
        good=pools((gke, {})),
        bad=pools((gke, {"autoscaling": {"total_max_node_count": GONE, "total_min_node_count": GONE, "max_node_count": 3}})),
        edge=(
            pools((gke, {"autoscaling": {"total_max_node_count": GONE, "total_min_node_count": GONE, "max_node_count": 2}})),
            False,
        ),
        unknown=pools(
            (
                gke,
                {
                    "node_locations": U,
                    "autoscaling": {"total_max_node_count": GONE, "total_min_node_count": GONE, "max_node_count": 3},
                },
            )
        ),
        more=(
            (pools((gke, {"autoscaling": GONE, "node_count": 5})), True),
            (pools((aks_pool, {"enable_auto_scaling": False, "max_count": GONE, "count": 5})), True),
            (
                pools(
                    (
                        gke,
                        {
                            "node_locations": GONE,
                            "autoscaling": {"total_max_node_count": GONE, "total_min_node_count": GONE, "max_node_count": 4},
                        },
                    )
                ),
                False,
            ),
            (
                pools(
                    (
                        gke,
                        {
                            "node_config": {
                                "machine_type": "n1-standard-4",
                                "guest_accelerators": [{"type": "nvidia-tesla-t4", "count": 1}],
                            },
                            "autoscaling": {"total_max_node_count": 5},
                        },
                    )
                ),
                True,
            ),
        ),
        settings=limits(accelerators={"nvidia-l4": 4, "nvidia-a100-80gb": 4, "nvidia-t4": 4}),
    ),
    "accel-spot-spread": Case(
        good=pools((gke, SPOT_G), (aks_pool, SPOT_Z)),
        bad=pools((gke, {**SPOT_G, "node_locations": ["us-west1-a"]})),
        edge=(pools((aks_pool, {**SPOT_Z, "availability_zones": ["1"]})), True),
        unknown=pools((gke, {**SPOT_G, "node_locations": U})),
    ),
    "accel-dear-needs-owner": Case(
        good=pools((aks_pool, {"tags": {"owner": "ml", "expires": "2026-12-31"}})),
        bad=pools((aks_pool, {"node_labels": {"owner": "ml"}})),
        edge=(pools((gke, {"node_config": {"resource_labels": {"owner": "ml"}, "labels": {"expires": "2026-12-31"}}})), False),
        unknown=pools((gke, {"node_config": {"resource_labels": U}})),
        settings=limits(on_demand_usd_hour=0.1),
    ),
    "accel-upgrade-surge": case(
        gke,
        {"upgrade_settings": {"max_surge": 1}},
        {"upgrade_settings": GONE},
        True,
        {"upgrade_settings": {"max_surge": U}},
        ({"upgrade_settings": GONE, **SPOT_G}, True),
    ),
    "accel-spot-grace": case(
        release,
        {"values": {"tolerations": [{"key": SPOT_KEY}], "terminationGracePeriodSeconds": 16}},
        {"values": {"tolerations": [{"key": SPOT_KEY}], "terminationGracePeriodSeconds": 15}},
        False,
        {"values": {"tolerations": [{"key": SPOT_KEY}], "terminationGracePeriodSeconds": U}},
        ({"values": GONE}, False),
    ),
}
ALL = (CASES, MORE)
