"""What commitments make of prices: worked out by hand, shown beside list prices, and never more than was promised."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.catalog.clouds import Cloud
from fleet.commitments import Billed, Commitment, CommitmentSpec, apply
from fleet.cost import PoolCost
from fleet.standing import PoolStanding, Standing, with_commitments
from fleet.table import columns, commitments, page, row, terminal

NOW = datetime(2026, 11, 23, tzinfo=UTC)
LATER = datetime(2028, 1, 1, tzinfo=UTC)


def plan(**changes: Any) -> CommitmentSpec:
    given = {"cloud": Cloud.AWS, "kind": Commitment.SAVINGS_PLAN, "discount_percent": 30, "usd_hour": 10, "ends": LATER}
    return CommitmentSpec(**{**given, **changes})


def billed(pool: str = "main/a", usd: str = "7300", machine: str = "p5.48xlarge", region: str = "us-east-1") -> Billed:
    return Billed(pool, "aws", region, machine, Decimal(usd))


def test_by_hand_an_hour_is_paid_at_its_discount_and_the_rest_stays_unused() -> None:
    # 10 USD an hour are 7,300 a month; 70 % of 7,300 are 5,110, which 2,190 are left of.
    (use,) = apply("prod", {"plan": plan()}, [billed()], NOW)
    assert (use.paid, use.unused, use.covered, use.saved) == tuple(map(Decimal, ("7300", "2190", "7300", "2190")))
    assert use.pools == {"main/a": Decimal(2190)}
    assert use.rule == "30 % off on-demand hours of every machine, to 2028-01-01, while 10 USD an hour last"


def test_by_hand_what_the_commitment_does_not_last_for_is_paid_at_list_price() -> None:
    # 7,300 a month pay for 10,428.57 at list price of the 20,000: 9,571.43 are paid beside it.
    (use,) = apply("prod", {"plan": plan()}, [billed(usd="14600"), billed("main/b", "5400")], NOW)
    assert (use.unused, use.covered, use.saved) == (Decimal(0), Decimal("10428.57"), Decimal("3128.57"))
    assert use.pools == {"main/a": Decimal("3128.57")}


def test_by_hand_committed_machines_cost_their_list_price_less_the_discount() -> None:
    two = plan(usd_hour=None, nodes=2, machines=["g6.xlarge"], regions=["us-east-1"], kind=Commitment.RESERVED)
    (use,) = apply("prod", {"two": two}, [billed(usd="2350.02", machine="g6.xlarge")], NOW)
    # g6.xlarge is 0.8048 USD an hour there.
    assert use.paid == Decimal("822.51")
    assert abs(use.covered - Decimal("1175.01")) <= Decimal("0.01")
    assert "while 2 nodes last" in use.rule


@pytest.mark.parametrize(
    "changes",
    [
        {"regions": ["us-west-2"]},
        {"machines": ["g6."]},
        {"cloud": Cloud.AZURE},
    ],
)
def test_hours_of_other_machines_regions_and_clouds_are_not_paid_from_it(changes: dict[str, Any]) -> None:
    (use,) = apply("prod", {"plan": plan(**changes)}, [billed()], NOW)
    assert (use.saved, use.unused, use.pools) == (0, use.paid, {})


def test_one_that_is_over_or_not_begun_is_not_counted() -> None:
    over, later = plan(ends=NOW), plan(starts=LATER, ends=datetime(2029, 1, 1, tzinfo=UTC))
    assert apply("prod", {"over": over, "later": later}, [billed()], NOW) == []


def test_an_hour_is_paid_from_one_commitment() -> None:
    both = {"first": plan(usd_hour=100), "second": plan(usd_hour=100)}
    first, second = apply("prod", both, [billed()], NOW)
    assert first.covered == Decimal(7300)
    assert (second.covered, second.unused) == (0, second.paid)


@given(
    usd=st.lists(st.decimals(0, 100_000, places=2), max_size=5),
    hourly=st.decimals(1, 1000, places=2),
    percent=st.integers(1, 99),
)
def test_nothing_is_paid_for_twice_and_nothing_is_lost(usd: list[Decimal], hourly: Decimal, percent: int) -> None:
    pools = [billed(f"main/{i}", str(one)) for i, one in enumerate(usd)]
    (use,) = apply("prod", {"plan": plan(usd_hour=float(hourly), discount_percent=percent)}, pools, NOW)
    cents = Decimal("0.01") * (len(pools) + 1)
    assert 0 <= use.unused <= use.paid
    assert use.covered <= sum(usd) + cents
    assert abs(use.covered - use.saved - (use.paid - use.unused)) <= cents
    assert all(saved <= one.usd_month + cents for one in pools for saved in [use.pools.get(one.pool, Decimal(0))])


def pool(name: str, usd: str | None, billed_usd: str | None) -> PoolStanding:
    return PoolStanding(
        stack="prod",
        cluster="main",
        cloud="aws",
        region="us-east-1",
        pool=name,
        accelerator="nvidia-l4",
        machine="g6.xlarge",
        per_node=1,
        slots=1,
        sharing=None,
        purchase="on-demand",
        min_nodes=0,
        max_nodes=2,
        nodes=1,
        otherwise={},
        ready=1,
        accelerators=1,
        missing=0,
        pods_ready=0,
        pods=0,
        cost=PoolCost(Decimal(usd) if usd else None, Decimal(1), "2026-11-01"),
        billed_usd_month=Decimal(billed_usd) if billed_usd else None,
    )


STANDING = Standing([pool("mixed", "9000", "7300"), pool("unknown", None, None)])


def test_the_list_price_stays_and_what_is_left_of_it_has_a_column_and_the_rule_a_line() -> None:
    found = with_commitments(STANDING, {"prod": {"plan": plan()}}, NOW)
    mixed, unknown = found.pools
    assert mixed.cost == STANDING.pools[0].cost
    assert columns(found)[-3:] == ("USD/month", "After commitments", "kgCO2e/month")
    assert row(mixed, True)[-3:] == ("9,000", "6,810.00", "1")
    assert row(unknown, True)[-3:-1] == ("not priced", "not priced")
    (line,) = commitments(found)
    assert "savings-plan plan: $7,300.00 a month paid" in line
    assert "$2,190.00 unused, and paid all the same" in line
    assert "30 % off on-demand hours" in line
    assert line in str(terminal(found).caption)
    assert "After commitments" in page(found)
    assert "30 % off" in page(found)


def test_without_commitments_nothing_of_them_is_shown() -> None:
    found = with_commitments(STANDING, {"prod": {}}, NOW)
    assert "After commitments" not in columns(found)
    assert "ommitment" not in page(found)
    assert [row(p) for p in found.pools] == [row(p) for p in STANDING.pools]


def test_another_stacks_commitment_pays_for_nothing_here() -> None:
    found = with_commitments(STANDING, {"other": {"plan": plan()}}, NOW)
    assert [p.saved_usd_month for p in found.pools] == [0, 0]
    assert found.commitments[0].unused == found.commitments[0].paid


def test_the_json_has_it_all_and_comes_back() -> None:
    found = with_commitments(STANDING, {"prod": {"plan": plan()}}, NOW)
    again = Standing.from_json({k: v for k, v in found.as_json().items() if k != "version"})
    assert again == found
    assert found.as_json()["commitments"][0]["rule"].startswith("30 % off")
    assert replace(found, commitments=[]).as_json()["pools"][0]["cost"]["usd_month"] == "9000"
