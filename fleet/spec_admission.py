"""What a stack file says about admission: whether the API server refuses pods that break the accelerator rules.

The rules themselves, and what each asks for, are `fleet.admission.rules`'.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from fleet.spec_base import Spec


class AdmissionMode(StrEnum):
    """What becomes of a pod that breaks a rule: refused; let in with a warning and an audit entry; or nobody looks."""

    ENFORCE = "enforce"
    AUDIT = "audit"
    NONE = "none"


class AdmissionRule(StrEnum):
    """The rules' ids, as messages begin with them."""

    OFFERED = "offered"
    COUNT = "count"
    MEMORY = "memory"
    PLACE = "place"
    TPU_SLICE = "tpu-slice"
    TOLERATES = "tolerates"
    BLANKET = "blanket"
    SQUATS = "squats"
    UNASKED = "unasked"
    HOST = "host"
    IMAGE = "image"
    SHARE = "share"
    JOB_DEADLINE = "job-deadline"
    JOB_RETRY = "job-retry"


class AdmissionSpec(Spec):
    """About the ValidatingAdmissionPolicies of a cluster with accelerator pools."""

    mode: AdmissionMode | None = Field(
        default=None,
        description="enforce, audit (warns the client) or none. Default: enforce; on cloud: existing, audit.",
    )
    without: list[AdmissionRule] = Field(default_factory=list, description="Rules that nobody looks at, by id.")
