"""One model's account over some hours: what the report would have it take, and what it took.

Money and carbon are of the same catalogue on both sides, so that the difference is how the model was used and nothing else:
replicas that stood, and watts where DCGM measured them. Estimated are the replicas that the report expects, the fewest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from fleet.actual.prometheus import Key, Prometheus
from fleet.cost import UTILISATION
from fleet.monitoring.figures import Replica
from fleet.monitoring.rules import MEASURED_WATTS

THOUSAND, MILLION = 1000, 1_000_000


@dataclass(frozen=True)
class Figures:
    """USD, watt-hours of accelerators, and gCO2e; None where nobody knows."""

    usd: Decimal | None
    wh: Decimal | None
    gco2: Decimal | None

    def each(self, count: Decimal | None, per: int) -> Figures:
        """For so many of a count; nothing is known of the price of a request that nobody made."""
        if not count:
            return Figures(None, None, None)
        return Figures(*(None if value is None else value * per / count for value in (self.usd, self.wh, self.gco2)))


@dataclass(frozen=True, kw_only=True)
class Account:
    """Of one model.

    Attributes:
        requests, tokens: answered and generated; None where no series says. replica_hours: that stood, of a sample a minute.
        measured: whether the watt-hours are DCGM's; else by TDP.
    """

    replica: Replica
    hours: int
    requests: Decimal | None
    tokens: Decimal | None
    replica_hours: Decimal | None
    estimate: Figures
    actual: Figures
    measured: bool


def accounts(prometheus: Prometheus, replicas: Sequence[Replica], hours: int) -> list[Account]:
    """Of every model of a cluster, over the last hours.

    Raises:
        PrometheusError: see `Prometheus.by_model`.
    """
    asked = {name: prometheus.by_model(query, label) for name, (query, label) in queries(hours).items()}
    return [_account(one, hours, asked) for one in replicas]


def queries(hours: int) -> dict[str, tuple[str, str]]:
    """What is asked of the last hours, and the label that has the model's name. Each gives one value a model."""
    window, minutes = f"[{hours}h]", f"[{hours}h:1m]) / 60"
    return {
        "requests": (_summed(f"increase(vllm:e2e_request_latency_seconds_count{window})"), "model_name"),
        "tokens": (_summed(f"increase(vllm:generation_tokens_total{window})"), "model_name"),
        "replica_hours": (f"sum_over_time(kube_deployment_status_replicas_available{minutes}", "deployment"),
        "wh": (f"sum_over_time(({MEASURED_WATTS}){minutes}", "model_name"),
    }


def _summed(query: str) -> str:
    return f"sum by (namespace, model_name) ({query})"


def _account(one: Replica, hours: int, asked: dict[str, dict[Key, Decimal]]) -> Account:
    found = {name: values.get((one.namespace, one.model)) for name, values in asked.items()}
    replica_hours, measured = found["replica_hours"], found["wh"]
    return Account(
        replica=one,
        hours=hours,
        requests=found["requests"],
        tokens=found["tokens"],
        replica_hours=replica_hours,
        estimate=_figures(one, Decimal(one.least * hours), None),
        actual=_figures(one, replica_hours, measured),
        measured=measured is not None,
    )


def _figures(one: Replica, replica_hours: Decimal | None, measured_wh: Decimal | None) -> Figures:
    wh = measured_wh if measured_wh is not None else _times(one.watts, replica_hours, UTILISATION)
    return Figures(_times(one.usd_hour, replica_hours), wh, _times(wh, one.pue, one.gco2_kwh, Decimal("0.001")))


def _times(*factors: Decimal | None) -> Decimal | None:
    product = Decimal(1)
    for factor in factors:
        if factor is None:
            return None
        product *= factor
    return product
