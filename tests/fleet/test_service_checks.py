"""Cloud services in the report: what stands is priced and counted, what is paid by use says so and is never nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fleet.catalog.clouds import PUBLIC, Cloud
from fleet.catalog.machines import machine, offer
from fleet.catalog.usage_prices import managed_prices, prices_of, usage_prices
from fleet.cost import HOURS_A_MONTH
from fleet.load import load_stack
from fleet.report.estimate import estimate
from fleet.report.model import Band, Line
from fleet.service_machines import machine_of
from fleet.spec import StackSpec
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
        assert line.usd.floor is None or line.usd.floor > 0, name
        if kind not in (Kind.MACHINES, Kind.ENDPOINTS):
            # Alarms are asked for by the month; of the rest nobody has said how much is used.
            assert line.usd.known == (kind is Kind.ALARMS and cloud is Cloud.AWS), name
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


def test_a_managed_endpoint_is_priced_where_its_price_is_known_or_the_cloud_adds_nothing() -> None:
    azure, aws, gcp = (lines(cloud)["main/managed"] for cloud in (Cloud.AZURE, Cloud.AWS, Cloud.GCP))
    assert azure.usd.known
    (rate,) = [row.usd_hour for row in managed_prices() if (row.region, row.machine) == ("us-east-1", "g6.xlarge")]
    assert aws.usd.expected == (rate * HOURS_A_MONTH).quantize(Decimal("0.01"))
    assert aws.unknown == ()
    plain = offer(machine_of(MachineSpec(accelerator="nvidia-l4"), Cloud.AWS, "us-east-1"), "us-east-1")
    assert plain is not None
    assert plain.on_demand is not None
    assert rate > plain.on_demand, "SageMaker asks more than EC2"
    assert (gcp.usd.expected, len(gcp.unknown)) == (None, 1)
    assert all(line.kg is not None and line.kg.known for line in (azure, aws, gcp))


def stack_with(cloud: str, region: str, **services: dict[str, Any]) -> StackSpec:
    cluster = {"cloud": cloud, "region": region, "stores": {"data": {}}, "services": services}
    return StackSpec.model_validate({"owner": "ml", "environment": "dev", "clusters": {"main": cluster}})


def line_of(spec: StackSpec, name: str) -> Line:
    (found,) = [line for line in estimate("a", spec).lines if line.name == f"main/{name}"]
    return found


def test_what_is_paid_by_use_says_the_price_of_a_unit() -> None:
    assert lines(Cloud.AWS)["main/learn"].unknown == ("paid by use: $0.025 for 1,000 state transitions, and no use is given",)
    assert lines(Cloud.AZURE)["main/learn"].unknown == ("paid by use: no price in the catalogue, and no use is given",)
    assert prices_of(Cloud.AWS, "eu-west-1", "workflows") == ()
    assert [row.usd for row in prices_of(Cloud.GCP, "europe-west4", "workflows")] == [Decimal("0.01")]
    assert {row.section for row in usage_prices()} <= {str(kind) for kind in Kind}


def test_a_use_that_is_given_is_priced_and_one_that_is_not_is_never_taken_for_nothing() -> None:
    image = "111122223333.dkr.ecr.us-east-1.amazonaws.com/a:1"
    functions = {
        "all": {"image": image, "usage": {"requests": 3_000_000, "gib_seconds": 600_000}},
        "none": {"image": image, "usage": {"requests": 0, "gib_seconds": 0}},
        "part": {"image": image, "usage": {"requests": 3_000_000}},
    }
    spec = stack_with("aws", "us-east-1", functions=functions, warehouses={"lake": {"stores": ["data"], "usage": {"tb": 1.5}}})
    whole = line_of(spec, "all")
    # 3 x $0.20, and 600,000 x $0.0000166667.
    assert whole.usd == Band(*[Decimal("10.60")] * 3)
    assert (whole.kind, whole.what) == ("service", "function, a month: 3,000,000 requests, 600,000 gib_seconds")
    assert line_of(spec, "none").usd.expected == 0
    assert line_of(spec, "lake").usd.expected == Decimal("7.50")
    part = line_of(spec, "part")
    assert (part.kind, part.usd.expected) == ("by-use", None)
    assert part.unknown[0].endswith("and no use of gib_seconds is given")
    made = estimate("a", spec)
    assert sum(line.kind == "by-use" and line.name == "main/part" for line in made.lines) == 1
    assert (made.usd.expected or 0) >= Decimal("18.10")


def test_a_use_where_the_region_has_no_price_stays_unknown() -> None:
    spec = stack_with("aws", "eu-west-1", queues={"work": {"usage": {"requests": 10}}})
    assert line_of(spec, "work").unknown == ("paid by use: no price in the catalogue",)


def test_service_bus_asks_for_its_namespace_once() -> None:
    spec = stack_with("azure", "westeurope", queues={"a": {}, "b": {"usage": {"requests": 2_000_000}}}, topics={"t": {}})
    assert line_of(spec, "service-bus").usd.expected == Decimal("9.81")
    assert line_of(spec, "b").usd.expected == Decimal("1.60")
    assert [line for line in estimate("a", stack_with("azure", "westeurope")).lines if "bus" in line.name] == []


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
