"""A provider whose cloud is nothing: creates at once, forgets at once. What is left of a run is the engine's own cost."""

from __future__ import annotations

from typing import Any

from sandbox.providers.base import Failure, StandIn, serve


class Bench(StandIn):
    """`bench:index:Thing`, any inputs."""

    def __init__(self) -> None:
        self.package, self.version = "bench", "0.0.1"

    def check(
        self, urn: str, type_: str, olds: dict[str, Any], news: dict[str, Any], seed: bytes
    ) -> tuple[dict[str, Any], list[Failure]]:
        return news, []

    def create(self, urn: str, type_: str, inputs: dict[str, Any], preview: bool) -> tuple[str, dict[str, Any]]:
        return urn.rsplit("::", 1)[-1], inputs


if __name__ == "__main__":
    serve(Bench())
