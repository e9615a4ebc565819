"""Claimed accelerators against mocks: one owner of every GPU, what its driver is told, and what models and teams carry."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleet.catalog import dra
from fleet.catalog.clouds import Cloud
from fleet.catalog.fabric import node_fabric
from fleet.catalog.machines import machine
from fleet.catalog.sharing import Sharing, SharingMode
from fleet.load import load_stack
from fleet.workspace import STACKS
from infra import versions
from infra.kubernetes.cluster_autoscaler import ClusterAutoscaler
from infra.kubernetes.device_plugins import DevicePlugins
from infra.kubernetes.dra_driver import NAMESPACE as HOME
from infra.kubernetes.dra_driver import DraDriver, values
from infra.kubernetes.efa import EfaPlugin
from infra.kubernetes.model_serving import chart_values
from infra.kubernetes.namespaces import pod_security
from infra.kubernetes.tenancy import accelerator_quota
from tests.accelerator_pools import INF2, L4, L4_ON_GKE, T4_ON_AKS, pool_of, tolerates
from tests.infra import test_gcp
from tests.infra.test_kubernetes import DAEMON_SET, DEPLOYMENT, NAMESPACE, POLICY, RELEASE, in_cluster, model
from tests.infra.test_sharing import runs_on
from tests.infra.test_tenancy import QUOTA, cluster, on_platform

DRA_DRIVER = "accelfleet:kubernetes:DraDriver"
A100 = machine(Cloud.AWS, "p4d.24xlarge")


def claimed(hardware=L4, name="claimed", **changes):
    return pool_of(hardware, name, dra=True, **changes)


def driver(*pools):
    return in_cluster(lambda opts: DraDriver("main-dra-driver", list(pools), opts))


def as_daemon(told):
    """The chart's DaemonSet, as far as the scheduler sees it."""
    return {"spec": {"template": {"spec": {key: told["kubeletPlugin"][key] for key in ("affinity", "tolerations")}}}}


# One owner


@pytest.mark.parametrize("hardware", [L4, L4_ON_GKE, T4_ON_AKS], ids=lambda m: str(m.cloud))
def test_each_gpu_has_exactly_one_owner(deploy, hardware):
    pools = [
        claimed(hardware),
        claimed(hardware, "claimed-spot", spot=True),
        pool_of(hardware, "counted"),
        pool_of(hardware, "counted-spot", spot=True),
        pool_of(hardware, "shared", sharing=Sharing(SharingMode.TIME_SLICING, 4)),
    ]

    def both(opts):
        DevicePlugins("plugins", pools, opts)
        DraDriver("dra", [pool for pool in pools if pool.dra], opts)

    recorded = deploy(in_cluster(both))
    plugins = [d for d in recorded.of(DAEMON_SET).values() if "device-plugin" in d["metadata"]["name"]]
    owners = [*plugins, as_daemon(recorded.one(RELEASE).inputs["values"])]
    for pool in pools:
        labels = pool.node_labels | pool.cloud_labels
        mine = [owner for owner in owners if runs_on(owner, labels)]
        if hardware.cloud is Cloud.GCP:
            gkes_own = "gke-no-default-nvidia-gpu-device-plugin" not in labels
            assert len(mine) + gkes_own == 1, pool.name
        else:
            assert len(mine) == 1, pool.name
        for owner in mine:
            tolerations = owner["spec"]["template"]["spec"]["tolerations"]
            assert all(any(tolerates(t, taint) for t in tolerations) for taint in pool.all_taints), pool.name
    assert not any(runs_on(owner, {}) for owner in owners), "nodes without accelerators"


def test_the_fabrics_plugin_has_its_namespace_where_every_gpu_is_claimed(deploy):
    pool = claimed(A100, fabric=node_fabric(A100))

    def both(opts):
        plugins = DevicePlugins("plugins", [pool], opts)
        EfaPlugin("efa", [pool], plugins, opts)

    recorded = deploy(in_cluster(both))
    (daemon,) = recorded.of(DAEMON_SET).values()
    assert daemon["metadata"]["namespace"] in {n["metadata"]["name"] for n in recorded.of(NAMESPACE).values()}


