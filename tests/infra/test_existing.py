"""An existing cluster against mocks: no cloud asked, labels on named hosts, and pods that go where the labels are."""

from __future__ import annotations

import json

import pulumi
import pytest

from fleet.contract import ACCELERATOR_LABEL, POOL_LABEL
from fleet.load import load_stack
from infra.platform import deploy as platform
from infra.stack import Stack

FILE = """
owner: lab
environment: dev
secrets: [labKubeconfig]
clusters:
  lab:
    cloud: existing
    region: DE
    kubeconfig: labKubeconfig
    pools:
      rtx:
        accelerator: nvidia-rtx-4090
        per_node: 2
        hosts:
          names: [gpu-1, gpu-2]
          vcpus: 32
          memory_gib: 128
          taints: ["dedicated=gpu:NoSchedule", "slow:PreferNoSchedule"]
          runtime_class: nvidia
          usd_hour: 0.5
      operated:
        accelerator: nvidia-rtx-4090
        per_node: 1
        hosts: {names: [gpu-3], vcpus: 16, memory_gib: 64, driver: operator}
      gaudi:
        accelerator: gaudi2
        per_node: 8
        hosts: {names: [gaudi-1], vcpus: 160, memory_gib: 1024}
    models:
      chat:
        pool: rtx
        replicas: {min: 2, max: 2}
"""
KUBECONFIG = {
    "current-context": "lab",
    "contexts": [{"name": "lab", "context": {"cluster": "k", "user": "u"}}],
    "clusters": [{"name": "k", "cluster": {"server": "https://lab.example:6443"}}],
    "users": [{"name": "u", "user": {"token": "canary"}}],
}
PATCH = "kubernetes:core/v1:NodePatch"
DAEMON_SET = "kubernetes:apps/v1:DaemonSet"


@pytest.fixture
def lab(deploy, tmp_path):
    """`lab(kubeconfig) -> Recorder`."""

    def run(kubeconfig=None):
        file = tmp_path / "lab.yaml"
        file.write_text(FILE)
        (tmp_path / "Pulumi.lab.yaml").write_text("config: {accelfleet:labKubeconfig: {secure: AAAB}}")
        stack = Stack("lab", load_stack(file))
        pulumi.runtime.set_config("accelfleet:labKubeconfig", kubeconfig or json.dumps(KUBECONFIG))
        return deploy(lambda: platform(stack))

    return run


def selected(daemon):
    (term,) = daemon["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    return {rule["key"]: rule.get("values") for rule in term["matchExpressions"]}


def test_no_cloud_is_asked_for_anything(lab):
    assert {type_.partition(":")[0] for type_ in lab().types()} <= {"accelfleet", "kubernetes", "pulumi"}


def test_every_host_carries_the_labels_of_its_pool_and_no_taint_of_ours(lab):
    patches = {p["metadata"]["name"]: p for p in lab().of(PATCH).values()}
    pools = {name: p["metadata"]["labels"][POOL_LABEL] for name, p in patches.items()}
    assert pools == {"gpu-1": "rtx", "gpu-2": "rtx", "gpu-3": "operated", "gaudi-1": "gaudi"}
    assert patches["gaudi-1"]["metadata"]["labels"][ACCELERATOR_LABEL] == "gaudi2"
    assert all("spec" not in patch for patch in patches.values())


def test_a_host_has_one_device_plugin_unless_an_operator_brings_it(lab):
    daemons = {d["metadata"]["name"]: d for d in lab().of(DAEMON_SET).values()}
    assert set(daemons) == {"nvidia-device-plugin-nvidia", "gaudi-device-plugin"}
    # The operator's host has the same accelerator: only the pool's name keeps our plugin off it.
    assert selected(daemons["nvidia-device-plugin-nvidia"])[POOL_LABEL] == ["rtx"]
    assert selected(daemons["gaudi-device-plugin"])[ACCELERATOR_LABEL] == ["gaudi2"]


def test_a_plugin_runs_as_its_hosts_need_it(lab):
    pods = {d["metadata"]["name"]: d["spec"]["template"]["spec"] for d in lab().of(DAEMON_SET).values()}
    assert pods["nvidia-device-plugin-nvidia"]["runtimeClassName"] == "nvidia"
    assert pods["nvidia-device-plugin-nvidia"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] is False
    assert pods["gaudi-device-plugin"]["containers"][0]["securityContext"] == {"privileged": True}
    assert "runtimeClassName" not in pods["gaudi-device-plugin"]


def test_a_model_goes_to_the_hosts_and_tolerates_what_they_carry(lab):
    (release,) = lab().of("kubernetes:helm.sh/v3:Release").values()
    values = release["values"]
    assert values["nodeSelector"] == {POOL_LABEL: "rtx"}
    assert values["runtimeClassName"] == "nvidia"
    assert {(t["key"], t["value"], t["effect"]) for t in values["tolerations"]} == {
        ("dedicated", "gpu", "NoSchedule"),
        ("slow", "", "PreferNoSchedule"),
    }
    # Half of a host's CPUs and memory, less what its kubelet needs.
    assert values["resources"]["cpu"] == "11200m"
    assert values["resources"]["memory"] == "44Gi"


def test_the_outputs_tell_what_an_hour_costs_its_owner(lab):
    outputs = lab().outputs("accelfleet:platform:Cluster")["lab"]
    assert (
        outputs["pools"]["rtx"] | {"usdHour": 0.5, "purchase": "owned", "minNodes": 2, "maxNodes": 2} == outputs["pools"]["rtx"]
    )
    assert outputs["pools"]["gaudi"].get("usdHour") is None


@pytest.mark.parametrize("text", ["", "canary", "{current-context: canary}", "[canary]", "{canary: ["], ids=range(5))
def test_what_is_no_kubeconfig_is_refused_and_never_quoted(lab, text):
    with pytest.raises(Exception, match="its secret holds no kubeconfig") as refused:
        lab(text or " ")
    assert "canary" not in str(refused.value)
