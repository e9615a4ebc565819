"""Policy documents of AWS, which stand as JSON in a property."""

from __future__ import annotations

import json
from typing import Any

from policies.accel_policies.values import View


def statements(text: Any) -> list[View]:
    """The statements of a policy document that is JSON."""
    document = json.loads(text) if isinstance(text, str) else dict(text.data) if isinstance(text, View) else {}
    listed = document.get("Statement", [])
    return [View(one, f"Statement[{i}]") for i, one in enumerate(listed if isinstance(listed, list) else [listed])]


def listed(value: Any) -> list[str]:
    return [str(value)] if isinstance(value, str) else [str(one) for one in value or ()]
