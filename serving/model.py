"""One served model: from its description to loaded, warm and answering, or to why not.

Owns the order fetch, load, warm up, and whether the first dimension counts rows. Refuses to be called ready before a run
has gone through, and a model whose outputs have other rows than its inputs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from serving import runtimes, store
from serving.batching import Batcher
from serving.describe import Source
from serving.errors import BadInput, ModelError, Refusal, malformed
from serving.metrics import Meter, Metrics
from serving.runtimes import Runtime
from serving.tensors import Array, TensorSpec, finite, numpy_type

log = logging.getLogger(__name__)


class Model:
    """A model by name.

    Attributes:
        broken: why it cannot answer any more; empty while it can.
    """

    def __init__(self, source: Source, metrics: Metrics) -> None:
        self.source, self.spec = source, source.spec
        self.name, self.version = self.spec.name, self.spec.version
        self.meter: Meter = metrics.meter(self.name, self.spec.batching.max_queue)
        self.broken = ""
        self._runtime: Runtime | None = None
        self._batcher: Batcher | None = None

    @property
    def ready(self) -> bool:
        return self._batcher is not None and not self.broken

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self._loaded.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return self._loaded.outputs

    @property
    def _loaded(self) -> Runtime:
        """The runtime.

        Raises:
            Refusal: 503: not loaded yet, or broken.
        """
        if self.broken:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, f"model '{self.name}' is broken and waits for a restart", 10)
        if self._runtime is None or self._batcher is None:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, f"model '{self.name}' is being loaded", 5)
        return self._runtime

    async def load(self, cache: Path) -> None:
        """Fetch, load and warm up, off the event loop.

        Raises:
            ModelError: it cannot be served.
        """
        started = perf_counter()
        runtime = await asyncio.to_thread(self._load, cache)
        rows = self._counts_rows(runtime)
        self._runtime = runtime
        self._batcher = Batcher(runtime.run, self.spec.batching, self.meter, name=self.name, rows=rows, broken=self._break)
        seconds = perf_counter() - started
        self.meter.loaded(seconds)
        log.info(
            "loaded",
            extra={"model": self.name, "device": runtime.device, "seconds": round(seconds, 3), "batches": rows},
        )

    async def infer(self, inputs: Sequence[Array], timeout_s: float | None) -> list[Array]:
        """Run one request; see `Batcher.infer`.

        Args:
            inputs: in the order of `inputs`, of their datatypes and shapes.

        Raises:
            Refusal: 400 for NaN and infinity unless the model takes them; and what the batcher refuses.
        """
        _ = self._loaded
        assert self._batcher is not None
        if not self.spec.allow_non_finite:
            for spec, one in zip(self.inputs, inputs, strict=True):
                if not finite(one):
                    raise malformed(f"input '{spec.name}' has NaN or infinity; allow_non_finite: true in model.yaml takes them")
        return await self._batcher.infer(inputs, timeout_s)

    async def close(self) -> None:
        """Answer what was let in, then let go of the model."""
        if self._batcher is not None:
            await self._batcher.close()

    def metadata(self) -> dict[str, Any]:
        """As `GET /v2/models/{name}` answers.

        Raises:
            Refusal: 503: not loaded.
        """
        return {
            "name": self.name,
            "versions": [self.version],
            "platform": self.platform,
            "inputs": [one.to_json() for one in self.inputs],
            "outputs": [one.to_json() for one in self.outputs],
        }

    @property
    def platform(self) -> str:
        """What kind of model file it is, as `<runtime>_<format>`."""
        formats = {"onnx": "onnxv1", "openvino": "ir", "torchscript": "torchscript", "xla": "stablehlo", "tvm": "library"}
        return f"{self.spec.runtime}_{formats[self.spec.runtime]}"

    def _load(self, cache: Path) -> Runtime:
        runtimes.check(self.spec)
        file = self.spec.file
        files = [(self.source.resolve(one), one.sha256) for one in (file, *file.beside)]
        runtime = runtimes.load(store.fetch(files, cache), self.spec)
        self._warm_up(runtime)
        return runtime

    def _counts_rows(self, runtime: Runtime) -> bool:
        """Whether requests can be put together: every tensor leaves its first dimension open."""
        return self.spec.batching.max_batch > 1 and all(one.shape[:1] == (-1,) for one in (*runtime.inputs, *runtime.outputs))

    def _warm_up(self, runtime: Runtime) -> None:
        """Run one row and a full batch: kernels are chosen and memory is taken now, not by the first client."""
        named = self.spec.warm_up.shapes
        if unknown := named.keys() - {one.name for one in runtime.inputs}:
            has = ", ".join(one.name for one in runtime.inputs)
            raise ModelError(f"model '{self.name}': warm_up.shapes has {sorted(unknown)}, and the inputs are {has}")
        batches = self._counts_rows(runtime)
        for rows in (1, self.spec.batching.max_batch) if batches else (1,):
            made = [_blank(one, named.get(one.name), rows if batches else None) for one in runtime.inputs]
            try:
                outputs = runtime.run(made)
            except BadInput as wrong:
                shapes = {one.name: list(array.shape) for one, array in zip(runtime.inputs, made, strict=True)}
                if named:
                    raise ModelError(f"model '{self.name}': the warm-up with {shapes} failed: {wrong}") from wrong
                log.warning(
                    "not warmed up: the model leaves sizes open and takes no 1 for them; set warm_up.shapes",
                    extra={"model": self.name, "shapes": shapes, "reason": str(wrong)},
                )
                return
            if batches and any(len(one) != rows for one in outputs):
                raise ModelError(
                    f"model '{self.name}': {rows} rows went in and {[len(one) for one in outputs]} came out, so the first "
                    "dimension counts no rows; set batching.max_batch: 1"
                )

    def _break(self, why: str) -> None:
        log.critical("the model is broken", extra={"model": self.name, "reason": why})
        self.broken = why


def _blank(spec: TensorSpec, shape: list[int] | None, rows: int | None) -> Array:
    """A tensor to warm up with; sizes that nobody knows are 1."""
    sizes = [1 if size < 0 else size for size in spec.shape] if shape is None else list(shape)
    if rows is not None:
        sizes[0] = rows
    if spec.datatype == "BYTES":
        array = np.empty(sizes, dtype=object)
        array.fill("")
        return array
    return np.zeros(sizes, numpy_type(spec.datatype))
