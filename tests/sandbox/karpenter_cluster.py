"""A cluster of the sandbox's AWS with the real Karpenter beside it, and pools that it may make nodes for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvicorn

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import machine
from fleet.contract import AcceleratorPool
from infra.kubernetes.karpenter import node_class
from infra.kubernetes.node_pool import EC2, node_pool, weight
from sandbox import toolchain
from sandbox.cloud.aws_api.ec2 import INSTANCE, TEMPLATE
from sandbox.cloud.server import app
from sandbox.cloud.world import World
from sandbox.cluster.api import is_ready
from tests.accelerator_pools import pool_of
from tests.sandbox.test_spot import _system, device_plugin

ROOT = Path(__file__).resolve().parents[2]
REGION, NAME, ZONES = "us-east-1", "trial-main", ("us-east-1a", "us-east-1b")
_CLASSES, _POOLS = "/apis/karpenter.k8s.aws/v1/ec2nodeclasses", "/apis/karpenter.sh/v1/nodepools"
CLAIMS = "/apis/karpenter.sh/v1/nodeclaims"


@contextlib.contextmanager
def serving(home: Path) -> Iterator[World]:
    """The daemon's own web server over a world, in a thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    world = World(home, f"http://127.0.0.1:{listener.getsockname()[1]}")
    server = uvicorn.Server(uvicorn.Config(app(world), log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    try:
        yield world
    finally:
        world.close()
        server.should_exit = True
        thread.join(30)
        listener.close()


class Trial:
    """A cluster, its network, queue and profile as a stack's program makes them, a system node, and Karpenter."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._aws()
        self.sim = world.clusters.sim("aws", NAME)
        self.api, self.plane = self.sim.api, self.sim.control_plane
        system = _system(pool_of(hardware("g6.xlarge")))
        self.sim.set_pool(replace(system, size=1))
        self.api.call("POST", "/apis/apps/v1/namespaces/default/daemonsets", device_plugin())
        world.clusters.addon(self.plane.endpoint, "karpenter-crd", present=True)
        self._release()
        world.clusters.addon(self.plane.endpoint, "karpenter", present=True)

    def make(self, kind: str, **inputs: Any) -> Any:
        return self.world.create("aws", kind, "urn", {"region": REGION}, inputs, {})

    def _aws(self) -> None:
        found = {"karpenter.sh/discovery": NAME}
        vpc = self.make("aws:ec2/vpc:Vpc", cidrBlock="10.0.0.0/16")
        for i, zone in enumerate(ZONES):
            inputs = {"vpcId": vpc.id, "cidrBlock": f"10.0.{i * 32}.0/19", "availabilityZone": zone, "tags": found}
            self.make("aws:ec2/subnet:Subnet", **inputs)
        cluster = self.make("aws:eks/cluster:Cluster", name=NAME, version="1.34", roleArn="r", vpcConfig={})
        group = cluster.outputs["vpcConfig"]["clusterSecurityGroupId"]
        self.make("aws:ec2/tag:Tag", resourceId=group, key="karpenter.sh/discovery", value=NAME)
        self.make("aws:iam/instanceProfile:InstanceProfile", name="nodes", role="nodes")
        queue = self.make("aws:sqs/queue:Queue", name="warnings")
        pattern = {"source": ["aws.ec2"], "detail-type": ["EC2 Spot Instance Interruption Warning"]}
        self.make("aws:cloudwatch/eventRule:EventRule", name="spot", eventPattern=json.dumps(pattern))
        self.make("aws:cloudwatch/eventTarget:EventTarget", rule="spot", targetId="k", arn=queue.outputs["arn"])

    def _release(self) -> None:
        values = {
            "replicas": 1,
            "serviceAccount": {"name": "karpenter"},
            "settings": {
                "clusterName": NAME,
                "interruptionQueue": "warnings",
                "eksControlPlane": True,
                "isolatedVPC": False,
            },
            "controller": {"env": [{"name": "AWS_REGION", "value": REGION}], "resources": {}},
        }
        file = self.plane.directory / "values.json"
        file.write_text(json.dumps(values))
        chart = ROOT / "sandbox" / "charts" / "karpenter"
        command = [toolchain.path("helm"), "template", "karpenter", chart, "-n", "kube-system", "-f", file]
        rendered = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        apply = [toolchain.path("kubectl"), "--kubeconfig", self.plane.directory / "kubeconfig", "apply", "-f", "-"]
        subprocess.run(apply, check=True, input=rendered, capture_output=True, text=True)

    def offer(self, pool: AcceleratorPool, placement_group: str | None = None) -> AcceleratorPool:
        """Let Karpenter make nodes for a pool: infra's own objects, but for the wait before an idle node goes."""
        for depth, rung in enumerate(pool.rungs):
            meta = {"name": rung.physical_name}
            spec = node_class(rung, {"karpenter.sh/discovery": NAME}, {"accelfleet-stack": "trial"})
            spec |= {"instanceProfile": "nodes"}
            if placement_group:
                spec["placementGroupSelector"] = {"name": placement_group}
            about = {"apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": meta, "spec": spec}
            self.api.call("POST", _CLASSES, about)
            spec = node_pool(rung, weight(pool, depth), EC2)
            spec["disruption"]["consolidateAfter"] = "2s"
            about = {"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": meta, "spec": spec}
            self.api.call("POST", _POOLS, about)
        return pool

    def withdraw(self, pool: AcceleratorPool) -> None:
        for rung in pool.rungs:
            for kind in (_POOLS, _CLASSES):
                self.api.call("DELETE", f"{kind}/{rung.physical_name}", propagationPolicy="Foreground")

    def deploy(self, pool: AcceleratorPool, replicas: int, name: str, count: int = 1, **more: Any) -> None:
        placement = pool.placement(count)
        amount = {placement.resource: str(placement.count), **{k: str(v) for k, v in placement.extra.items()}}
        pod = {
            "nodeSelector": placement.node_selector,
            "tolerations": placement.tolerations,
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "m", "image": "m:1", "resources": {"requests": amount, "limits": amount}}],
            **more,
        }
        labels = {"app": name}
        spec = {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        }
        body = {"metadata": {"name": name}, "spec": spec}
        self.api.call("POST", "/apis/apps/v1/namespaces/default/deployments", body)

    def scale(self, replicas: int, name: str) -> None:
        self.api.patch(f"/apis/apps/v1/namespaces/default/deployments/{name}", {"spec": {"replicas": replicas}})

    def undeploy(self, name: str) -> None:
        self.api.call("DELETE", f"/apis/apps/v1/namespaces/default/deployments/{name}", propagationPolicy="Background")

    def pods(self, name: str) -> list[dict[str, Any]]:
        found = self.api.call("GET", "/api/v1/namespaces/default/pods", labelSelector=f"app={name}")["items"]
        return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]

    def ready(self, name: str) -> int:
        return sum(is_ready(pod) for pod in self.pods(name))

    def nodes(self, pool: str) -> list[dict[str, Any]]:
        return [self.api.call("GET", f"/api/v1/nodes/{name}") for name in self.sim.nodes(pool)]

    def instances(self) -> list[dict[str, Any]]:
        return [record.inputs for record in self.world.records.all("aws", INSTANCE)]

    def log(self) -> str:
        return (self.plane.directory / "logs" / "karpenter.log").read_text()


def hardware(name: str) -> Any:
    return machine(Cloud.AWS, name)


__all__ = ["CLAIMS", "NAME", "REGION", "TEMPLATE", "ZONES", "Trial", "hardware", "serving"]
