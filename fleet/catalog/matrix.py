"""The catalogue as a page, docs/accelerators.md: `python -m fleet.catalog.matrix` writes it, `--check` tells a stale one.

What a node carries is asked of `fleet.contract` for every machine, so that the page says what pools are made with.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from fleet.catalog.accelerators import ACCELERATORS, Accelerator, Family
from fleet.catalog.clouds import PUBLIC, Cloud, regions
from fleet.catalog.compatibility import kubernetes_minors
from fleet.catalog.drivers import DriverOwner, driver_owner, drivers
from fleet.catalog.machines import PURCHASES, Machine, gke_name, machines, offers, regions_with
from fleet.catalog.sharing import mig_profiles, mig_profiles_on
from fleet.catalog.tpu import TOPOLOGIES, tpu_slice
from fleet.contract import AcceleratorPool
from fleet.generated import keep
from fleet.generated import table as _table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "accelerators.md"
OWN = "…"
_TITLES = {Cloud.AWS: "EKS", Cloud.GCP: "GKE", Cloud.AZURE: "AKS"}
_HEAD = f"""# Accelerators

Made from `fleet/catalog` by `make docs`; a test keeps it so. Memory is the marketing size. Prices are list prices, lowest to
highest of the regions that have the machine, of the dates named; each one's source and date are in
[prices.csv](../fleet/catalog/data/prices.csv). `{OWN}` stands for the pool's, machine's or accelerator's own."""
_TAIL = """Every machine above that a region has is deployed under mocks by the unit tests, and its nodes and pods are judged by
a real scheduler (`tests/sandbox/test_nodes.py`), on demand and as spot. None was run on real hardware."""


def text() -> str:
    """The page as it should stand."""
    return "\n\n".join([_HEAD, _accelerators(), *(_cloud(cloud) for cloud in PUBLIC), _elsewhere(), _TAIL]) + "\n"


def _accelerators() -> str:
    head = ("Accelerator", "Family", "Memory", "TDP", "Precisions", "Interconnect", "MIG profiles")
    rows = ((a.name, a.family, f"{a.memory_gib} GiB", *_hardware(a)) for a in ACCELERATORS.values())
    return "## What there is\n\n" + _table(head, rows)


def _hardware(row: Accelerator) -> tuple[str, str, str, str]:
    watts = f"{row.tdp_w:,} W" if row.tdp_w else "not published"
    return watts, " ".join(row.precisions), row.interconnect or "not known", " ".join(mig_profiles(row.name)) or "-"


def _cloud(cloud: Cloud) -> str:
    listed = [m for m in machines() if m.cloud is cloud and m.accelerator]
    here = [m for m in listed if not _of(m).withdrawn]
    minors = f"Kubernetes of a new cluster: {', '.join(kubernetes_minors(cloud))}."
    parts = [f"## {_TITLES[cloud]}", minors, *_nodes(cloud, here), _machines(listed), _quotas(listed), *_names(cloud, here)]
    return "\n\n".join([*parts, _regions(cloud, here)])


def _nodes(cloud: Cloud, here: list[Machine]) -> tuple[str, str]:
    """Who brings what to a node of each family, and every label and taint with the nodes that carry it."""
    families = [family for family in Family if any(_of(m).family is family for m in here)]
    owners = []
    carriers: dict[tuple[str, str, str], set[tuple[str, str]]] = {}
    for family in families:
        for spot in (False, True):
            pools = [_pool(m, spot=spot) for m in here if _of(m).family is family]
            for mark in _marks(pools):
                carriers.setdefault(mark, set()).add((family, pools[0].purchase))
        driver = {DriverOwner.CLOUD: "the cloud", DriverOwner.NONE: "nobody"}.get(driver_owner(cloud, family), "an operator")
        versions = ", ".join(drivers(cloud, family)) or "-"
        owners.append((family, f"`{family.resource}`", driver, versions, "us" if pools[0].needs_device_plugin else "the cloud"))
    everywhere = set().union(*carriers.values())
    marks = sorted(carriers, key=lambda mark: (mark[0], mark[2] != "us", mark[1]))
    rows = ((kind, f"`{text}`", by, _which(carriers[kind, text, by], everywhere)) for kind, text, by in marks)
    whose = _table(("Family", "Kubernetes resource", "Driver by", "Driver", "Device plugin by"), owners)
    return whose, _table(("A node's", "Key and value", "By", "Nodes"), rows)


def _marks(pools: list[AcceleratorPool]) -> Iterator[tuple[str, str, str]]:
    """Labels and taints of pools of one family and purchase, each with who puts it there."""
    ours = ("us", [pool.node_labels for pool in pools], pools[0].node_taints)
    theirs = ("the cloud", [pool.cloud_labels for pool in pools], pools[0].cloud_taints)
    for by, labels, taints in (ours, theirs):
        for key in labels[0]:
            values = {of[key] for of in labels}
            yield "label", f"{key}={values.pop() if len(values) == 1 else OWN}", by
        yield from (("taint", f"{taint.key}={taint.value}:{taint.effect}", by) for taint in taints)


def _which(on: set[tuple[str, str]], everywhere: set[tuple[str, str]]) -> str:
    """`all`, `all spot`, `all tpu`, or families and purchases one by one."""
    if on == everywhere:
        return "all"
    words = sorted({word for pair in everywhere for word in pair})
    one_by_one = ", ".join(" ".join(pair) for pair in sorted(on))
    return next((f"all {word}" for word in words if on == {pair for pair in everywhere if word in pair}), one_by_one)


