"""Namespaces of add-ons refuse what is not named: each of them, in both directions."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from fleet.catalog.clouds import Cloud
from fleet.catalog.nodes import credential_endpoints
from infra.kubernetes import traffic
from infra.kubernetes.device_plugins import DevicePlugins
from infra.kubernetes.dra_driver import DraDriver
from infra.kubernetes.infiniband import InfiniBand
from infra.kubernetes.keda import Keda
from infra.kubernetes.monitoring import Monitoring
from tests.accelerator_pools import L4, pool_of
from tests.mocked_engine import Recorder

POLICY, NAMESPACE = "kubernetes:networking.k8s.io/v1:NetworkPolicy", "kubernetes:core/v1:Namespace"
ADDONS = {"keda", "monitoring", "accelerators", "dra-driver-nvidia-gpu", "network-operator"}


def addons(deploy: Any) -> Recorder:
    def program() -> None:
        opts = pulumi.ResourceOptions(providers=[kubernetes.Provider("api", kubeconfig="{}")])
        plugins = DevicePlugins("plugins", [pool_of(L4)], opts=opts)
        DraDriver("dra", [pool_of(L4, dra=True)], opts=opts)
        InfiniBand("ib", [], plugins, opts=opts)
        Keda("keda", opts, None, credential_endpoints(Cloud.AWS))
        Monitoring("monitoring", [], opts)

    recorded: Recorder = deploy(program)
    return recorded


def test_every_addons_namespace_is_closed_both_ways(deploy: Any) -> None:
    made = addons(deploy)
    assert {one["metadata"]["name"] for one in made.of(NAMESPACE).values()} == ADDONS
    found: dict[str, dict[str, Any]] = {}
    for one in made.of(POLICY).values():
        found.setdefault(one["metadata"]["namespace"], {})[one["metadata"]["name"]] = one["spec"]
    assert found.keys() == ADDONS
    for policies in found.values():
        assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
        allowed = policies["addon-traffic"]
        assert allowed["podSelector"] == {}
        # A rule without a peer is from or to everywhere, and then names its ports.
        assert all(rule.get("ports") for rule in allowed["ingress"] if "from" not in rule)
        assert all(rule.get("ports") for rule in allowed["egress"] if "to" not in rule)
        assert traffic.NAMES in allowed["egress"]
        assert traffic.APIS in allowed["egress"]


def test_keda_reaches_what_it_counts_and_its_credentials_and_is_asked_by_the_api_server(deploy: Any) -> None:
    policies = addons(deploy).of(POLICY)
    spec = policies["keda-addon-traffic"]["spec"]
    assert traffic.PODS in spec["egress"]
    (cidr, port), *_ = credential_endpoints(Cloud.AWS)
    link = {"to": [{"ipBlock": {"cidr": cidr}}], "ports": [{"port": port, "protocol": "TCP"}]}
    assert link in spec["egress"]
    assert {"ports": [{"port": 9443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}]} in spec["ingress"]


def test_the_release_comes_after_its_namespace_is_closed(deploy: Any) -> None:
    made = addons(deploy)
    for release in made.all("kubernetes:helm.sh/v3:Release").values():
        assert POLICY in {one.type for one in made.depends_on(release)}, release.name
