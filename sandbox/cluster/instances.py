"""Machines that a provisioner started, and the kubelet on each: a node registers as its user data says, and goes with it.

Owns Node objects of such machines; machines themselves are EC2's (`sandbox.cloud.aws_api.fleet`). Nothing here decides how many
there are: Karpenter does.
"""

from __future__ import annotations

import base64
import contextlib
import email
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import yaml

from fleet.catalog.accelerators import Family
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import machine
from fleet.catalog.nodes import Taint, cloud_labels
from sandbox.cloud.errors import CloudError
from sandbox.cluster import draining
from sandbox.cluster.api import Api, ApiError, Object
from sandbox.cluster.pool import POOL, NodePool

# Tags by which Karpenter says whose machine it is, and which of its NodePools it is of.
CLUSTER_TAG, POOL_TAG = "eks:eks-cluster-name", "karpenter.sh/nodepool"
_NODE_CONFIG = "application/node.eks.aws"
# From a machine's start until its kubelet registers; minutes in life.
_BOOT_S = 1.0
# How often a kubelet asks to be registered, a boot's time apart, before it is given up.
_TRIES = 60


@dataclass(frozen=True)
class Instance:
    """One machine, as its launch template and the fleet request made it.

    Attributes:
        pool_name: the NodePool that it was made for. labels, taints: what its kubelet registers with.
        image: name of its image, which says what driver it has. efa: fabric adapters of its template.
    """

    id: str
    region: str
    zone: str
    pool_name: str
    machine_name: str
    spot: bool
    labels: dict[str, str]
    taints: tuple[Taint, ...]
    image: str
    disk_gib: int
    efa: int

    @classmethod
    def of(cls, id_: str, region: str, inputs: dict[str, Any], image: str) -> Instance:
        """The machine of a record's inputs."""
        data = inputs.get("launchTemplateData") or {}
        kubelet = _kubelet(data.get("UserData") or "")
        volumes = [(m.get("Ebs") or {}).get("VolumeSize") for m in data.get("BlockDeviceMappings") or []]
        interfaces = data.get("NetworkInterfaces") or []
        return cls(
            id=id_,
            region=region,
            zone=inputs["availabilityZone"],
            pool_name=(inputs.get("tags") or {}).get(POOL_TAG, ""),
            machine_name=inputs["instanceType"],
            spot=bool(inputs.get("spot")),
            labels=_labels(kubelet.get("flags") or []),
            taints=tuple(
                Taint(t["key"], t.get("value") or "", t["effect"])
                for t in (kubelet.get("config") or {}).get("registerWithTaints") or []
            ),
            image=image,
            disk_gib=int(next((size for size in volumes if size), 20)),
            efa=sum(str(i.get("InterfaceType") or "").startswith("efa") for i in interfaces),
        )

    @property
    def node_name(self) -> str:
        return f"{self.id}.{self.region}.compute.internal"

    def pool(self) -> NodePool:
        """What the simulation has to know of its hardware, as a pool of one."""
        row = machine(Cloud.AWS, self.machine_name)
        family = row.accelerator.family if row and row.accelerator else None
        driver = {Family.NVIDIA: "-nvidia-", Family.NEURON: "-neuron-"}.get(family) if family else ""
        return NodePool(
            name=self.pool_name,
            cloud=Cloud.AWS,
            region=self.region,
            zones=(self.zone,),
            machine_name=self.machine_name,
            hardware=row,
            spot=self.spot,
            labels=self.labels,
            taints=self.taints,
            min_nodes=0,
            max_nodes=0,
            size=1,
            topology=None,
            autoscaled=False,
            has_cpu_pool=True,
            plugin_builtin=False,
            driver_ok=driver is not None and driver in self.image,
            disk_gib=self.disk_gib,
            efa=self.efa,
        )

    def node(self) -> Object:
        """The Node object that its kubelet registers, with the labels that EKS's cloud provider adds."""
        resources = self.pool().capacity()
        given = cloud_labels(
            Cloud.AWS,
            pool=self.pool_name,
            machine=self.machine_name,
            spot=self.spot,
            hardware=None,
            topology=None,
            provisioned=self.labels.get("karpenter.sh/capacity-type", ""),
        )
        place = {"topology.kubernetes.io/region": self.region, "topology.kubernetes.io/zone": self.zone}
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": self.node_name,
                "labels": {**given, **self.labels, **place, "kubernetes.io/hostname": self.node_name},
                "annotations": {"kwok.x-k8s.io/node": "fake", POOL: self.pool_name},
            },
            "spec": {
                "providerID": f"aws:///{self.zone}/{self.id}",
                "taints": [{"key": t.key, "value": t.value, "effect": t.effect} for t in self.taints],
            },
            "status": {
                "capacity": resources,
                "allocatable": resources,
                "nodeInfo": {"operatingSystem": "linux", "architecture": "amd64", "kubeletVersion": "v1.37.2"},
            },
        }


