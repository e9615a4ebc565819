"""Traces by OpenTelemetry, behind a flag; nothing of it is imported, and nothing done, without one.

Owns the span of a request and reading the caller's `traceparent`. Where traces go is for the SDK's own variables to say
(`OTEL_EXPORTER_OTLP_ENDPOINT`, …). Metrics stay Prometheus'. https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

from serving.errors import Missing


class Span(Protocol):
    def ended(self, status: int) -> None:
        """Say how the request ended."""


class Tracer(Protocol):
    def span(self, what: str, model: str, headers: Sequence[tuple[bytes, bytes]]) -> AbstractContextManager[Span]:
        """A span around one request, below the caller's."""


class _Nothing:
    def ended(self, status: int) -> None:
        pass


class NoTracer:
    """Without the flag."""

    _span: AbstractContextManager[Span] = nullcontext(_Nothing())

    def span(self, what: str, model: str, headers: Sequence[tuple[bytes, bytes]]) -> AbstractContextManager[Span]:
        return self._span


class OpenTelemetryTracer:
    """With it.

    Raises:
        Missing: the SDK is not installed.
    """

    def __init__(self) -> None:
        try:
            from opentelemetry import propagate, trace  # noqa: PLC0415 - an extra
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        except ImportError as wrong:
            raise Missing(f"--otel: OpenTelemetry is not installed ({wrong}); pip install './serving[otel]'") from None
        self._provider = TracerProvider()
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("serving")
        self._extract, self._kind = propagate.extract, trace.SpanKind.SERVER

    @contextmanager
    def span(self, what: str, model: str, headers: Sequence[tuple[bytes, bytes]]) -> Iterator[Span]:
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
        with self._tracer.start_as_current_span(
            what, self._extract(carrier), self._kind, {"gen_ai.request.model": model}
        ) as span:
            yield _Recorded(span)


class _Recorded:
    def __init__(self, span: Any) -> None:
        self._span = span

    def ended(self, status: int) -> None:
        self._span.set_attribute("http.response.status_code", int(status))
