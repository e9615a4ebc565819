"""Every table of the notes, by name, from the catalogue and the code's own arithmetic. No figure is written here by hand.

What the catalogue does not know is said so, never left out: a price that no list has is "not known".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import get_args

from fleet.catalog.accelerators import ACCELERATORS, Accelerator, Family, Precision
from fleet.catalog.clouds import PUBLIC, Cloud, regions
from fleet.catalog.compatibility import kubernetes_minors
from fleet.catalog.drivers import DriverOwner, driver_owner
from fleet.catalog.fabric import node_fabric
from fleet.catalog.machines import Machine, Offer, machine, machines, offer, offers
from fleet.catalog.nodes import brings_device_plugin, spot_grace_s
from fleet.catalog.services import service_price
from fleet.catalog.usage_prices import managed_prices
from fleet.commitments import Billed, Commitment, CommitmentSpec, apply
from fleet.cost import HOURS_A_MONTH, tdp_of
from fleet.fit import ranked
from fleet.generated import table
from fleet.memory import (
    Model,
    Training,
    activations_gib,
    known,
    kv_cache_gib,
    states_gib,
    weights_gib,
)
from fleet.memory import Precision as Kept
from fleet.spec import Purchase

UNKNOWN = "not known"
_TITLES = {Cloud.AWS: "AWS", Cloud.GCP: "GCP", Cloud.AZURE: "Azure"}
# Worked examples: a small machine with a spot price, and one with eight GPUs, in the region that lists most.
_SMALL, _LARGE, _REGION = "g6.xlarge", "p4d.24xlarge", "us-east-1"
# Of a contract that nobody here has: to show the arithmetic, not a price.
_DISCOUNT = 30.0


def _usd(amount: Decimal | None, places: int = 2) -> str:
    return f"{amount:,.{places}f}" if amount is not None else UNKNOWN


def _gib(amount: float) -> str:
    return f"{amount:,.1f}"


def _offered(row: Accelerator, cloud: Cloud | None = None) -> list[Offer]:
    """Price rows of machines that carry whole ones of it; none of one that its cloud no longer sells."""
    if row.withdrawn:
        return []
    return [o for o in offers() if o.machine.accelerator is row and o.machine.part == 1 and cloud in (None, o.machine.cloud)]


def _least(prices: Iterable[tuple[Decimal | None, Offer]]) -> tuple[Decimal, Offer] | None:
    """The lowest price an accelerator and hour, with its row."""
    known_ = [(usd / o.machine.accelerators, o) for usd, o in prices if usd is not None]
    return min(known_, key=lambda one: one[0]) if known_ else None


def _worked(name: str) -> tuple[Machine, Offer]:
    row = machine(Cloud.AWS, name)
    price = offer(row, _REGION) if row else None
    assert row is not None, f"the notes work with {name}"
    assert price is not None, f"the notes work with the price of {name} in {_REGION}"
    return row, price


def hardware() -> str:
    """Accelerators side by side, with what an hour of one costs at the least."""
    rows = []
    for row in ACCELERATORS.values():
        best = _least((o.on_demand, o) for o in _offered(row))
        rows.append(
            (
                row.name,
                f"{row.memory_gib} GiB",
                f"{row.tdp_w:,} W" if row.tdp_w else "not published",
                row.interconnect or UNKNOWN,
                _usd(best[0]) if best else ("-" if row.instead or row.withdrawn else UNKNOWN),
                _usd(best[0] / row.memory_gib, 4) if best else "-",
                f"{_TITLES[best[1].machine.cloud]} {best[1].region}, {best[1].machine.name}" if best else "-",
                best[1].as_of if best else "-",
            )
        )
    head = ("Accelerator", "Memory", "TDP", "Joined by", "USD an hour of one", "USD a GiB and hour", "Where", "Price of")
    return table(head, rows)


def precisions() -> str:
    """Which numbers the hardware accelerates."""
    words = get_args(Precision)
    rows = ((row.name, *("yes" if word in row.precisions else "" for word in words)) for row in ACCELERATORS.values())
    return table(("Accelerator", *words), rows)


def fabric() -> str:
    """Machines whose nodes are joined beside their ordinary network."""
    rows = []
    for row in machines():
        found = node_fabric(row)
        if found and row.accelerator and row.accelerators > 1:
            cards = f"{found.interfaces} x {found.protocol}"
            rows.append((_TITLES[row.cloud], row.name, f"{row.accelerators} x {row.accelerator.name}", cards))
    return table(("Cloud", "Machine", "Accelerators", "Adapters"), rows)


def spot() -> str:
    """On-demand against spot, an accelerator and hour, by cloud: the lowest of the regions that list both."""
    rows = []
    for row in ACCELERATORS.values():
        for cloud in PUBLIC:
            both = [o for o in _offered(row, cloud) if o.on_demand is not None and o.spot is not None]
            best = _least((o.spot, o) for o in both)
            if best is None:
                continue
            usd, at = best
            listed = (at.on_demand or Decimal(0)) / at.machine.accelerators
            saved = 100 * (1 - usd / listed)
            where = f"{at.region}, {at.machine.name}"
            rows.append((row.name, _TITLES[cloud], where, _usd(listed), _usd(usd), f"{saved:.0f} %", at.as_of))
    return table(("Accelerator", "Cloud", "Lowest spot", "On-demand", "Spot", "Less", "Prices of"), rows)


def spread() -> str:
    """One machine of each accelerator and cloud, in all its regions: where it costs least and most, the widest first."""
    rows: dict[tuple[Cloud, str], tuple[Decimal, tuple[str, str, int, str, Decimal, str, Decimal]]] = {}
    for row in machines():
        prices = [(o.on_demand, o.region) for o in offers() if o.machine == row and o.on_demand is not None]
        if row.accelerator and row.part == 1 and len(prices) > 1 and not row.accelerator.withdrawn:
            (low, here), (high, there) = min(prices), max(prices)
            name = f"{_TITLES[row.cloud]} {row.name}"
            found = (100 * (high / low - 1), (name, row.accelerator.name, len(prices), here, low, there, high))
            rows[row.cloud, row.accelerator.name] = max(found, rows.get((row.cloud, row.accelerator.name), found))
    widest = sorted(rows.values(), key=lambda one: (-one[0], one[1]))
    head = ("Machine", "Accelerator", "Regions", "Lowest", "USD", "Highest", "USD", "More")
    return table(
        head,
        (
            (name, accelerator, str(count), here, _usd(low), there, _usd(high), f"{more:.0f} %")
            for more, (name, accelerator, count, here, low, there, high) in widest
        ),
    )


def month() -> str:
    """A month of one machine in each way, at so many hours."""
    _, price = _worked(_SMALL)
    on_demand, spot_ = price.on_demand, price.spot
    assert on_demand is not None
    assert spot_ is not None
    paid = 1 - Decimal(str(_DISCOUNT)) / 100
    ways = (
        ("On-demand, always up", HOURS_A_MONTH, on_demand),
        ("On-demand, working hours (10 h, 22 days)", 220, on_demand),
        ("Spot, always up", HOURS_A_MONTH, spot_),
        ("Spot, working hours", 220, spot_),
        (f"Committed at {_DISCOUNT:g} % off, used or not", HOURS_A_MONTH, on_demand * paid),
    )
    rows = ((name, str(hours), _usd(usd, 4), _usd(usd * hours)) for name, hours, usd in ways)
    return table((f"{_SMALL} in {_REGION}", "Hours paid", "USD an hour", "USD a month"), rows)


def commitment() -> str:
    """Three machines committed, and two, three or five that run: what is paid, and what is wasted."""
    row, price = _worked(_LARGE)
    assert price.on_demand is not None
    made = CommitmentSpec.model_validate(
        {
            "cloud": "aws",
            "kind": Commitment.SAVINGS_PLAN,
            "discount_percent": _DISCOUNT,
            "nodes": 3,
            "machines": [_LARGE],
            "regions": [_REGION],
            "ends": datetime(2030, 1, 1, tzinfo=UTC),
        }
    )
    rows = []
    for running in (2, 3, 5):
        listed = (price.on_demand * running * HOURS_A_MONTH).quantize(Decimal("0.01"))
        (use,) = apply(
            "notes", {"plan": made}, [Billed("a", row.cloud, _REGION, _LARGE, listed)], datetime(2029, 1, 1, tzinfo=UTC)
        )
        bill = use.paid + listed - use.covered
        rows.append((str(running), _usd(listed), _usd(use.paid), _usd(use.unused), _usd(bill), _usd(listed - bill)))
    head = (f"{_LARGE} that run", "List price", "Commitment", "of it unused", "Bill", "Saved")
    return table(head, rows)


def break_even() -> str:
    """The part of its hours that a commitment must be used for, to cost no more than on-demand."""
    return table(("Discount", "Pays from"), ((f"{off} %", f"{100 - off} % of the hours") for off in (10, 20, 30, 40, 50, 60)))


def sold_only() -> str:
    """Machines that are sold in one way, and the ways in which the stack file can buy."""
    rows = [
        (_TITLES[m.cloud], m.name, m.accelerator.name if m.accelerator else "-", m.purchases[0])
        for m in machines()
        if len(m.purchases) == 1
    ]
    return table(("Cloud", "Machine", "Accelerator", "Sold only as"), rows)


def purchases() -> str:
    """The words of the stack file."""
    where = {
        Purchase.RESERVATION: ("AWS, GCP, Azure", "its machines, used or not, at the on-demand price"),
        Purchase.CAPACITY_BLOCK: ("AWS", "the whole block ahead; no list price, so that the report says so"),
        Purchase.FLEX_START: ("GCP", "the hours run, by a price list of its own; the catalogue has none"),
        Purchase.SPOT: ("AWS, GCP, Azure", "the hours run, at a price that moves"),
        Purchase.ON_DEMAND: ("AWS, GCP, Azure", "the hours run, at list price"),
    }
    return table(("`purchase`", "On", "Paid is"), ((f"`{way}`", *where[way]) for way in Purchase))


def clusters() -> str:
    """What the three managed Kubernetes differ in, as far as it decides something here."""
    services = {
        Cloud.AWS: ("control-plane", "nat-gateway"),
        Cloud.GCP: ("control-plane", "nat-most"),
        Cloud.AZURE: ("control-plane-standard", "nat-gateway"),
    }

    def carried(cloud: Cloud) -> list[Accelerator]:
        return list(
            dict.fromkeys(
                m.accelerator for m in machines() if m.cloud is cloud and m.accelerator and not m.accelerator.withdrawn
            )
        )

    def fee(cloud: Cloud, which: int) -> str:
        found = service_price(cloud, regions(cloud)[0], services[cloud][which])
        return f"{found.usd_hour} USD an hour ({found.as_of})" if found else UNKNOWN

    def driver(cloud: Cloud) -> str:
        owner = driver_owner(cloud, Family.NVIDIA)
        return "the cloud" if owner is DriverOwner.CLOUD else "an operator"

    asked: dict[str, Callable[[Cloud], str]] = {
        "Regions in the catalogue": lambda cloud: str(len(regions(cloud))),
        "Machines with accelerators": lambda cloud: str(
            sum(m.cloud is cloud and m.accelerator is not None for m in machines())
        ),
        "Accelerators": lambda cloud: ", ".join(row.name for row in carried(cloud)),
        "Kubernetes of a new cluster": lambda cloud: ", ".join(kubernetes_minors(cloud)),
        "Control plane": lambda cloud: fee(cloud, 0),
        "NAT gateway, at the most": lambda cloud: fee(cloud, 1),
        "NVIDIA driver by": driver,
        "NVIDIA device plugin by": lambda cloud: "the cloud" if brings_device_plugin(cloud, Family.NVIDIA) else "us",
        "A pod's time once spot is called back": lambda cloud: f"{spot_grace_s(cloud)} s",
    }
    rows = ((what, *(of(cloud) for cloud in PUBLIC)) for what, of in asked.items())
    return table(("", *(_TITLES[cloud] for cloud in PUBLIC)), rows)


def rollouts() -> str:
    """What each way of replacing four replicas of eight GPUs asks for at once, and an hour of it."""
    row, price = _worked(_LARGE)
    assert price.on_demand is not None
    watts = tdp_of(row)
    replicas = 4
    ways = (("rolling, max-unavailable 1", 0), ("rolling, surge 1", 1), ("canary of one replica", 1), ("blue/green", replicas))
    rows = (
        (
            name,
            str(extra * row.accelerators),
            f"{replicas - (extra == 0)} of {replicas}",
            _usd(price.on_demand * extra),
            f"{watts * extra / 1000:.1f} kW" if watts is not None else UNKNOWN,
        )
        for name, extra in ways
    )
    return table(("Way", "GPUs besides", "Serve meanwhile", "USD an hour besides", "TDP besides"), rows)


def weights() -> str:
    """Weights by precision."""
    head = ("Model", "Parameters", *(kept.value for kept in Kept))
    rows = (
        (m.name, f"{m.params / 1e9:.2f} billion", *(f"{_gib(weights_gib(m.params, kept))} GiB" for kept in Kept))
        for m in _models()
    )
    return table(head, rows)


def kv_cache() -> str:
    """The cache by tokens, of all requests together."""
    counts = (8_192, 32_768, 131_072, 1_048_576)
    rows = (
        (m.name, f"{kv_cache_gib(m, 1) * 1024**2:,.0f} KiB", *(f"{_gib(kv_cache_gib(m, n))} GiB" for n in counts))
        for m in _models()
    )
    return table(("Model", "A token", *(f"{n:,} tokens" for n in counts)), rows)


def training() -> str:
    """Weights, gradients and optimizer states on each of eight devices."""
    rows = []
    for model in _models():
        for how in Training:
            shares = (f"{_gib(states_gib(model, how, stage=stage, devices=8))} GiB" for stage in range(4))
            rows.append((model.name, how.value, *shares))
    return table(("Model", "Trained", "No ZeRO", "ZeRO-1", "ZeRO-2", "ZeRO-3"), rows)


def activations() -> str:
    """What the backward pass keeps of a batch of tokens."""
    rows = [
        (
            m.name,
            f"{n:,}",
            f"{_gib(activations_gib(m, n, checkpointing=False))} GiB",
            f"{_gib(activations_gib(m, n, checkpointing=True))} GiB",
        )
        for m in _models()
        for n in (4_096, 32_768)
    ]
    return table(("Model", "Tokens a device", "All kept", "With checkpointing"), rows)


def fits() -> str:
    """The cheapest five machines for the larger model, by how it is kept."""
    rows = []
    model = known()["llama-3.1-70b"]
    for kept in (Kept.BF16, Kept.FP8, Kept.INT4):
        for one in ranked(model, kept, 32_768, None)[:5]:
            rows.append(
                (
                    kept.value,
                    one.accelerator,
                    str(one.needed),
                    one.machine or "-",
                    one.region or "-",
                    _usd(one.usd_hour),
                    one.as_of or "-",
                )
            )
    return table(("Weights", "Accelerator", "Needed", "Cheapest machine", "Region", "USD an hour", "Price of"), rows)


def managed() -> str:
    """A managed service's own price of a machine beside the bare machine's, on-demand in the same region."""
    rows = []
    for one in managed_prices():
        bare = next(
            (o for o in offers() if (o.machine.cloud, o.region, o.machine.name) == (one.cloud, one.region, one.machine)), None
        )
        usd = bare.on_demand if bare else None
        more = f"{(one.usd_hour / usd - 1) * 100:.0f} %" if usd else UNKNOWN
        where = f"{_TITLES[one.cloud]} {one.region}, {one.machine}"
        rows.append((where, one.section.removesuffix("s"), _usd(usd), _usd(one.usd_hour), more, one.as_of))
    return table(("Machine", "As", "Bare, USD an hour", "Managed", "More", "Managed price of"), rows)


def _models() -> list[Model]:
    return list(known().values())


FIGURES: dict[str, Callable[[], str]] = {
    "hardware": hardware,
    "precisions": precisions,
    "fabric": fabric,
    "spot": spot,
    "spread": spread,
    "month": month,
    "commitment": commitment,
    "break-even": break_even,
    "sold-only": sold_only,
    "purchases": purchases,
    "clusters": clusters,
    "managed": managed,
    "rollouts": rollouts,
    "weights": weights,
    "kv-cache": kv_cache,
    "training": training,
    "activations": activations,
    "fits": fits,
}