def _pool(row: Machine, *, spot: bool) -> AcceleratorPool:
    """A pool of the machine as the contract sees it, wherever it may be."""
    shapes = (tpu_slice(_of(row).name, shape) for shape in TOPOLOGIES.get(_of(row).name, ()))
    shape = next((shape for shape in shapes if shape.machine == row), None)
    return AcceleratorPool(
        name=OWN,
        physical_name=OWN,
        cloud=row.cloud,
        region="",
        zones=(),
        machine=row,
        spot=spot,
        min_nodes=0,
        max_nodes=1,
        start_nodes=0,
        disk_gib=0,
        tpu=shape,
    )


def _machines(here: list[Machine]) -> str:
    head = ("Accelerator", "Machine", "Count", "vCPU", "Memory", "Regions", "USD an hour", "Spot", "Prices of")
    rows = (
        (_of(m).name, m.name, str(m.accelerators * m.part), str(m.vcpus), f"{m.memory_gib:,} GiB", *_prices(m)) for m in here
    )
    return _table(head, rows)


def _prices(row: Machine) -> tuple[str, str, str, str]:
    """Number of regions, list prices and their dates; what no list has says so."""
    if _of(row).withdrawn:
        return "withdrawn", "-", "-", "-"
    found = [o for o in offers() if o.machine == row]
    prices = {"on-demand": [o.on_demand for o in found], "spot": [o.spot for o in found]}
    ranges = {how: _span([f"{usd:,.2f}" for usd in sorted(p for p in of if p is not None)]) for how, of in prices.items()}
    sold = [ranges[how] or "not priced" if how in row.purchases else "not sold" for how in PURCHASES]
    if not set(PURCHASES).intersection(row.purchases):
        sold[0] = f"{row.purchases[0]} alone"
    return str(len(found) or "none known"), sold[0], sold[1], _dates({o.as_of for o in found})


def _dates(as_of: set[str]) -> str:
    """First and last month in which the prices were read."""
    months = _span(sorted(month for text in as_of for month in re.findall(r"\d{4}-\d{2}", text)))
    if any("n.d." in text for text in as_of):
        return f"{months}, partly undated" if months else "undated"
    return months or "-"


def _span(ordered: list[str]) -> str:
    """The first and the last, once where they are the same."""
    return " to ".join(dict.fromkeys([*ordered[:1], *ordered[-1:]]))


def _quotas(here: list[Machine]) -> str:
    """The cloud's quotas, and the accelerators that each one counts."""
    counted: dict[tuple[str, str], dict[str, None]] = {}
    for row in here:
        counted.setdefault((row.quota, row.spot_quota), {})[_of(row).name] = None
    rows = ((*(f"`{q}`" if q else "not known" for q in quotas), ", ".join(names)) for quotas, names in counted.items())
    return _table(("Quota on demand", "Quota of spot", "Counts"), rows)


def _names(cloud: Cloud, here: list[Machine]) -> list[str]:
    """GKE's own names, the MIG profiles that can be cut here with how many of each, and the shapes of TPU slices."""
    rows = list(dict.fromkeys(_of(m) for m in here))
    cut = {a.name: ", ".join(f"{p} x {n}" for p, n in mig_profiles_on(cloud, a.name).items()) for a in rows}
    names = {a.name: dict.fromkeys(f"`{gke_name(m)}`" for m in here if _of(m) is a) for a in rows if cloud is Cloud.GCP}
    named = {name: ", ".join(of) for name, of in names.items()}
    shapes = {a.name: ", ".join(TOPOLOGIES.get(a.name, ())) for a in rows}
    tables = {"In GKE's label": named, "MIG profiles, and how many a GPU holds": cut, "Topologies of a slice": shapes}
    filled = {head: [row for row in of.items() if row[1]] for head, of in tables.items()}
    return [_table(("Accelerator", head), of) for head, of in filled.items() if of]


def _regions(cloud: Cloud, here: list[Machine]) -> str:
    known = regions(cloud)
    found = {f"{m.name} ({_of(m).name})": regions_with(m) for m in here}
    rows = ((name, *("yes" if r in there else "" for r in known)) for name, there in found.items() if there)
    table = _table(("Machine", *known), rows)
    return f"<details><summary>Regions of each machine</summary>\n\n{table}\n\n</details>"


def _elsewhere() -> str:
    """Accelerators that no pool can have: in no cloud, withdrawn, or in no region that a price list names."""
    rows = []
    for row in ACCELERATORS.values():
        carriers = [m for m in machines() if m.accelerator is row]
        unlisted = f"no price list read has {', '.join(m.name for m in carriers)}: add the region that does to prices.csv"
        nowhere = "" if any(map(regions_with, carriers)) else unlisted
        if reason := row.instead or (f"withdrawn: {row.withdrawn}" if row.withdrawn else nowhere):
            rows.append((row.name, reason))
    return "## What no pool can have\n\n" + _table(("Accelerator", "Why, and what instead"), rows)


def _of(row: Machine) -> Accelerator:
    assert row.accelerator is not None
    return row.accelerator


def main(arguments: list[str]) -> int:
    return keep(PAGE, text(), "make docs", arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
