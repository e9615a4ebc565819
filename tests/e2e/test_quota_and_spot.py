"""What an account may not have, and what a cloud takes back: a quota stops `up` until it is raised, spot nodes go and come."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import yaml

from fleet.engine import Engine
from fleet.workspace import Workspace
from sandbox.cloud import daemon
from sandbox.cloud.client import Client
from sandbox.cloud.errors import CloudError
from sandbox.cluster.api import Api, Object, is_ready
from sandbox.workspace import sandbox_workspace, shadow_project

pytestmark = pytest.mark.sandbox
SETTINGS = {"aws:region": "us-east-1", "gcp:project": "demo", "azure-native:location": "eastus"}
# A cluster with two pools bought on demand and a spot one, a node of one GPU each; `more` comes last.
AWS = """
import pulumi
import pulumi_aws as aws
role, subnets = "arn:aws:iam::123456789012:role/eks", ["subnet-0123456789abcdef0"]
cluster = aws.eks.Cluster("c", name="c", role_arn=role, vpc_config={"subnet_ids": subnets})
last = cluster
for name in ("steady", "spot", "more"):
    last = aws.eks.NodeGroup(
        name,
        cluster_name=cluster.name,
        node_group_name=name,
        node_role_arn=role,
        subnet_ids=subnets,
        ami_type="AL2023_x86_64_NVIDIA",
        instance_types=["g6.xlarge"],
        capacity_type="SPOT" if name == "spot" else "ON_DEMAND",
        scaling_config={"min_size": 1, "max_size": 1, "desired_size": 1},
        labels={"pool": name},
        opts=pulumi.ResourceOptions(depends_on=[last]),
    )
"""
GCP = """
import pulumi
import pulumi_gcp as gcp
zone = "us-central1-a"
cluster = gcp.container.Cluster(
    "c", name="c", location=zone, initial_node_count=1, remove_default_node_pool=True, deletion_protection=False
)
last = cluster
for name in ("steady", "spot", "more"):
    last = gcp.container.NodePool(
        name,
        name=name,
        cluster=cluster.name,
        location=zone,
        node_count=1,
        node_config={"machine_type": "g2-standard-4", "spot": name == "spot", "labels": {"pool": name}},
        opts=pulumi.ResourceOptions(depends_on=[last]),
    )
"""
AZURE = """
import pulumi
from pulumi_azure_native import containerservice, resources
group = resources.ResourceGroup("g")
cluster = containerservice.ManagedCluster(
    "c",
    resource_group_name=group.name,
    resource_name_="c",
    dns_prefix="c",
    identity={"type": "SystemAssigned"},
    agent_pool_profiles=[{"name": "system", "mode": "System", "count": 1, "vm_size": "Standard_D2s_v5"}],
)
last = cluster
for name in ("steady", "spot", "more"):
    last = containerservice.AgentPool(
        name,
        resource_group_name=group.name,
        resource_name_=cluster.name,
        agent_pool_name=name,
        count=1,
        mode="User",
        vm_size="Standard_NC4as_T4_v3",
        scale_set_priority="Spot" if name == "spot" else "Regular",
        node_labels={"pool": name},
        opts=pulumi.ResourceOptions(depends_on=[last]),
    )
"""
# Program, region, quota of the pools bought on demand, its limit before and after, and how the cloud says no.
CLOUDS: dict[str, tuple[str, str, str, int, int, str]] = {
    "aws": (AWS, "us-east-1", "L-DB2E81BA", 4, 8, "VcpuLimitExceeded.* current vCPU limit of 4 .*L-DB2E81BA in us-east-1"),
    "gcp": (
        GCP,
        "us-central1",
        "NVIDIA_L4_GPUS",
        1,
        2,
        r"resource \"NVIDIA_L4_GPUS\": request requires '1\.0' and is short '1\.0'\. .* quota of '1\.0' with '0\.0' available",
    ),
    "azure": (
        AZURE,
        "eastus",
        "Standard NCASv3_T4 Family",
        4,
        8,
        "QuotaExceeded.*approved Standard NCASv3_T4 Family Cores quota.*Location: eastus, Current Limit: 4, Current Usage: 4",
    ),
}


@dataclass
class Rig:
    """A stack of one cluster."""

    cloud: str
    engine: Engine
    client: Client
    api: Api | None = None

    def kube(self) -> Api:
        if self.api is None:
            assert self.engine.workspace.sandbox is not None
            file = self.engine.workspace.sandbox / "clusters" / self.cloud / "c" / "cluster.json"
            about = json.loads(file.read_text())
            self.api = Api(about["endpoint"], about["ca"], about["token"])
        return self.api

    def nodes(self, pool: str) -> dict[str, str]:
        """Name -> providerID of the pool's nodes that are ready."""
        found = self.kube().call("GET", "/api/v1/nodes", labelSelector=f"pool={pool}")["items"]
        return {n["metadata"]["name"]: n["spec"]["providerID"] for n in found if is_ready(n)}

    def quota(self, limit: int) -> None:
        _, region, quota, *_ = CLOUDS[self.cloud]
        self.client.call("quota", cloud=self.cloud, region=region, quota=quota, limit=limit)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    home = tmp_path_factory.mktemp("quota")
    made = sandbox_workspace(home)
    daemon.start(home)
    yield made
    daemon.stop(home)


