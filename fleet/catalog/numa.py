"""NUMA: how a node's kubelet keeps a pod's accelerators, CPUs and NICs by one socket, and how many nodes of memory it has.

Machines whose vendor publishes a topology are in data/numa.csv; elsewhere a strict policy could refuse every pod.
https://kubernetes.io/docs/tasks/administer-cluster/topology-manager/
"""

from __future__ import annotations

import csv
from enum import StrEnum
from functools import cache
from pathlib import Path

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import Machine

_FILE = Path(__file__).parent / "data" / "numa.csv"
# Of the kubelet, with every policy below: whole CPUs of a guaranteed pod are its own, and then have a place.
CPU_MANAGER_POLICY = "static"


class Numa(StrEnum):
    """`best-effort` prefers one NUMA node for a pod and takes what there is; `single-node` refuses the pod otherwise."""

    BEST_EFFORT = "best-effort"
    SINGLE_NODE = "single-node"

    @property
    def topology_policy(self) -> str:
        """The kubelet's word."""
        return {Numa.BEST_EFFORT: "best-effort", Numa.SINGLE_NODE: "single-numa-node"}[self]


@cache
def _rows() -> dict[tuple[Cloud, str], int]:
    with _FILE.open(newline="") as file:
        return {(Cloud(row["cloud"]), row["machine"]): int(row["numa_nodes"]) for row in csv.DictReader(file)}


def numa_nodes(machine: Machine) -> int | None:
    """NUMA nodes of the machine; None where nobody we read says."""
    return _rows().get((machine.cloud, machine.name))


def most_on_one(machine: Machine) -> int | None:
    """Accelerators by one NUMA node; None where nobody we read says how many nodes there are."""
    nodes = numa_nodes(machine)
    return None if nodes is None else machine.accelerators // nodes
