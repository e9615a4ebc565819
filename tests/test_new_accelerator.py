"""Adding an accelerator is a row in each table: an invented one goes through everything with no other change."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from fleet.catalog import machines as catalog
from fleet.catalog import matrix
from fleet.catalog.accelerators import ACCELERATORS
from fleet.catalog.clouds import Cloud, regions
from fleet.catalog.nodes import Taint
from fleet.contract import AcceleratorPool
from fleet.cost import _grid, pool_cost
from fleet.load import StackErrors, load_stack
from fleet.plan import pools
from fleet.spec import StackSpec
from infra.platform import deploy as deploy_platform
from infra.stack import Stack
from sandbox.cluster.autoscaler import fits
from tests.accelerator_pools import tolerates
from tests.mocked_engine import Recorder, set_accounts
from tests.sandbox.test_nodes import as_the_cloud_makes_it, pod

NAME = "nvidia-invented"
REGIONS = {Cloud.AWS: "us-east-1", Cloud.GCP: "us-west1", Cloud.AZURE: "westeurope"}
MACHINES = {Cloud.AWS: "i1.large", Cloud.GCP: "i2-standard-8", Cloud.AZURE: "Standard_NI8_v1"}
POOL_TYPES = {
    Cloud.AWS: "aws:eks/nodeGroup:NodeGroup",
    Cloud.GCP: "gcp:container/nodePool:NodePool",
    Cloud.AZURE: "azure-native:containerservice:AgentPool",
}
STACK = """owner: ml-platform
environment: dev
clusters:
  main:
    cloud: {cloud}
    region: {region}
    api:
      allowed_cidrs: [203.0.113.0/24]
    pools:
      new:
        accelerator: nvidia-invented
        nodes: {{min: 0, max: 3}}
        purchase: {purchase}
    models:
      chat:
        pool: new