# The driver. It runs nowhere here: these are the values that its chart takes.


def test_the_driver_is_pinned_and_hands_out_gpus_and_nothing_else(deploy):
    recorded = deploy(driver(claimed()))
    release = recorded.one(RELEASE).inputs
    assert (release["chart"], release["version"]) == (versions.DRA_DRIVER_CHART, versions.DRA_DRIVER_CHART_VERSION)
    assert release["atomic"]
    assert not release["skipAwait"]
    told = release["values"]
    assert told["gpuResourcesEnabledOverride"] is True, "the chart renders nothing without it"
    assert told["resources"] == {"gpus": {"enabled": True}, "computeDomains": {"enabled": False}}
    assert told["nvidiaDriverRoot"] == "/"
    (space,) = recorded.of(NAMESPACE).values()
    assert space["metadata"]["name"] == release["namespace"] == HOME
    assert pod_security("privileged").items() <= space["metadata"]["labels"].items()
    assert {r.type for r in recorded.depends_on(recorded.one(RELEASE))} == {NAMESPACE, POLICY}
    assert recorded.of(DAEMON_SET) == {}, "the cloud's image has the kernel driver"


def test_on_gke_the_kernel_driver_is_installed_beside_it(deploy):
    pool = claimed(L4_ON_GKE)
    recorded = deploy(driver(pool))
    release = recorded.one(RELEASE)
    installer = recorded.one(DAEMON_SET)
    assert {r.type for r in recorded.depends_on(release)} == {NAMESPACE, POLICY, DAEMON_SET, QUOTA}
    pod = installer.inputs["spec"]["template"]["spec"]
    assert runs_on(installer.inputs, pool.node_labels)
    assert not runs_on(installer.inputs, pool_of(L4_ON_GKE).node_labels), "GKE installs its own there"
    (install,) = pod["initContainers"]
    assert install["imagePullPolicy"] == "Never", "the image is the node's own"
    env = {e["name"]: e["value"] for e in install["env"]}
    assert env["NVIDIA_INSTALL_DIR_HOST"] == release.inputs["values"]["nvidiaDriverRoot"]
    paths = {v["name"]: v["hostPath"]["path"] for v in pod["volumes"]}
    mounted = {m["mountPath"]: paths[m["name"]] for m in install["volumeMounts"]}
    assert len(mounted) == len(paths)
    assert mounted[env["NVIDIA_INSTALL_DIR_CONTAINER"]] == env["NVIDIA_INSTALL_DIR_HOST"]
    assert mounted[env["COS_TOOLS_DIR_CONTAINER"]] == env["COS_TOOLS_DIR_HOST"]
    assert mounted[env["ROOT_MOUNT_DIR"]] == "/"
    (quota,) = recorded.of(QUOTA).values()
    (only,) = quota["spec"]["scopeSelector"]["matchExpressions"]
    assert only["values"] == [pod["priorityClassName"]] == [values([pool])["kubeletPlugin"]["priorityClassName"]]


@pytest.mark.parametrize(("dra_", "version"), [(True, "INSTALLATION_DISABLED"), (False, "DEFAULT")])
def test_gke_installs_the_kernel_driver_where_its_own_plugin_runs_and_nowhere_else(deploy, dra_, version):
    pool = test_gcp.pool_of(L4_ON_GKE, dra=dra_)
    config = deploy(lambda: test_gcp.node_pool(pool)).all(test_gcp.NODE_POOL)["main-gpu-nodes"].inputs["nodeConfig"]
    (gpu,) = config["guestAccelerators"]
    assert gpu["gpuDriverInstallationConfig"]["gpuDriverVersion"] == version
    assert ("gke-no-default-nvidia-gpu-device-plugin" in config["labels"]) == dra_


