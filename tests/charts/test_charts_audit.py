"""kube-score over every render of our charts: what it finds is mended, or stands in audit.yaml with a reason."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any

import pytest

from fleet.workspace import ROOT


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("charts_audit", ROOT / "charts" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    # Its dataclasses look their module up.
    sys.modules[spec.name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture(scope="module")
def rendered(audit: ModuleType) -> dict[str, str]:
    return dict(audit.renders())


@pytest.mark.sandbox
def test_every_finding_is_mended_or_stands_with_a_reason(
    audit: ModuleType, rendered: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "renders", rendered.items)
    assert audit.audit(("kube-score",)) == []


@pytest.mark.sandbox
def test_a_new_finding_and_a_row_for_nothing_are_both_told(
    audit: ModuleType, rendered: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    worse = rendered["model-serving-least"].replace("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false")
    assert worse != rendered["model-serving-least"]
    monkeypatch.setattr(audit, "renders", lambda: [("worse", worse)])
    told = audit.audit(("kube-score",))
    assert any("at Deployment/chat/server: " in line and "Mend the chart" in line for line in told), told
    # The training chart is not among these renders.
    assert any("container-resources at */trainer: no render has it any more" in line for line in told), told


def test_a_row_speaks_of_its_tool_check_and_place_alone(audit: ModuleType) -> None:
    row = audit.Waiver("kube-score", "container-resources", "*/server", "why")

    def finding(**changes: Any) -> Any:
        return audit.Finding(
            **{"tool": "kube-score", "check": "container-resources", "where": "Deployment/chat/server", "says": ""} | changes
        )

    assert row.speaks_of(finding())
    assert not row.speaks_of(finding(tool="checkov"))
    assert not row.speaks_of(finding(check="container-image-tag"))
    assert not row.speaks_of(finding(where="Deployment/chat/sidecar"))


def test_every_row_says_why(audit: ModuleType) -> None:
    rows = audit.waivers()
    assert all(len(row.reason) > 20 for row in rows)
    assert len({(row.tool, row.check, row.where) for row in rows}) == len(rows)