def _kubelet(user_data: str) -> dict[str, Any]:
    """The kubelet's part of nodeadm's configuration. https://awslabs.github.io/amazon-eks-ami/nodeadm/"""
    made: dict[str, Any] = {}
    for part in email.message_from_bytes(base64.b64decode(user_data)).walk():
        if part.get_content_type() == _NODE_CONFIG:
            payload = part.get_payload(decode=True)
            config = yaml.safe_load(payload) if isinstance(payload, bytes) else {}
            kubelet = (config.get("spec") or {}).get("kubelet") or {}
            # A later part adds to what an earlier one says of the kubelet.
            made |= {**kubelet, "config": {**(made.get("config") or {}), **(kubelet.get("config") or {})}}
    return made


def _labels(flags: list[str]) -> dict[str, str]:
    pairs: Iterator[str] = (
        pair
        for flag in flags
        if flag.startswith("--node-labels=")
        for pair in flag.partition("=")[2].strip('"').split(",")
        if pair
    )
    return {key: value for key, _, value in (pair.partition("=") for pair in pairs)}


class Instances:
    """The machines of one cluster that no group of nodes stands behind."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._lock = threading.Lock()
        self._standing: dict[str, Instance] = {}
        self._refused: dict[str, str] = {}

    def launch(self, instance: Instance) -> None:
        """A machine starts; its node registers a moment later."""
        self.adopt(instance)
        with self._lock:
            self._refused.pop(instance.pool_name, None)
        boot = threading.Timer(_BOOT_S, self._register, [instance])
        boot.daemon = True
        boot.start()

    def adopt(self, instance: Instance) -> None:
        """A machine that runs already."""
        with self._lock:
            self._standing[instance.id] = instance

    def end(self, id_: str) -> None:
        """A machine is gone: so are its pods, and the cloud's controller deletes its node."""
        with self._lock:
            instance = self._standing.pop(id_, None)
        if instance is not None:
            draining.delete(self._api, instance.node_name)

    def refuse(self, pool: str, problem: CloudError) -> CloudError:
        """Note why a pool gets no machine, until it gets one."""
        with self._lock:
            self._refused[pool] = str(problem)
        return problem

    def refused(self, pool: str) -> str:
        with self._lock:
            return self._refused.get(pool, "")

    def of(self, pool: str) -> list[Instance]:
        """A pool's machines, the oldest first."""
        with self._lock:
            return [instance for instance in self._standing.values() if instance.pool_name == pool]

    def count(self, pool: str) -> int:
        return len(self.of(pool))

    def pools(self) -> dict[str, NodePool]:
        """The pools that have machines, by name."""
        with self._lock:
            standing = list(self._standing.values())
        return {i.pool_name: i.pool().at(sum(other.pool_name == i.pool_name for other in standing)) for i in standing}

    def names(self) -> list[str]:
        """Names of the NodePools that the cluster has, with machines or without."""
        try:
            found = self._api.call("GET", "/apis/karpenter.sh/v1/nodepools").get("items", [])
        except ApiError:  # no Karpenter there
            return []
        return [str(item["metadata"]["name"]) for item in found]

    def _register(self, instance: Instance) -> None:
        """As a kubelet does, try until the node stands: an API server may be busy, or cut the line."""
        node = instance.node()
        for _ in range(_TRIES):
            with self._lock:
                if instance.id not in self._standing:
                    return
            # The cluster may be going, too: then nobody waits for the node.
            with contextlib.suppress(ApiError):
                self._create(node)
                self._api.patch(f"/api/v1/nodes/{instance.node_name}/status", {"status": node["status"]})
                return
            time.sleep(_BOOT_S)

    def _create(self, node: Object) -> None:
        try:
            self._api.call("POST", "/api/v1/nodes", node)
        except ApiError as error:
            if error.status != HTTPStatus.CONFLICT:  # an earlier try came through, its answer did not
                raise
