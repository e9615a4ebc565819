"""Facts about flexible models: what holds them back, who asks the grid, and what there is to hold back."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.checks.finding import Finding, Path, fields, listed
from fleet.spec import Autoscaler, ClusterSpec, ModelSpec, Tier
from fleet.spec_terraform import reference


def of_model(path: Path, model: ModelSpec) -> Iterator[Finding]:
    """Faults of one model by itself."""
    tier, carbon, autoscaler = fields(path, "tier", "carbon", "autoscaler")
    if model.tier is Tier.INTERACTIVE:
        if model.carbon is not None:
            message = "somebody waits for an interactive model, which no grid holds back"
            yield Finding(
                carbon, message, allowed="tier: flexible", remedy="add tier: flexible", at_key=True, needs=(carbon, tier)
            )
        return
    if model.carbon is None:
        remedy = "add carbon: {clean: 150, dirty: 400}, with figures of your grid"
        yield Finding(
            tier, "nothing says from where on the grid is dirty", "'flexible'", "carbon:", remedy, needs=(tier, carbon)
        )
    elif model.carbon.clean >= model.carbon.dirty:
        clean, dirty = fields(carbon, "clean", "dirty")
        message = f"clean {model.carbon.clean} is not below dirty {model.carbon.dirty}"
        yield Finding(
            clean, message, str(model.carbon.clean), f"less than {model.carbon.dirty}", "swap them", needs=(clean, dirty)
        )
    if model.autoscaler is not Autoscaler.KEDA:
        message = "only KEDA holds a model back, and its autoscaler is another"
        yield Finding(tier, message, "'flexible'", "autoscaler: keda", "set autoscaler: keda", needs=(tier, autoscaler))
    elif model.replicas.min == model.replicas.max:
        message = f"it always has {model.replicas.min} replicas, and nothing to hold back"
        needs = (tier, *fields(path, "replicas.min", "replicas.max"))
        yield Finding(tier, message, "'flexible'", "replicas.max above min", "raise replicas.max", needs=needs)


def of_cluster(path: Path, cluster: ClusterSpec, secrets: list[str]) -> Iterator[Finding]:
    """Faults of who asks the grid."""
    token = (*path, "grid_token")
    flexible = [name for name, model in cluster.models.items() if model.tier is Tier.FLEXIBLE]
    if cluster.grid_token is None:
        if flexible:
            where = (*path, "models", flexible[0], "tier")
            message = "nobody asks the grid: the cluster has no grid_token"
            remedy = "add grid_token: to the cluster, the name of a secret, and that name under secrets:"
            yield Finding(where, message, "'flexible'", "grid_token:", remedy, needs=(where, token))
    elif cluster.grid_token not in secrets and not reference(cluster.grid_token):
        message = "is no secret of this stack, and a token stands nowhere in clear"
        remedy = f"add '{cluster.grid_token}' under secrets:"
        yield Finding(token, message, repr(cluster.grid_token), listed(secrets), remedy, needs=(token, ("secrets",)))
    elif not flexible:
        message = "no model of this cluster is flexible, and nobody would ask the grid"
        needs = (token, (*path, "models"))
        yield Finding(token, message, repr(cluster.grid_token), "with tier: flexible", "remove it", at_key=True, needs=needs)
