"""Who may speak to add-ons, and whom they may speak to: namespaces that refuse all traffic but what is named here.

Owns NetworkPolicies of whole namespaces. A model's own is its chart's. Pods on their node's network are out of their reach,
and what a node itself sends (probes, `kubectl port-forward`) is let in by every network plugin that the clouds bring.
https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from infra.kubernetes.namespaces import LABELS

Rule = dict[str, Any]


def _tcp(*ports: int | str) -> list[dict[str, Any]]:
    return [{"port": port, "protocol": "TCP"} for port in ports]


# DNS has no one address: it may be a Service, or a cache on the node.
NAMES: Rule = {"ports": [{"port": 53, "protocol": "UDP"}, *_tcp(53)]}
# The API server at the clouds, and at kubeadm's and k3s' clusters; the clouds' own APIs as well. Their addresses change.
APIS: Rule = {"ports": _tcp(443, 6443)}
# Any pod: what asks all others for figures.
PODS: Rule = {"to": [{"namespaceSelector": {}}]}
# Kubelets and node exporters, which are on the nodes' network.
NODES: Rule = {"ports": _tcp(10250, 9100)}
_NEIGHBOURS: list[Rule] = [{"podSelector": {}}]


def webhook(*ports: int) -> Rule:
    """From the API server, whose address is each cloud's own."""
    return {"ports": _tcp(*ports)}


def scraped(namespace: str, *ports: int) -> Rule:
    """From the pods of a namespace."""
    return {"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}], "ports": _tcp(*ports)}


def link_local(endpoints: Sequence[tuple[str, int]]) -> list[Rule]:
    """To where pods get their cloud credentials: (CIDR, port)."""
    return [{"to": [{"ipBlock": {"cidr": cidr}}], "ports": _tcp(port)} for cidr, port in endpoints]


def close(
    name: str,
    namespace: str,
    opts: pulumi.ResourceOptions,
    *,
    ingress: Sequence[Rule] = (),
    egress: Sequence[Rule] = (NAMES, APIS),
) -> list[pulumi.Resource]:
    """Refuse everything in a namespace but its pods among each other, and what is given."""
    allowed = {
        "ingress": [{"from": _NEIGHBOURS}, *ingress],
        "egress": [{"to": _NEIGHBOURS}, *egress],
    }
    return [
        kubernetes.networking.v1.NetworkPolicy(
            f"{name}-{called}",
            metadata={"name": called, "namespace": namespace, "labels": LABELS},
            spec={"podSelector": {}, "policyTypes": ["Ingress", "Egress"], **rules},
            opts=opts,
        )
        for called, rules in (("default-deny", {}), ("addon-traffic", allowed))
    ]