@pytest.mark.parametrize(
    ("pool", "why"),
    [
        (claimed(INF2), "hands out inferentia2 by claims"),
        (claimed(sharing=Sharing(SharingMode.MPS, 4)), "hands out nvidia-l4 in parts by claims"),
    ],
    ids=["neuron", "shared"],
)
def test_what_no_driver_hands_out_is_refused(deploy, pool, why):
    with pytest.raises(Exception, match=why):
        deploy(driver(pool))


# Who uses it


def test_a_model_on_a_claimed_pool_claims_and_asks_for_no_resource():
    pool = claimed(A100)
    told = chart_values(model(pool, count=2))
    claim = pool.placement(2).claim
    assert told["accelerator"] == {"resource": "", "count": 2}
    (made,) = told["resourceClaims"]
    assert (made["deviceClass"], made["count"], tuple(made["selectors"])) == (claim.device_class, 2, claim.selectors)
    counted = chart_values(model(pool_of(A100), count=2))
    assert (counted["resourceClaims"], counted["accelerator"]["resource"]) == ([], "nvidia.com/gpu")


@pytest.mark.parametrize("by_claims", [True, False])
def test_the_autoscaler_reads_claims_where_there_are_some(deploy, by_claims):
    made = deploy(
        in_cluster(lambda opts: ClusterAutoscaler("a", cluster="c", minor="1.34", env={}, by_claims=by_claims, opts=opts))
    )
    (container,) = made.one(DEPLOYMENT).inputs["spec"]["template"]["spec"]["containers"]
    assert ("--enable-dynamic-resource-allocation=true" in container["args"]) == by_claims


def test_a_teams_share_counts_claims_under_both_names_that_a_claim_has():
    pools = [claimed(max_nodes=3), pool_of(INF2, "inf2")]
    share = cluster(ads={"accelerators": {"nvidia-l4": 2}}, web={})
    counted = {"gpu.nvidia.com.deviceclass.resource.k8s.io/devices": "2", "requests.nvidia.com/gpu": "2"}
    assert accelerator_quota("ads", share, pools) == {**counted, "requests.aws.amazon.com/neuron": "0"}
    assert set(accelerator_quota("web", share, pools).values()) == {"0"}


def test_the_version_that_a_cluster_gets_by_itself_knows_claims():
    assert tuple(map(int, versions.KUBERNETES.split("."))) >= dra.SINCE


def on_platform_with(deploy, allocation):
    raw = load_stack(STACKS / "aws-dev.yaml").model_dump(mode="json", exclude_unset=True)
    raw["clusters"]["main"]["models"] = {"chat": {"pool": "gpu"}}
    pool = {"accelerator": "nvidia-l4", "nodes": {"min": 1, "max": 2}, "allocation": allocation}
    raw["clusters"]["main"]["pools"] = {"gpu": pool}
    return on_platform(deploy, raw)


def test_the_platform_has_the_driver_where_a_pool_claims_and_models_wait_for_it(deploy):
    recorded = on_platform_with(deploy, "dra")
    release = recorded.all(RELEASE)["main-dra-driver"]
    served = recorded.all("accelfleet:kubernetes:ModelServing")["main-chat"]
    assert release in list(recorded.depends_on(served))
    assert not [d for d in recorded.of(DAEMON_SET).values() if "device-plugin" in d["metadata"]["name"]]
    (container,) = recorded.one(DEPLOYMENT).inputs["spec"]["template"]["spec"]["containers"]
    assert "--enable-dynamic-resource-allocation=true" in container["args"]
    (outputs,) = recorded.outputs("accelfleet:platform:Cluster").values()
    assert outputs["pools"]["gpu"]["deviceClass"] == "gpu.nvidia.com"


def test_the_platform_has_no_driver_where_no_pool_claims(deploy):
    recorded = on_platform_with(deploy, "device-plugin")
    assert not recorded.all(DRA_DRIVER)
    assert [d for d in recorded.of(DAEMON_SET).values() if "device-plugin" in d["metadata"]["name"]]


def test_rungs_of_one_pool_are_claimed_alike():
    pool = claimed(L4_ON_GKE)
    laddered = replace(pool, fallback=replace(pool, spot=True))
    assert laddered.placement(1).claim == pool.placement(1).claim
