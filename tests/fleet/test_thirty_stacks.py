"""Thirty stack files and what they cost a month, to the cent, with the arithmetic beside them.

Each term is (nodes at the floor, expected, at the ceiling, price): an hour's price times 730, or a month's. The prices
stand here as they stand in fleet/catalog/data, so that a row that changes there has to be looked at here.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pytest

from fleet.report.estimate import estimate
from fleet.report.model import Band
from fleet.spec import StackSpec

Term = tuple[int, int, int, str]
HOURS = 730


def an_hour(low: int, now: int, most: int, price: str) -> Term:
    return low, now, most, str(Decimal(price) * HOURS)


def a_month(low: int, now: int, most: int, price: str) -> Term:
    return low, now, most, price


def disk(low: int, now: int, most: int, gib: int, price: str) -> Term:
    return low, now, most, str(Decimal(price) * gib)


# us-east-1
M7I, G6, G6_SPOT, P5, P5_SPOT = "0.2016", "0.8048", "0.4104", "55.04", "17.6289"
BOTH = "1.2152"  # one of each
INF2, P4D, GP3 = "0.7582", "21.957642", "0.08"
NAT, PLANE, PLANE_FREE = "0.045", "0.10", "0"
# us-central1
E2, G2, G2_SPOT, A2, A3, BALANCED = "0.134023", "0.706832", "0.397336", "3.673385", "88.49", "0.10"
NAT_NODE, NAT_MOST = "0.0014", "0.044"
# us-west1, europe-west4
E2_WEST4, V5E, V5E_SPOT = "0.147544", "4.8", "2.52"
# westeurope, eastus, swedencentral
D4S, T4, D4S_EAST, A100_EAST = "0.23", "0.658", "0.192", "3.673"


def aws(region: str = "us-east-1", nat: str = "none", **more: Any) -> dict[str, Any]:
    return {"cloud": "aws", "region": region, "network": {"nat": nat}, **more}


def gcp(region: str = "us-central1", nat: str = "none", **more: Any) -> dict[str, Any]:
    return {"cloud": "gcp", "region": region, "network": {"nat": nat}, **more}


def azure(region: str = "westeurope", nat: str = "single", **more: Any) -> dict[str, Any]:
    return {"cloud": "azure", "region": region, "network": {"nat": nat}, **more}


def pool(accelerator: str, low: int, most: int, gib: int = 100, **more: Any) -> dict[str, Any]:
    return {"accelerator": accelerator, "nodes": {"min": low, "max": most}, "disk_gib": gib, **more}


def models(pool_name: str, replicas: int) -> dict[str, Any]:
    return {"m": {"pool": pool_name, "replicas": {"min": replicas, "max": replicas}}}


# What every cluster of a cloud has: its control plane, system nodes 1 to 3, and on AWS and in us-central1 their disks.
AWS_BASE = [an_hour(1, 1, 1, PLANE), an_hour(1, 1, 3, M7I), disk(1, 1, 3, 80, GP3)]
GCP_BASE = [an_hour(1, 1, 1, PLANE), an_hour(1, 1, 3, E2), disk(1, 1, 3, 80, BALANCED)]
AZURE_BASE = [an_hour(1, 1, 1, PLANE_FREE), an_hour(1, 1, 3, D4S)]
L4 = "nvidia-l4"

STACKS: dict[str, tuple[dict[str, Any], list[Term]]] = {
    "aws: nothing but a cluster": (aws(), AWS_BASE),
    "aws: with one NAT gateway": (aws(nat="single"), [*AWS_BASE, an_hour(1, 1, 1, NAT)]),
    "aws: with three": (
        aws(network={"nat": "per-zone", "zones": 3}),
        [*AWS_BASE, an_hour(3, 3, 3, NAT)],
    ),
    "aws: five system nodes": (
        aws(system_pool={"nodes": {"min": 2, "max": 5}}),
        [an_hour(1, 1, 1, PLANE), an_hour(2, 2, 5, M7I), disk(2, 2, 5, 80, GP3)],
    ),
    "aws: L4 from zero": (
        aws(pools={"p": pool(L4, 0, 4)}),
        [*AWS_BASE, an_hour(0, 0, 4, G6), disk(0, 0, 4, 100, GP3)],
    ),
    "aws: L4 that always stand": (
        aws(pools={"p": pool(L4, 2, 4, 250)}),
        [*AWS_BASE, an_hour(2, 2, 4, G6), disk(2, 2, 4, 250, GP3)],
    ),
    "aws: L4 that models fill": (
        aws(pools={"p": pool(L4, 0, 4)}, models=models("p", 3)),
        [*AWS_BASE, an_hour(0, 3, 4, G6), disk(0, 3, 4, 100, GP3)],
    ),
    "aws: L4 that four models share": (
        aws(pools={"p": pool(L4, 0, 4, sharing={"time_slices": 4})}, models=models("p", 4)),
        [*AWS_BASE, an_hour(0, 1, 4, G6), disk(0, 1, 4, 100, GP3)],
    ),
    "aws: spot": (
        aws(pools={"p": pool(L4, 1, 3, purchase="spot")}),
        [*AWS_BASE, an_hour(1, 1, 3, G6_SPOT), disk(1, 1, 3, 100, GP3)],
    ),
    "aws: spot, at its worst on demand": (
        aws(pools={"p": pool(L4, 1, 3, purchase="spot", fallback="on-demand")}),
        [
            *AWS_BASE,
            an_hour(1, 1, 0, G6_SPOT),
            an_hour(0, 0, 3, G6),
            disk(1, 1, 3, 100, GP3),
        ],
    ),
    "aws: spot, and one on demand beside": (
        aws(pools={"p": pool(L4, 1, 2, capacity=[{"purchase": "spot"}, {"purchase": "on-demand", "nodes": 1}])}),
        [*AWS_BASE, an_hour(1, 1, 0, G6_SPOT), an_hour(0, 0, 1, BOTH), disk(1, 1, 2, 100, GP3)],
    ),
    "aws: eight H100 of a reservation, used or not": (
        aws(
            pools={
                "p": pool(
                    "nvidia-h100-80gb",
                    1,
                    1,
                    500,
                    machine="p5.48xlarge",
                    capacity=[{"purchase": "reservation", "reservation": "cr-0123456789abcdef0"}],
                )
            }
        ),
        [*AWS_BASE, an_hour(1, 1, 1, P5), disk(1, 1, 1, 500, GP3)],
    ),
    "aws: H100 by spot": (
        aws(pools={"p": pool("nvidia-h100-80gb", 0, 2, 500, purchase="spot", machine="p5.48xlarge")}, models=models("p", 9)),
        # Nine models of a GPU each: two machines of eight.
        [*AWS_BASE, an_hour(0, 2, 2, P5_SPOT), disk(0, 2, 2, 500, GP3)],
    ),
    "aws: A100": (
        aws(pools={"p": pool("nvidia-a100-40gb", 1, 2, 300)}),
        [*AWS_BASE, an_hour(1, 1, 2, P4D), disk(1, 1, 2, 300, GP3)],
    ),
    "aws: Inferentia2": (
        aws(pools={"p": pool("inferentia2", 0, 2)}),
        [*AWS_BASE, an_hour(0, 0, 2, INF2), disk(0, 0, 2, 100, GP3)],
    ),
    "aws: two pools and NAT": (
        aws(nat="single", pools={"a": pool(L4, 1, 2), "b": pool("inferentia2", 0, 1)}),
        [
            *AWS_BASE,
            an_hour(1, 1, 1, NAT),
            an_hour(1, 1, 2, G6),
            an_hour(0, 0, 1, INF2),
            disk(1, 1, 2, 100, GP3),
            disk(0, 0, 1, 100, GP3),
        ],
    ),
    "aws: Frankfurt, where its disk is dearer": (
        aws("eu-central-1", pools={"p": pool("nvidia-t4", 0, 0 + 1)}),
        [
            an_hour(1, 1, 1, PLANE),
            an_hour(1, 1, 3, "0.2415"),
            disk(1, 1, 3, 80, "0.0952"),
            an_hour(0, 0, 1, "0.658"),
            disk(0, 0, 1, 100, "0.0952"),
        ],
    ),
    "aws: Stockholm": (
        aws("eu-north-1", pools={"p": pool("nvidia-h100-80gb", 1, 1, 500, machine="p5.48xlarge")}),
        [
            an_hour(1, 1, 1, PLANE),
            an_hour(1, 1, 3, "0.2142"),
            disk(1, 1, 3, 80, "0.0836"),
            an_hour(1, 1, 1, "58.8928"),
            disk(1, 1, 1, 500, "0.0836"),
        ],
    ),
    "gcp: nothing but a cluster": (gcp(), GCP_BASE),
    "gcp: with NAT, by its nodes": (gcp(nat="single"), [*GCP_BASE, an_hour(1, 1, 3, NAT_NODE)]),
    "gcp: with NAT, and more nodes than it asks for": (
        gcp(nat="single", pools={"p": pool(L4, 3, 40)}),
        # 4 nodes at the least; 43 at the most, for which it has one price.
        [
            *GCP_BASE,
            an_hour(4, 4, 0, NAT_NODE),
            an_hour(0, 0, 1, NAT_MOST),
            an_hour(3, 3, 40, G2),
            disk(3, 3, 40, 100, BALANCED),
        ],
    ),
    "gcp: L4 by spot": (
        gcp(pools={"p": pool(L4, 1, 3, 200, purchase="spot")}),
        [*GCP_BASE, an_hour(1, 1, 3, G2_SPOT), disk(1, 1, 3, 200, BALANCED)],
    ),
    "gcp: A100": (
        gcp(pools={"p": pool("nvidia-a100-40gb", 0, 2)}, models=models("p", 1)),
        [*GCP_BASE, an_hour(0, 1, 2, A2), disk(0, 1, 2, 100, BALANCED)],
    ),
    "gcp: eight H100": (
        gcp(pools={"p": pool("nvidia-h100-80gb", 1, 2, 1000, machine="a3-highgpu-8g")}),
        [*GCP_BASE, an_hour(1, 1, 2, A3), disk(1, 1, 2, 1000, BALANCED)],
    ),
    "gcp: Oregon, whose disks nobody has a price of": (
        gcp("us-west1"),
        [an_hour(1, 1, 1, PLANE), an_hour(1, 1, 3, E2)],
    ),
    "gcp: Eemshaven": (
        gcp("europe-west4"),
        [an_hour(1, 1, 1, PLANE), an_hour(1, 1, 3, E2_WEST4)],
    ),
    "azure: nothing but a cluster": (azure(), [*AZURE_BASE, an_hour(1, 1, 1, NAT)]),
    "azure: in prod, with an SLA": (
        azure(),
        [an_hour(1, 1, 1, PLANE), an_hour(1, 1, 3, D4S), an_hour(1, 1, 1, NAT)],
    ),
    "azure: T4": (
        azure(pools={"p": pool("nvidia-t4", 1, 3)}),
        [*AZURE_BASE, an_hour(1, 1, 1, NAT), an_hour(1, 1, 3, T4)],
    ),
    "azure: A100 in Virginia": (
        azure("eastus", pools={"p": pool("nvidia-a100-80gb", 0, 2)}),
        [an_hour(1, 1, 1, PLANE_FREE), an_hour(1, 1, 3, D4S_EAST), an_hour(1, 1, 1, NAT), an_hour(0, 0, 2, A100_EAST)],
    ),
}
# Of what is priced by nobody, which lines.
UNKNOWN = {"gcp: Oregon, whose disks nobody has a price of": 1, "gcp: Eemshaven": 1}


def cents(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.01"), ROUND_HALF_EVEN)


def summed(terms: list[Term], case: int) -> Decimal:
    return sum((cents(Decimal(term[case]) * Decimal(term[3])) for term in terms), Decimal(0))  # type: ignore[arg-type]


def test_there_are_thirty() -> None:
    assert len(STACKS) == 30


@pytest.mark.parametrize("name", STACKS)
def test_a_stack_costs_what_one_works_out_by_hand(name: str) -> None:
    cluster, terms = STACKS[name]
    spec = {"owner": "ml", "environment": "prod" if "prod" in name else "dev", "clusters": {"main": cluster}}
    found = estimate("s", StackSpec.model_validate(spec))
    assert found.usd == Band(*(summed(terms, case) for case in range(3)))
    disks_of_azure = sum(line.kind == "disk" and line.cloud == "azure" for line in found.lines)
    assert found.priceable - found.priced == UNKNOWN.get(name, 0) + disks_of_azure
