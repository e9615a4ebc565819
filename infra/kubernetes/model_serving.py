"""A model on a pool: `charts/model-serving` installed by Helm, placed by the pool object and by nothing else.

Owns the step from spec to chart values. Needs no CRD at preview (pain 10): KEDA's ScaledObject lives in the chart and
is rendered only where the model asks for KEDA.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from fleet.contract import AcceleratorPool, Placement
from fleet.plan import accelerators_of
from fleet.spec import Autoscaler, ModelSpec
from infra.clouds.base import WorkloadIdentity
from infra.kubernetes.namespaces import MODELS

CHART = Path(__file__).resolve().parents[2] / "charts" / "model-serving"
# A node for the pod (s), then what the chart's start-up probe allows: two minutes, and five seconds a GiB of weights.
_NODE_S = 900
_START_S = 120
_START_S_PER_GIB = 5


@dataclass(frozen=True, kw_only=True)
class ModelServingArgs:
    """One model's release. `placement` comes from its pool; `weights_gib` sets how long a start may take."""

    release: str
    image: str
    placement: Placement
    replicas: tuple[int, int]
    autoscaler: Autoscaler
    weights_gib: int
    weights_url: pulumi.Input[str] | None
    identity: WorkloadIdentity | None

    @classmethod
    def of(
        cls,
        release: str,
        model: ModelSpec,
        pool: AcceleratorPool,
        *,
        weights_url: pulumi.Input[str] | None = None,
        identity: WorkloadIdentity | None = None,
    ) -> ModelServingArgs:
        """The release that serves a model of the stack file on its pool.

        Raises:
            ValueError: the pool's nodes do not have as many accelerators as a replica asks for.
        """
        return cls(
            release=release,
            image=model.image,
            placement=pool.placement(accelerators_of(model, pool.machine, pool.tpu)),
            replicas=(model.replicas.min, model.replicas.max),
            autoscaler=model.autoscaler,
            weights_gib=model.weights.size_gib if model.weights else 0,
            weights_url=weights_url,
            identity=identity,
        )


class ModelServing(pulumi.ComponentResource):
    """A Helm release of the model-serving chart; rolled back as a whole when it does not come up."""

    def __init__(self, name: str, args: ModelServingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:kubernetes:ModelServing", name, {}, opts)
        kubernetes.helm.v3.Release(
            name,
            name=args.release,
            namespace=MODELS,
            chart=str(CHART.relative_to(Path.cwd())) if CHART.is_relative_to(Path.cwd()) else str(CHART),
            values=_values(args),
            atomic=True,
            cleanup_on_fail=True,
            timeout=_NODE_S + _START_S + _START_S_PER_GIB * args.weights_gib,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def _values(args: ModelServingArgs) -> dict[str, Any]:
    low, high = args.replicas
    values: dict[str, Any] = {
        "image": {"name": args.image},
        "accelerator": {"resource": args.placement.resource, "count": args.placement.count},
        "nodeSelector": args.placement.node_selector,
        "tolerations": args.placement.tolerations,
        "replicas": {"min": low, "max": high},
        "autoscaling": {"kind": str(args.autoscaler)},
        "weights": {"sizeGiB": args.weights_gib},
    }
    if args.weights_url is not None:
        values["weights"]["url"] = args.weights_url
    if args.identity is not None:
        values["serviceAccount"] = {"annotations": args.identity.service_account_annotations}
        values["podLabels"] = args.identity.pod_labels
    return values
