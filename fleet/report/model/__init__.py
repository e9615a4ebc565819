"""The report's shape: plain data that every renderer reads and `--format json` prints. Computes sums, knows no words.

Money is USD a month at list price, carbon kgCO2e a month, both as decimals (strings in JSON). What is not known is None
and counts in no sum, so that every sum stands beside how much of it is known.
"""

from __future__ import annotations

from typing import Literal

from fleet.report.model.changes import Change, Disruption, FieldChange, Rehearsal, Stuck
from fleet.report.model.money import ZERO, Band, Estimate, Line, difference, total
from fleet.report.model.report import Node, Report, StackReport
from fleet.report.model.verdicts import Finding, Policy, QuotaChange, Readiness

SCHEMA_VERSION: Literal[1] = 1

__all__ = [
    "SCHEMA_VERSION",
    "ZERO",
    "Band",
    "Change",
    "Disruption",
    "Estimate",
    "FieldChange",
    "Finding",
    "Line",
    "Node",
    "Policy",
    "QuotaChange",
    "Readiness",
    "Rehearsal",
    "Report",
    "StackReport",
    "Stuck",
    "difference",
    "total",
]
