"""What a stack file says about the policy pack: what is enforced, limits that rules go by, and waivers that end.

The rules themselves are `policies/`'s; that their ids exist is checked by `fleet.checks.policies`.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StrictInt
from pydantic_core import PydanticCustomError

from fleet.spec_base import Spec


def _a_day(value: Any) -> Any:
    # A number would be seconds since 1970, a time a day of some zone.
    if isinstance(value, int | float | datetime):
        raise PydanticCustomError("date_type", "is no date")
    return value


Day = Annotated[date, BeforeValidator(_a_day)]


class Enforcement(StrEnum):
    """What a violation does: refuses the change, is said, or nothing."""

    MANDATORY = "mandatory"
    ADVISORY = "advisory"
    DISABLED = "disabled"


class LimitsSpec(Spec):
    """Figures that rules go by."""

    on_demand_usd_hour: float = Field(
        default=20, ge=0, description="List price of an on-demand node from which on its pool must say owner and end."
    )
    usd_hour: float | None = Field(
        default=None, ge=0, description="List price of all accelerator pools at their bounds, at most."
    )
    carbon_kg_month: float | None = Field(
        default=None, ge=0, description="kgCO2e a month of all accelerator pools at their bounds, at most."
    )
    accelerators: dict[str, StrictInt] = Field(
        default_factory=dict, description="Granted quota in accelerators, by catalogue name; what is not named is not checked."
    )
    registries: list[str] = Field(
        default_factory=list, description="Beginnings of image names that are allowed; default: all are."
    )
    metadata_hops: StrictInt = Field(
        default=1, ge=1, le=2, description="Network hops to an EC2 instance's metadata; 2 lets pods have the node's rights."
    )
    host_namespaces: list[str] = Field(
        default=["accelerators", "kube-system", "dra-driver-nvidia-gpu", "network-operator", "monitoring"],
        description="Namespaces whose pods may touch their nodes: device plugins, node exporters; admission lets them alone.",
    )


class WaiverSpec(Spec):
    """A rule that some resources need not keep for a while."""

    rule: str = Field(description="Rule's id, as `fleet policies` lists them.")
    resource: str = Field(pattern=r"^\S+$", description="The resource's name in Pulumi, or a glob.")
    reason: str = Field(pattern=r"^.{10,300}$", description="Why, for whoever reads the report: 10 to 300 characters.")
    expires: Day = Field(description="Last day; after it the violation counts again.")


class PoliciesSpec(Spec):
    """About the policy pack."""

    enforce: dict[str, Enforcement] = Field(
        default_factory=dict,
        description="By rule id or severity: mandatory, advisory, disabled. Default: critical is mandatory, in prod high, too.",
    )
    limits: LimitsSpec = Field(default=LimitsSpec())
    waivers: list[WaiverSpec] = Field(default_factory=list)
    remediate: list[str] = Field(
        default_factory=list, description="Rules whose remedy the pack applies by itself, to fields that nobody set."
    )