"""


@pytest.fixture(scope="module", autouse=True)
def invented(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    data = tmp_path_factory.mktemp("catalog") / "data"
    shutil.copytree(Path(catalog.__file__).parent / "data", data)
    for cloud, machine in MACHINES.items():
        what = {"cloud": cloud, "machine": machine, "accelerator": NAME, "accelerators": "2"}
        add(data / "machines.csv", **what, vcpus="8", memory_gib="64")
        price = {"on_demand_usd_hour": "2.50", "spot_usd_hour": "1.00", "source": "invented", "as_of": "2026-11-23"}
        add(
            data / "prices.csv",
            cloud=cloud,
            region=REGIONS[cloud],
            machine=machine,
            accelerator=NAME,
            accelerators="2",
            **price,
        )
    row = replace(ACCELERATORS["nvidia-l4"], name=NAME, tdp_w=100, gke_name=NAME)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ACCELERATORS, NAME, row)
        patch.setattr(catalog, "_DATA", data)
        forget()
        yield
    forget()


def forget() -> None:
    catalog.machines.cache_clear()
    catalog.offers.cache_clear()


def add(path: Path, **cells: str) -> None:
    with path.open(newline="") as file:
        head = next(csv.reader(file))
    assert cells.keys() <= set(head)
    with path.open("a", newline="") as file:
        csv.DictWriter(file, head, restval="", lineterminator="\n").writerow(cells)


def spec(cloud: Cloud, tmp_path: Path, **changes: str) -> StackSpec:
    file = tmp_path / "new-dev.yaml"
    file.write_text(STACK.format(**{"cloud": cloud, "region": REGIONS[cloud], "purchase": "on-demand", **changes}))
    return load_stack(file)


def planned(cloud: Cloud, tmp_path: Path, **changes: str) -> AcceleratorPool:
    (pool,) = pools("new-dev", "main", spec(cloud, tmp_path, **changes).clusters["main"]).values()
    return pool


@pytest.mark.parametrize("purchase", catalog.PURCHASES)
@pytest.mark.parametrize("cloud", MACHINES)
def test_a_stack_file_may_name_it_and_a_pool_is_planned(cloud: Cloud, purchase: str, tmp_path: Path) -> None:
    pool = planned(cloud, tmp_path, purchase=purchase)
    assert (pool.machine.name, pool.purchase) == (MACHINES[cloud], purchase)
    assert (pool.per_node, pool.resource) == (2, "nvidia.com/gpu")
    placement = pool.placement(2)
    assert placement.node_selector.items() <= (pool.node_labels | pool.cloud_labels).items()
    assert all(any(tolerates(t, taint) for t in placement.tolerations) for taint in pool.all_taints)


@pytest.mark.parametrize("cloud", MACHINES)
def test_where_no_price_list_has_it_the_stack_file_is_refused(cloud: Cloud, tmp_path: Path) -> None:
    elsewhere = next(region for region in regions(cloud) if region != REGIONS[cloud])
    with pytest.raises(StackErrors) as raised:
        spec(cloud, tmp_path, region=elsewhere)
    (error,) = raised.value.errors
    assert error.path == "clusters.main.pools.new.accelerator"
    assert REGIONS[cloud] in error.allowed


@pytest.mark.parametrize("purchase", catalog.PURCHASES)
@pytest.mark.parametrize("cloud", MACHINES)
def test_the_sandbox_makes_its_nodes_and_its_pods_would_fit(cloud: Cloud, purchase: str, tmp_path: Path) -> None:
    pool = planned(cloud, tmp_path, purchase=purchase)
    made = as_the_cloud_makes_it(pool)
    node = made.node(made.zones[0])
    labels = node["metadata"]["labels"]
    assert (pool.node_labels | pool.cloud_labels).items() <= labels.items()
    assert labels["accelfleet.io/accelerator"] == NAME
    assert labels["node.kubernetes.io/instance-type"] == MACHINES[cloud]
    assert labels.get("cloud.google.com/gke-accelerator") == (NAME if cloud is Cloud.GCP else None)
    assert {Taint(t["key"], t["value"], t["effect"]) for t in node["spec"]["taints"]} >= set(pool.all_taints)
    assert made.accelerators() == {"nvidia.com/gpu": "2"}
    assert fits(pod("p", pool), made)
    assert not fits(pod("p", pool, tolerations=[]), made)


@pytest.mark.parametrize("cloud", MACHINES)
def test_it_is_priced_and_its_carbon_counted(cloud: Cloud) -> None:
    row = catalog.machine(cloud, MACHINES[cloud])
    assert row is not None
    price = catalog.offer(row, REGIONS[cloud])
    cost = pool_cost(cloud, REGIONS[cloud], row, price, purchase="on-demand", nodes=2)
    assert cost.usd_month == Decimal("2.50") * 2 * 730
    assert cost.price_as_of == "2026-11-23"
    assert pool_cost(cloud, REGIONS[cloud], row, price, purchase="spot", nodes=2).usd_month == Decimal("1.00") * 2 * 730
    # 100 W, two a machine, two machines, 730 hours at 60 % load: 175.2 kWh; then the site's overhead and the grid's mix.
    intensity, pue = _grid()[cloud, REGIONS[cloud]]
    assert cost.kg_month == pytest.approx(Decimal("175.2") * pue * intensity / 1000, abs=Decimal("0.06"))


@pytest.mark.parametrize("cloud", MACHINES)
def test_the_whole_platform_is_built_with_it(deploy: Callable[..., Recorder], cloud: Cloud, tmp_path: Path) -> None:
    stack = Stack("new-dev", spec(cloud, tmp_path))
    set_accounts()
    recorded = deploy(lambda: deploy_platform(stack))
    assert any(MACHINES[cloud] in str(inputs) for inputs in recorded.of(POOL_TYPES[cloud]).values())
    (release,) = recorded.of("kubernetes:helm.sh/v3:Release").values()
    assert release["values"]["accelerator"] == {"resource": "nvidia.com/gpu", "count": 1}


def test_the_page_of_all_accelerators_has_it() -> None:
    page = matrix.text()
    assert f"| {NAME} | nvidia | 24 GiB | 100 W |" in page
    for cloud, machine in MACHINES.items():
        assert f"| {NAME} | {machine} | 2 | 8 | 64 GiB | 1 | 2.50 | 1.00 | 2026-11 |" in page
        cells = ["yes" if region == REGIONS[cloud] else "" for region in regions(cloud)]
        assert f"| {machine} ({NAME}) | {' | '.join(cells)} |" in page
