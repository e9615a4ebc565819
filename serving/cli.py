"""`python -m serving`: flags to a running server, and exit codes that say whose turn it is."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from serving import __version__, logs, runtimes, store
from serving.describe import describe
from serving.errors import Missing, ModelError, UsageError
from serving.metrics import Metrics
from serving.repository import Repository
from serving.server import Settings, serve
from serving.spec import Device, Precision
from serving.telemetry import NoTracer, OpenTelemetryTracer

log = logging.getLogger(__name__)

_ABOUT = "Serve models by the Open Inference Protocol v2, over HTTP and gRPC, with dynamic batching."
_MORE = """\
a model is one of
  a file           python -m serving --model mnist.onnx
  a folder         python -m serving --model s3://models/mnist        (reads s3://models/mnist/model.yaml)
  a description    python -m serving --model mnist/model.yaml --model ocr/model.yaml

model.yaml, with everything there is in docs/serving.md
  name: mnist
  runtime: onnx              # onnx, openvino, torchscript, xla, tvm
  precision: fp32            # which of files: fp32, fp16, bf16, int8
  files:
    fp32: {path: mnist.onnx, sha256: 5e4c…}
    int8: {path: mnist.int8.onnx}
  batching: {max_batch: 32, max_queue: 256}

then
  curl localhost:8000/v2/health/ready
  curl localhost:8000/v2/models/mnist
  curl localhost:8000/v2/models/mnist/infer \\
    -d '{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}'
  curl localhost:8000/metrics

exit codes
  0 ended by SIGTERM with every request answered    1 a model cannot be served, or the server failed
  2 wrong flags or a wrong model.yaml               3 something is missing on this machine: a package, a device
"""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m serving", description=_ABOUT, epilog=_MORE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--version", action="version", version=__version__)
    models = made.add_argument_group("models")
    models.add_argument("--model", action="append", required=True, metavar="PLACE", help="what to serve; may be given again")
    models.add_argument("--cache", type=Path, default=store.default_cache(), help="folder for fetched files (%(default)s)")
    models.add_argument("--check", action="store_true", help="read the descriptions, say what is wrong with them, and end")
    only = made.add_argument_group("instead of what a description says, where one model is served")
    only.add_argument("--name", help="what clients call it")
    only.add_argument("--precision", choices=[p.value for p in Precision], help="which of its files")
    only.add_argument("--device", choices=[d.value for d in Device], help="where it runs")
    only.add_argument("--threads", type=int, help="threads of one run on a CPU")
    only.add_argument("--max-batch", type=int, help="rows that run together at most; 1 for no batching")
    only.add_argument("--instances", type=int, help="batches that run at the same time")
    only.add_argument("--max-wait-ms", type=float, help="how long a batch may wait for more, straight after another")
    only.add_argument("--max-queue", type=int, help="requests that wait at most; more get 429")
    only.add_argument("--timeout-ms", type=float, help="longest a request may take")
    server = made.add_argument_group("server")
    server.add_argument("--host", default="0.0.0.0", help="address to listen at (%(default)s)")  # noqa: S104 - a pod's
    server.add_argument("--port", type=int, default=8000, help="HTTP; 0 for any (%(default)s)")
    server.add_argument("--grpc-port", type=int, default=8001, help="gRPC; 0 for any, -1 for none (%(default)s)")
    server.add_argument("--max-body-mib", type=float, default=64, help="largest request (%(default)s)")
    server.add_argument("--drain-delay", type=float, default=0, metavar="S", help="go on for so long after SIGTERM, not ready")
    server.add_argument("--drain", type=float, default=60, metavar="S", help="then finish within (%(default)s s)")
    server.add_argument("--otel", action="store_true", help="traces, to where OTEL_EXPORTER_OTLP_ENDPOINT says")
    server.add_argument("--log-format", choices=["json", "text"], default="json")
    server.add_argument("--log-level", choices=["debug", "info", "warning", "error"], default="info")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; see `--help` for the exit codes."""
    asked = parser().parse_args(arguments)
    logs.set_up(asked.log_format, asked.log_level)
    try:
        _run(asked)
    except UsageError as wrong:
        return _said(wrong, 2)
    except Missing as wrong:
        return _said(wrong, 3)
    except ModelError as wrong:
        return _said(wrong, 1)
    return 0


def _run(asked: argparse.Namespace) -> None:
    overrides = {
        "name": asked.name,
        "precision": asked.precision,
        "device": asked.device,
        "threads": asked.threads,
        "batching.max_batch": asked.max_batch,
        "batching.instances": asked.instances,
        "batching.max_wait_ms": asked.max_wait_ms,
        "batching.max_queue": asked.max_queue,
        "batching.timeout_ms": asked.timeout_ms,
    }
    given = [name for name, value in overrides.items() if value is not None]
    if len(asked.model) > 1 and given:
        raise UsageError(f"{', '.join(given)}: flags for one model, and {len(asked.model)} are served; use their model.yaml")
    if asked.max_body_mib <= 0 or asked.drain < 0 or asked.drain_delay < 0:
        raise UsageError("--max-body-mib is above 0; --drain and --drain-delay are not below 0")
    sources = [describe(place, overrides) for place in asked.model]
    for source in sources:
        runtimes.check(source.spec)
    settings = Settings(
        host=asked.host,
        port=asked.port,
        grpc_port=None if asked.grpc_port < 0 else asked.grpc_port,
        cache=asked.cache,
        most_bytes=int(asked.max_body_mib * (1 << 20)),
        drain_delay_s=asked.drain_delay,
        drain_s=asked.drain,
    )
    repository = Repository(sources, Metrics(), asked.cache)
    if asked.check:
        log.info("sound", extra={"models": list(repository.models)})
        return
    tracer = OpenTelemetryTracer() if asked.otel else NoTracer()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(repository, settings, tracer))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where it is installed; it has no wheels for some machines."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return None
    return uvloop.new_event_loop


def _said(wrong: ModelError, code: int) -> int:
    for line in str(wrong).splitlines():
        log.error(line)
    return code


if __name__ == "__main__":
    sys.exit(main())