@pytest.fixture(scope="module", params=sorted(CLOUDS))
def rig(workspace: Workspace, request: pytest.FixtureRequest) -> Iterator[Rig]:
    home = workspace.sandbox
    assert home is not None
    project = home / request.param
    (project / "config").mkdir(parents=True)
    (project / "__main__.py").write_text(CLOUDS[request.param][0])
    (project / "Pulumi.yaml").write_text(yaml.safe_dump(shadow_project(home / "bin", project, f"quota-{request.param}")))
    (project / "config" / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": SETTINGS}))
    made = Rig(request.param, Engine(replace(workspace, project=project), "dev"), Client(home))
    made.engine.init()
    yield made
    done = made.engine.run("destroy")
    assert done.ok, done.errors
    assert made.client.call("list") == []


@pytest.fixture(scope="module")
def standing(rig: Rig) -> Rig:
    """The stack, up, after a quota stood in its way: what the first test is about."""
    *_, low, high, words = CLOUDS[rig.cloud]
    rig.quota(low)
    refused = rig.engine.run("up")
    assert not refused.ok
    assert any(re.search(words, error, re.DOTALL) for error in refused.errors), refused.errors
    assert not [r["id"] for r in rig.client.call("list") if r["urn"].endswith("::more")]
    (cluster,) = rig.client.call("status")["clusters"]
    assert "more" not in [pool["name"] for pool in cluster["pools"]]
    assert rig.nodes("more") == {}
    assert not rig.engine.export()["deployment"].get("pending_operations")
    rig.quota(high)
    raised = rig.engine.run("up")
    assert raised.ok, raised.errors
    return rig


def test_pain_01_a_quota_stops_up_in_the_clouds_words_and_once_raised_the_same_command_succeeds(standing: Rig) -> None:
    wait_for(lambda: len(standing.nodes("more")) == 1)
    again = standing.engine.run("up", "--expect-no-changes")
    assert again.ok, again.errors


def test_a_reclaimed_spot_node_is_replaced_with_its_pod_and_on_demand_nodes_stay(standing: Rig) -> None:
    api, call = standing.kube(), standing.client.call
    wait_for(lambda: len(standing.nodes("steady")) == len(standing.nodes("spot")) == 1)
    steady, spot = standing.nodes("steady"), standing.nodes("spot")
    api.call("POST", "/apis/apps/v1/namespaces/default/deployments", DEPLOYMENT)

    def running() -> list[Object]:
        pods = api.call("GET", "/api/v1/namespaces/default/pods", labelSelector="app=work")["items"]
        return [pod for pod in pods if is_ready(pod) and not pod["metadata"].get("deletionTimestamp")]

    wait_for(lambda: len(running()) == 1)
    (before,) = running()
    assert [before["spec"]["nodeName"]] == list(spot)

    assert call("reclaim", cloud=standing.cloud, cluster="c", pool="spot", count=1) == list(spot)
    wait_for(lambda: len(standing.nodes("spot")) == 1 and not standing.nodes("spot").keys() & spot.keys())
    wait_for(lambda: [pod["metadata"]["uid"] for pod in running()] not in ([], [before["metadata"]["uid"]]))
    (after,) = running()
    assert [after["spec"]["nodeName"]] == list(standing.nodes("spot"))

    with pytest.raises(CloudError, match="no spot pool steady"):
        call("reclaim", cloud=standing.cloud, cluster="c", pool="steady", count=1)
    assert standing.nodes("steady") == steady

    # It tolerates everything, a node's being drained too, which destroy would wait for.
    api.call("DELETE", "/apis/apps/v1/namespaces/default/deployments/work", propagationPolicy="Background")
    wait_for(lambda: running() == [])


DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "work"},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "work"}},
        "template": {
            "metadata": {"labels": {"app": "work"}},
            "spec": {
                "nodeSelector": {"pool": "spot"},
                "tolerations": [{"operator": "Exists"}],
                "containers": [{"name": "c", "image": "busybox:1"}],
            },
        },
    },
}


def wait_for(done: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.2)
