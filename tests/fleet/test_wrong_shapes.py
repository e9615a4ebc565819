"""A machine without its cloud's fabric is refused with the nearest that has it: every such machine of the catalogue.

Wrong TPU topologies and MIG profiles are files of the corpus, counted in `tests/fleet/test_corpus_stacks.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.catalog.clouds import PUBLIC, Cloud
from fleet.catalog.fabric import node_fabric, of_cloud
from fleet.catalog.machines import Machine, machines, machines_with, regions_with
from fleet.load import StackErrors, load_stack

FILE = """
owner: ml-platform
environment: dev
clusters:
  main:
    cloud: {cloud}
    region: {region}
    api: {{allowed_cidrs: [203.0.113.0/24]}}
    pools:
      train: {{accelerator: {accelerator}, per_node: {count}, machine: {machine}, fabric: {fabric}, nodes: {{max: 2}}}}
"""


def having(row: Machine, region: str | None = None) -> list[Machine]:
    assert row.accelerator
    return [other for other in machines_with(row.cloud, row.accelerator.name, region) if node_fabric(other)]


WITHOUT = [row for row in machines() if row.cloud in PUBLIC and row.accelerator and not node_fabric(row) and having(row)]
EFA = [row for row in WITHOUT if row.cloud is Cloud.AWS]


def test_pain_12_there_are_ten_wrong_efa_shapes() -> None:
    assert len(EFA) >= 10


@pytest.mark.parametrize("row", WITHOUT, ids=lambda row: row.name)
def test_pain_12_a_machine_without_its_clouds_fabric_is_refused_with_the_nearest_that_has_it(
    row: Machine, tmp_path: Path
) -> None:
    assert row.accelerator
    fabric = of_cloud(row.cloud)
    # A region that has both, where there is one.
    region = next((here for here in regions_with(row) if having(row, here)), regions_with(row)[0])

    def stack(machine: Machine) -> Path:
        assert machine.accelerator
        file = tmp_path / "trial.yaml"
        file.write_text(
            FILE.format(
                cloud=row.cloud,
                region=region,
                accelerator=machine.accelerator.name,
                count=machine.accelerators,
                machine=machine.name,
                fabric=fabric,
            )
        )
        return file

    with pytest.raises(StackErrors) as raised:
        load_stack(stack(row))
    # Some are sold as spot alone, which is another matter.
    (error,) = (one for one in raised.value.errors if one.path != "clusters.main.pools.train.purchase")
    assert error.path == "clusters.main.pools.train.fabric"
    assert f"{row.name} has no {fabric}" in error.message
    there = having(row, region)
    if not there:
        assert error.remedy == "leave fabric out, or choose another accelerator"
        return
    nearest = min(there, key=lambda other: abs(other.accelerators - row.accelerators))
    assert error.remedy == f"set machine: {nearest.name}, or leave fabric out"
    load_stack(stack(nearest))
