"""Where a resource is that a run meant to make, and that no state mentions: what recovery asks (docs/adr/0005).

Owns the question, `Wanted`, and its answer on real clouds. Most ids follow from the inputs (`identities`); AWS gives
out random ones, which its describe calls find by the deterministic Name tag (`aws`). An answer is a place to look, no
more: the provider's own read says whether anything is there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from fleet.lookup import aws, identities

STACK_TAG = "accelfleet-stack"
# Made again without harm: the create takes over what its VPC has anyway, or writes the same bytes to the same key.
TAKES_OVER = frozenset(
    {
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        "aws:s3/bucketObjectv2:BucketObjectv2",
        "gcp:storage/bucketObject:BucketObject",
    }
)
# Where each provider puts what a resource is tagged with, the provider's own default tags included.
TAGS = ("tagsAll", "effectiveLabels", "resourceLabels", "labels", "tags")


@dataclass(frozen=True)
class Wanted:
    """A resource by its type token and inputs, and the inputs of its provider (region, project, subscription)."""

    type: str
    inputs: Mapping[str, Any]
    provider: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stack(self) -> str | None:
        """The stack that its tags would name; None where it carries none."""
        defaults = self.provider.get("defaultTags") or {}
        # A provider's own settings are strings to the engine, objects as JSON.
        plain = json.loads(defaults) if isinstance(defaults, str) else defaults
        return stack_of(self.inputs) or stack_of(plain)


class Finder(Protocol):
    """Ids under which the resource may exist: none, one, or several to decide between; None where it cannot tell."""

    def find(self, stack: str, wanted: Wanted) -> list[str] | None: ...


class RealClouds:
    """The finder for real accounts, with the credentials that the run has.

    Args:
        env: environment of the run, for the AWS command line.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def find(self, stack: str, wanted: Wanted) -> list[str] | None:
        if wanted.type in TAKES_OVER:
            return []
        if (known := identities.identity(wanted.type, wanted.inputs, wanted.provider)) is not None:
            return [known]
        return aws.find(stack, wanted.type, wanted.inputs, str(wanted.provider.get("region") or ""), self._env)


def stack_of(properties: Mapping[str, Any]) -> str | None:
    """The stack that a resource's inputs or outputs name in their tags."""
    for place in TAGS:
        tags = properties.get(place)
        if isinstance(tags, Mapping) and STACK_TAG in tags:
            return str(tags[STACK_TAG])
    return None
