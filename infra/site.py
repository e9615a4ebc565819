"""One cluster of a stack as every piece of it is told of it: whose it is, in which cloud, under which name and tags."""

from __future__ import annotations

from dataclasses import dataclass

from fleet import naming
from fleet.spec import ClusterSpec, Environment
from infra import versions
from infra.clouds import kit
from infra.clouds.base import Kit
from infra.stack import Stack


@dataclass(frozen=True)
class Site:
    """The cluster `name` of the stack."""

    stack: Stack
    name: str
    spec: ClusterSpec

    @property
    def cloud(self) -> Kit:
        return kit(self.spec.cloud)

    @property
    def physical(self) -> str:
        """Its name in the cloud."""
        return naming.cluster(self.stack.name, self.name)

    @property
    def minor(self) -> str:
        """Kubernetes', such as `1.35`."""
        return self.spec.kubernetes or versions.KUBERNETES

    @property
    def protect(self) -> bool:
        return self.stack.spec.environment is Environment.PROD

    @property
    def tags(self) -> dict[str, str]:
        of = self.stack.spec
        return naming.tags(stack=self.stack.name, environment=of.environment, owner=of.owner, cluster=self.name)
