"""KEDA, for clusters with a model that it scales: who counts waiting requests, from none to as many replicas as it takes.

Owns its installation; what a model is scaled by is `infra.kubernetes.scaling`'s. https://keda.sh/docs/2.21/deploy/
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from infra import versions
from infra.kubernetes import traffic
from infra.kubernetes.namespaces import KEDA, MONITORING, namespace

_INSTALL_S = 600
# The operator's service account, as the chart names it: who asks the clouds' queues.
SERVICE_ACCOUNT = "keda-operator"
# As the chart has them: the webhook and the adapter of custom metrics, whom the API server asks, and all parts' own metrics.
_WEBHOOK, _ADAPTER, _METRICS = 9443, 6443, 8080


class Keda(pulumi.ComponentResource):
    """KEDA in a namespace of its own; it is in no model's way while it starts, and ready once this is done.

    Args:
        reader: what gives its operator rights over queues, before its pods are made; None where no model has one.
        credentials: where pods get their cloud credentials, link-local.
    """

    def __init__(
        self,
        name: str,
        opts: pulumi.ResourceOptions | None = None,
        reader: Any = None,
        credentials: Sequence[tuple[str, int]] = (),
    ) -> None:
        super().__init__("accelfleet:kubernetes:Keda", name, {}, opts)
        place = namespace(name, KEDA, "restricted", self)
        closed = traffic.close(
            name,
            KEDA,
            pulumi.ResourceOptions(parent=self, depends_on=[place]),
            ingress=[traffic.webhook(_WEBHOOK, _ADAPTER), traffic.scraped(MONITORING, _METRICS)],
            # It asks models, exporters, Prometheus and the clouds' queues.
            egress=[traffic.NAMES, traffic.APIS, traffic.PODS, *traffic.link_local(credentials)],
        )
        # Two operators, of which one leads: a node that goes must not stop all scaling.
        values = {"operator": {"replicaCount": 2}, "podDisruptionBudget": {"operator": {"minAvailable": 1}}}
        kubernetes.helm.v3.Release(
            name,
            name="keda",
            namespace=KEDA,
            chart="keda",
            version=versions.KEDA_CHART_VERSION,
            repository_opts={"repo": versions.KEDA_CHART_REPOSITORY},
            values=reader.chart_values.apply(lambda of_reader: {**values, **of_reader}) if reader else values,
            atomic=True,
            # A ScaledObject needs its CRD, and its metrics the adapter (pain 10).
            skip_await=False,
            timeout=_INSTALL_S,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[place, *closed, *([reader] if reader else [])]),
        )
        self.register_outputs({})
