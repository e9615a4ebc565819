"""The words of a Logic App's actions: a call with the workflow's own identity, and waiting for what it began.

https://learn.microsoft.com/azure/logic-apps/logic-apps-workflow-definition-language
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi

ARM = "https://management.azure.com"
# An action by its name.
Step = tuple[str, dict[str, Any]]
_POLL_S = 30


def ask(method: str, uri: pulumi.Input[str], who: pulumi.Output[str], *, audience: str = ARM, **more: Any) -> dict[str, Any]:
    """An HTTP call as the identity `who`, by its resource id."""
    token = {"type": "ManagedServiceIdentity", "identity": who, "audience": audience}
    return {"type": "Http", "inputs": {"method": method, "uri": uri, "authentication": token, **more}}


def until(
    key: str, uri: pulumi.Input[str], who: pulumi.Output[str], *, ended: Sequence[str], good: str, longest_s: int
) -> list[Step]:
    """Look at `uri` until its status is one of `ended`, and fail the run where that is not the good one."""
    look = f"{key}_look"
    status = f"body('{look}')?['properties']?['status']"
    over = ", ".join(f"equals({status}, '{word}')" for word in ended)
    wait = {"type": "Wait", "inputs": {"interval": {"count": _POLL_S, "unit": "Second"}}}
    loop = {
        "type": "Until",
        "expression": f"@or({over})",
        # 5000 is the most that there may be.
        "limit": {"count": min(5000, longest_s // _POLL_S + 1), "timeout": f"PT{longest_s}S"},
        "actions": {f"{key}_wait": wait, look: {**ask("GET", uri, who), "runAfter": {f"{key}_wait": ["Succeeded"]}}},
    }
    failed = {"type": "Terminate", "inputs": {"runStatus": "Failed", "runError": {"code": key, "message": f"{key} failed"}}}
    check = {
        "type": "If",
        "expression": f"@not(equals({status}, '{good}'))",
        "actions": {f"{key}_failed": failed},
    }
    return [(f"{key}_until", loop), (f"{key}_check", check)]
