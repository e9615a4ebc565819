"""The models of one server, by name.

Owns loading them side by side and whether the server is live and ready. Refuses a name or version it does not have.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

from serving.describe import Source
from serving.errors import Refusal, UsageError
from serving.metrics import Metrics
from serving.model import Model


class Repository:
    """Every model of this process.

    Attributes:
        draining: set once the process was told to end: not ready any more, though it answers.
    """

    def __init__(self, sources: Sequence[Source], metrics: Metrics, cache: Path) -> None:
        names = [source.spec.name for source in sources]
        if twice := {name for name in names if names.count(name) > 1}:
            raise UsageError(f"two models are called {', '.join(sorted(twice))}: rename one in its model.yaml")
        self.metrics = metrics
        self.models = {source.spec.name: Model(source, metrics) for source in sources}
        self.draining = False
        self._cache = cache

    @property
    def live(self) -> bool:
        """Whether the process can do its work; False only where a restart alone can mend it."""
        return not any(model.broken for model in self.models.values())

    @property
    def ready(self) -> bool:
        """Whether every model answers, and the process is not on its way out."""
        return not self.draining and all(model.ready for model in self.models.values())

    def find(self, name: str, version: str = "") -> Model:
        """A model.

        Raises:
            Refusal: 404.
        """
        model = self.models.get(name)
        if model is None:
            raise Refusal(HTTPStatus.NOT_FOUND, f"there is no model {name!r:.120}, only {', '.join(self.models)}")
        if version not in ("", model.version):
            raise Refusal(HTTPStatus.NOT_FOUND, f"model '{name}' has version {model.version}, not {version!r:.40}")
        return model

    async def load(self) -> None:
        """Load all models.

        Raises:
            ModelError: one cannot be served.
        """
        async with asyncio.TaskGroup() as group:
            for model in self.models.values():
                group.create_task(model.load(self._cache))

    async def close(self) -> None:
        """Answer what was let in."""
        await asyncio.gather(*(model.close() for model in self.models.values()))
