"""Metrics for Prometheus: vLLM's names where the meaning is vLLM's, so that one dashboard and one KEDA trigger fit both.

Owns every metric's name. Refuses vLLM's names for what only resembles theirs: those begin with `serving_`.
https://docs.vllm.ai/en/latest/usage/metrics.html
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

# A tiny model answers in a tenth of a millisecond, a large one in seconds.
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)


class _Histogram:
    """One model's histogram, added to by the event loop alone: a quarter of what prometheus_client's costs, which locks."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        self.counts[bisect_left(self.bounds, value)] += times
        self.sum += value * times

    def buckets(self) -> list[tuple[str, float]]:
        """As Prometheus writes them: each with all below it."""
        return list(zip((*map(str, self.bounds), "+Inf"), accumulate(self.counts), strict=True))


class Metrics:
    """All metrics of one server; several servers in one process have their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        label = ("model_name",)
        self._loaded = Gauge("serving_model_load_seconds", "Fetching, loading and warming up.", label, registry=self.registry)
        self._limit = Gauge("serving_queue_limit", "Requests that may wait.", label, registry=self.registry)
        self._requests = Counter(
            "serving_requests", "Requests by how they ended.", (*label, "protocol", "code"), registry=self.registry
        )
        self._meters: dict[str, Meter] = {}
        self.registry.register(_Meters(self._meters))

    def meter(self, model: str, max_queue: int) -> Meter:
        """The metrics of one model."""
        self._limit.labels(model).set(max_queue)
        made = self._meters[model] = Meter(self._requests, self._loaded.labels(model), model)
        return made

    def text(self) -> bytes:
        """The page that Prometheus reads."""
        return generate_latest(self.registry)

    def refused(self, protocol: str, code: int) -> None:
        """Count a request for no model that is here; whatever a client calls it makes no label of its own."""
        self._requests.labels("", protocol, str(int(code))).inc()


class Meter:
    """One model's metrics.

    Attributes:
        waiting: how many requests wait; asked when Prometheus asks, so that nothing is counted twice. `running` likewise.
    """

    def __init__(self, requests: Counter, loaded: Gauge, model: str) -> None:
        self.latency, self.queued, self.inference = _Histogram(_SECONDS), _Histogram(_SECONDS), _Histogram(_SECONDS)
        self.rows = _Histogram(_ROWS)
        self.waiting: Callable[[], int] = int
        self.running: Callable[[], int] = int
        self.loaded: Callable[[float], None] = loaded.set
        self._requests, self._model = requests, model
        self._codes: dict[tuple[str, int], Counter] = {}

    def ran(self, waited: Sequence[float], rows: int, seconds: float) -> None:
        """A batch: how long its requests had waited, its rows, how long it ran."""
        self.rows.observe(rows)
        self.inference.observe(seconds, len(waited))
        for one in waited:
            self.queued.observe(one)

    def answered(self, protocol: str, code: int, seconds: float) -> None:
        """A request's end: HTTP status or gRPC code."""
        counter = self._codes.get((protocol, code))
        if counter is None:
            # Looked up once: that costs more than the addition.
            counter = self._codes[protocol, code] = self._requests.labels(self._model, protocol, str(int(code)))
        counter.inc()
        self.latency.observe(seconds)


class _Meters(Collector):
    """What the models' meters hold, when Prometheus asks."""

    def __init__(self, of: dict[str, Meter]) -> None:
        self._of = of

    def collect(self) -> Iterable[Metric]:
        gauges: dict[str, tuple[str, Callable[[Meter], int]]] = {
            "vllm:num_requests_waiting": ("Requests that wait for their turn.", lambda meter: meter.waiting()),
            "vllm:num_requests_running": ("Requests that the model runs.", lambda meter: meter.running()),
        }
        for name, (said, value) in gauges.items():
            gauge = GaugeMetricFamily(name, said, labels=("model_name",))
            for model, meter in self._of.items():
                gauge.add_metric((model,), value(meter))
            yield gauge
        histograms: dict[str, tuple[str, Callable[[Meter], _Histogram]]] = {
            "vllm:e2e_request_latency_seconds": ("From a request's arrival to its answer.", lambda meter: meter.latency),
            "vllm:request_queue_time_seconds": ("How long requests waited for their turn.", lambda meter: meter.queued),
            "vllm:request_inference_time_seconds": ("How long the model ran for requests.", lambda meter: meter.inference),
            "serving_batch_rows": ("Rows that ran together.", lambda meter: meter.rows),
        }
        for name, (said, of) in histograms.items():
            family = HistogramMetricFamily(name, said, labels=("model_name",))
            for model, meter in self._of.items():
                family.add_metric((model,), of(meter).buckets(), of(meter).sum)
            yield family
