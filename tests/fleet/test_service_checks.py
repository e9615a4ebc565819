"""Cloud services in the report: what stands is priced and counted, what is paid by use says so and is never nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fleet.catalog.clouds import PUBLIC, Cloud
from fleet.catalog.machines import machine, offer
from fleet.catalog.usage_prices import usage_price, usage_prices
from fleet.cost import HOURS_A_MONTH
from fleet.load import load_stack
from fleet.report.estimate import estimate
from fleet.report.model import Line
from fleet.service_machines import machine_of
from fleet.spec_services import EndpointSpec, Kind, MachineSpec, QueueSpec, ServicesSpec, TrainingSpec, stores_of
from fleet.workspace import STACKS


def lines(cloud: Cloud) -> dict[str, Line]:
    name = f"{cloud}-pipeline"
    return {line.name: line for line in estimate(name, load_stack(STACKS / f"{name}.yaml")).lines}


@pytest.mark.parametrize("cloud", PUBLIC)
def test_every_service_has_a_line_with_a_figure_or_a_reason(cloud: Cloud) -> None:
    cluster = load_stack(STACKS / f"{cloud}-pipeline.yaml").clusters["main"]
    found = lines(cloud)
    for kind, name, _ in cluster.services.all():
        line = found[f"main/{name}"]
        assert line.usd.known or line.unknown, name
        if kind not in (Kind.MACHINES, Kind.ENDPOINTS):
            assert (line.usd.floor, line.usd.expected, line.usd.ceiling) == (None, None, None), name
            assert line.kg is None


def test_a_machine_costs_and_emits_what_it_is() -> None:
    line = lines(Cloud.AWS)["main/workbench"]
    row = machine(Cloud.AWS, "g6.xlarge")
    assert row is not None
    price = offer(row, "us-east-1")
    assert price is not None
    assert price.spot is not None
    assert line.usd.expected == (price.spot * HOURS_A_MONTH).quantize(Decimal("0.01"))
    assert line.accelerators == (1, 1, 1)
    assert line.kg is not None
    assert line.kg.known


def test_a_managed_endpoint_is_priced_where_the_cloud_adds_nothing() -> None:
    azure, aws = lines(Cloud.AZURE)["main/managed"], lines(Cloud.AWS)["main/managed"]
    assert azure.usd.known
    assert aws.usd.expected is None
    assert aws.unknown == ("no price of ml.g6.xlarge, which is SageMaker's own",)
    assert aws.kg is not None
    assert aws.kg.known


def test_what_is_paid_by_use_says_the_price_of_a_unit() -> None:
    assert lines(Cloud.AWS)["main/learn"].unknown == ("paid by use: $0.025 for 1,000 state transitions, and no use is given",)
    assert lines(Cloud.GCP)["main/learn"].unknown == ("paid by use: no price in the catalogue, and no use is given",)
    assert usage_price(Cloud.AWS, "eu-west-1", "workflows") is None
    assert {row.section for row in usage_prices()} <= {str(kind) for kind in Kind}


def test_a_service_takes_the_smallest_machine_with_what_it_asks_for() -> None:
    assert machine_of(MachineSpec(accelerator="nvidia-l4"), Cloud.AWS, "us-east-1").name == "g6.xlarge"
    assert machine_of(MachineSpec(accelerator="nvidia-l4", per_node=8), Cloud.AWS, "us-east-1").name == "g6.48xlarge"
    assert machine_of(MachineSpec(), Cloud.GCP, "us-west1").name == "e2-standard-4"
    with pytest.raises(LookupError, match="no machine with 3 nvidia-l4"):
        machine_of(MachineSpec(accelerator="nvidia-l4", per_node=3), Cloud.AWS, "us-east-1")


def test_sections_are_made_in_their_order_and_know_their_stores() -> None:
    assert list(ServicesSpec.model_fields) == [str(kind) for kind in Kind]
    assert stores_of(TrainingSpec(image="a:1", model="models", data="data")) == (["data"], ["models"])
    assert stores_of(EndpointSpec(image="a:1", model="models")) == (["models"], [])
    assert stores_of(QueueSpec()) == ([], [])
