"""The catalogue as a page, docs/accelerators.md: `python -m fleet.catalog.matrix` writes it, `--check` tells a stale one."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

from fleet.catalog.accelerators import ACCELERATORS, Accelerator, Family
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import Machine, machines, offers, regions_with
from fleet.catalog.nodes import DriverOwner, brings_device_plugin, cloud_taints, driver_owner, family_taint
from fleet.catalog.sharing import mig_profiles_on
from fleet.catalog.tpu import TOPOLOGIES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "accelerators.md"
_TITLES = {Cloud.AWS: "EKS", Cloud.GCP: "GKE", Cloud.AZURE: "AKS"}


def text() -> str:
    """The page as it should stand."""
    return "\n\n".join([_HEAD, _accelerators(), *(_cloud(cloud) for cloud in Cloud), _elsewhere(), _TAIL]) + "\n"


_HEAD = """# Accelerators

Made from `fleet/catalog` by `make docs`; a test keeps it so. Memory is the marketing size, prices are list prices over the
regions named. Sources and dates stand with each row of the catalogue."""
_TAIL = """Every machine above is deployed under mocks by the unit tests, and its nodes and pods are judged by a real scheduler
(`tests/sandbox/test_nodes.py`), on demand and as spot. None was run on real hardware."""


def _accelerators() -> str:
    rows = (
        (
            a.name,
            a.family.resource,
            f"{a.memory_gib} GiB",
            f"{a.tdp_w} W" if a.tdp_w else "not published",
            " ".join(a.precisions),
            a.interconnect or "not known",
            " ".join(TOPOLOGIES.get(a.name, ())) or "-",
        )
        for a in ACCELERATORS.values()
    )
    head = ("Accelerator", "Resource", "Memory", "TDP", "Precisions", "Link", "Slices")
    return "## What there is\n\n" + _table(head, rows)


def _cloud(cloud: Cloud) -> str:
    here = [m for m in machines() if m.cloud is cloud and m.accelerator]
    rows = ((m.name, *_hardware(m), *_places(m)) for m in here)
    head = ("Machine", "Accelerators", "vCPU", "Memory", "Quota", "Regions", "USD an hour", "Spot")
    offered = [m for m in here if m.accelerator and not m.accelerator.withdrawn]
    first = {m.accelerator.family: m for m in reversed(offered) if m.accelerator}
    facts = [_family(cloud, family, first[family]) for family in sorted(first)]
    cut = [
        f"- MIG of {name}: {', '.join(f'{profile} x {count}' for profile, count in profiles.items())}"
        for name in ACCELERATORS
        if (profiles := mig_profiles_on(cloud, name)) and any(m.accelerator is ACCELERATORS[name] for m in here)
    ]
    return f"## {_TITLES[cloud]}\n\n" + "\n".join(facts + cut) + "\n\n" + _table(head, rows)


def _family(cloud: Cloud, family: Family, hardware: Machine) -> str:
    """Who puts what on a node of the family."""
    taint = family_taint(family)
    whose = {True: "the cloud", False: "us"}
    tainted = taint in cloud_taints(cloud, spot=False, hardware=hardware)
    driver = {DriverOwner.CLOUD: "the cloud", DriverOwner.NONE: "nobody"}.get(driver_owner(cloud, family), "an operator")
    return (
        f"- `{family.resource}`: taint `{taint.key}={taint.value}:{taint.effect}` by {whose[tainted]}, driver by {driver}, "
        f"device plugin by {whose[brings_device_plugin(cloud, family)]}"
    )


def _hardware(row: Machine) -> tuple[str, ...]:
    assert row.accelerator is not None
    count = f"{row.accelerators} x {row.accelerator.name}"
    return count, str(row.vcpus), f"{row.memory_gib} GiB", row.quota or "not known"


def _places(row: Machine) -> tuple[str, str, str]:
    """Regions and list prices, lowest to highest; what no list has says so."""
    found = [o for o in offers() if o.machine == row]
    regions = ", ".join(regions_with(row)) or "none known"
    return regions, _range(o.on_demand for o in found), _range(o.spot for o in found)


def _range(prices: Iterable[Decimal | None]) -> str:
    known = sorted({price for price in prices if price is not None})
    if not known:
        return "not priced"
    return f"{known[0]:,}" if len(known) == 1 else f"{known[0]:,} to {known[-1]:,}"


def _elsewhere() -> str:
    def why(row: Accelerator) -> str | None:
        return row.instead or (f"withdrawn: {row.withdrawn}" if row.withdrawn else None)

    rows = ((a.name, reason) for a in ACCELERATORS.values() if (reason := why(a)))
    return "## What no pool can have\n\n" + _table(("Accelerator", "Why, and what instead"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [" | ".join(head), " | ".join("---" for _ in head), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)


def main(arguments: list[str]) -> int:
    if "--check" in arguments:
        if PAGE.exists() and PAGE.read_text() == text():
            return 0
        sys.stderr.write(f"{PAGE.name} is stale: run `make docs`\n")
        return 1
    PAGE.write_text(text())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
