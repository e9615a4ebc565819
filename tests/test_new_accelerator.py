"""Adding an accelerator is a row in each table: an invented one goes through everything with no other change."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pulumi
import pytest

from fleet.catalog import machines as catalog
from fleet.catalog import matrix
from fleet.catalog.accelerators import ACCELERATORS
from fleet.catalog.clouds import Cloud
from fleet.cost import pool_cost
from fleet.load import load_stack
from fleet.plan import pools
from infra.platform import deploy as deploy_platform
from infra.stack import Stack
from sandbox.cluster.autoscaler import fits
from tests.accelerator_pools import tolerates
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


def spec(cloud: Cloud, tmp_path: Path):
    file = tmp_path / "new-dev.yaml"
    file.write_text(STACK.format(cloud=cloud, region=REGIONS[cloud]))
    return load_stack(file)


@pytest.mark.parametrize("cloud", MACHINES)
def test_a_stack_file_may_name_it_and_a_pool_is_planned(cloud, tmp_path):
    (pool,) = pools("new-dev", "main", spec(cloud, tmp_path).clusters["main"]).values()
    assert pool.machine.name == MACHINES[cloud]
    assert (pool.per_node, pool.resource) == (2, "nvidia.com/gpu")
    placement = pool.placement(2)
    assert placement.node_selector.items() <= (pool.node_labels | pool.cloud_labels).items()
    assert all(any(tolerates(t, taint) for t in placement.tolerations) for taint in pool.all_taints)


@pytest.mark.parametrize("cloud", MACHINES)
def test_the_sandbox_makes_its_nodes_and_its_pods_would_fit(cloud, tmp_path):
    (pool,) = pools("new-dev", "main", spec(cloud, tmp_path).clusters["main"]).values()
    made = as_the_cloud_makes_it(pool)
    node = made.node(0)
    assert node["metadata"]["labels"]["node.kubernetes.io/instance-type"] == MACHINES[cloud]
    assert made.accelerators() == {"nvidia.com/gpu": "2"}
    assert fits(pod("p", pool), made)
    assert not fits(pod("p", pool, tolerations=[]), made)


@pytest.mark.parametrize("cloud", MACHINES)
def test_it_is_priced_and_counted(cloud):
    row = catalog.machine(cloud, MACHINES[cloud])
    price = catalog.offer(row, REGIONS[cloud])
    cost = pool_cost(cloud, REGIONS[cloud], row, price, spot=False, nodes=2)
    assert cost.usd_month == Decimal("2.50") * 2 * 730
    assert cost.kg_month is not None and cost.kg_month > 0


@pytest.mark.parametrize("cloud", MACHINES)
def test_the_whole_platform_is_built_with_it(deploy, cloud, tmp_path):
    stack = Stack("new-dev", spec(cloud, tmp_path))
    for key, value in {"gcp:project": "p", "azure-native:subscriptionId": "00000000-0000-0000-0000-000000000000"}.items():
        pulumi.runtime.set_config(key, value)
    recorded = deploy(lambda: deploy_platform(stack))
    assert any(MACHINES[cloud] in str(inputs) for inputs in recorded.of(POOL_TYPES[cloud]).values())
    (release,) = recorded.of("kubernetes:helm.sh/v3:Release").values()
    assert release["values"]["accelerator"] == {"resource": "nvidia.com/gpu", "count": 1}


def test_the_page_of_all_accelerators_has_it():
    page = matrix.text()
    assert f"| {NAME} | nvidia.com/gpu | 24 GiB | 100 W |" in page
    for machine in MACHINES.values():
        assert f"| {machine} | 2 x {NAME} | 8 | 64 GiB |" in page
