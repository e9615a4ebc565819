"""What every part of a stack file's shape is made of: the model that refuses unknown keys, names, ranges and times."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic_core import PydanticCustomError

# AKS allows 12 lower-case letters and digits in an agent pool's name; hyphens are dropped there.
# Hyphens stand alone and inside: Kubernetes takes none at a name's end, Azure's Key Vault no two in a row.
_WORDS = r"^[a-z](-?[a-z0-9])*$"
PoolName = Annotated[str, StringConstraints(pattern=_WORDS, max_length=12)]
Name = Annotated[str, StringConstraints(pattern=_WORDS, max_length=30)]
# A node's name, a DNS subdomain, and a taint as `kubectl taint` writes it.
HostName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$", max_length=253)
]
TaintText = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*(=[A-Za-z0-9._-]*)?:(NoSchedule|PreferNoSchedule|NoExecute)$")
]
# What a GCP label holds, the narrowest of the three clouds' tags: a name goes there as it is, or not at all.
Owner = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]


def _not_a_number(value: Any) -> Any:
    # IPv4Network takes 5 for 0.0.0.5/32.
    if isinstance(value, int | bytes):
        raise PydanticCustomError("ip_v4_network", "is no IPv4 range")
    return value


def _a_time(value: Any) -> Any:
    # A number would be seconds since 1970.
    if isinstance(value, int | float):
        raise PydanticCustomError("datetime", "is no time")
    return value


Instant = Annotated[AwareDatetime, BeforeValidator(_a_time)]
Cidr = Annotated[IPv4Network, BeforeValidator(_not_a_number)]


class Spec(BaseModel):
    """Refuses unknown keys; frozen. Built when first asked: what stands in another is else built once alone and once there."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
