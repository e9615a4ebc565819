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
        assert line.usd.floor is None or (line.usd.floor == 0) == (kind is Kind.TRAININGS), name
        if kind is Kind.TRAININGS:
            assert line.kg is not None
            assert line.kg.known, "hours are given, and carbon needs no price"
        elif kind not in (Kind.MACHINES, Kind.ENDPOINTS):
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
    assert lines(Cloud.GCP)["main/late"].unknown[0].startswith("paid by use: no price in the catalogue: $1.50 a condition")
    assert lines(Cloud.GCP)["main/features"].unknown == ("paid by use: no price in the catalogue, and no use is given",)
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


def training(cloud: str, region: str, **more: Any) -> Line:
    return line_of(stack_with(cloud, region, trainings={"tune": {"image": "a:1", "model": "data", **more}}), "tune")


def test_a_training_is_priced_and_counted_by_the_hours_of_each_of_its_machines() -> None:
    t4 = {"accelerator": "nvidia-t4", "nodes": 2, "purchase": "on-demand"}
    line = training("azure", "westeurope", **t4, usage={"hours": 40.5})
    # Azure adds nothing to the machine's $0.658.
    assert line.usd == Band(Decimal(0), Decimal("53.30"), Decimal("53.30"))
    assert (line.kind, line.nodes, line.accelerators) == ("machines", (0, 2, 2), (0, 2, 2))
    assert line.what == "training on Standard_NC4as_T4_v3, on-demand, 40.5 hours a month"
    whole = training("azure", "westeurope", **t4, usage={"hours": HOURS_A_MONTH})
    assert line.kg is not None
    assert whole.kg is not None
    assert line.kg.floor == 0
    assert line.kg.expected == round((whole.kg.expected or 0) * Decimal("40.5") / HOURS_A_MONTH, 1)


def test_sagemaker_and_vertex_have_prices_of_their_own() -> None:
    a10g = {"accelerator": "nvidia-a10g", "machine": "g5.2xlarge", "usage": {"hours": 100}}
    assert training("aws", "us-east-1", **a10g, purchase="on-demand").usd.expected == Decimal("151.50")
    spot = training("aws", "us-east-1", **a10g)
    # Nobody publishes what managed spot costs; on-demand it is at the most.
    assert spot.usd == Band(Decimal(0), None, Decimal("151.50"))
    assert spot.unknown == ("no spot price of g5.2xlarge on SageMaker in us-east-1, which has its own",)
    assert spot.kg is not None
    assert spot.kg.known, "carbon needs no price"
    h100 = {"accelerator": "nvidia-h100-80gb", "per_node": 8, "usage": {"hours": 10}}
    row = machine(Cloud.GCP, "a3-highgpu-8g")
    assert row is not None
    price = offer(row, "us-central1")
    assert price is not None
    assert price.spot is not None
    fee = Decimal("13.1750")
    assert training("gcp", "us-central1", **h100).usd.expected == round((price.spot + fee) * 10, 2)
    assert training("gcp", "us-central1", **h100, purchase="on-demand").usd.expected == Decimal("1010.07")
    elsewhere = training("gcp", "europe-west4", **h100)
    assert (elsewhere.usd, len(elsewhere.unknown)) == (Band(Decimal(0), None, None), 1)


def test_a_training_without_hours_has_no_figure_and_says_the_price_of_one() -> None:
    line = training("azure", "westeurope", accelerator="nvidia-t4", purchase="on-demand")
    assert (line.kind, line.usd, line.accelerators) == ("by-use", Band(None, None, None), None)
    assert line.unknown == ("paid by use: $0.658 an hour and machine, and no hours are given",)
    spot = training("azure", "westeurope", accelerator="nvidia-t4")
    assert "no spot price" in spot.unknown[0]
    assert "no hours are given" in spot.unknown[0]


def test_an_endpoint_stands_all_month_unless_hours_are_given() -> None:
    endpoint = {"image": "a:1", "model": "data", "accelerator": "nvidia-h100-80gb", "per_node": 1}
    spec = stack_with(
        "gcp", "us-central1", endpoints={"all": endpoint, "part": {**endpoint, "machines": 2, "usage": {"hours": 100}}}
    )
    assert line_of(spec, "all").usd.expected == round(Decimal("12.6259") * HOURS_A_MONTH, 2)
    part = line_of(spec, "part")
    assert part.usd == Band(*[Decimal("2525.18")] * 3)
    assert part.accelerators == (2, 2, 2)


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
