"""The fabric between machines: Elastic Fabric Adapters, which NCCL needs to leave TCP behind.

Interfaces a machine has, of karpenter-provider-aws@1d927085 (resource `vpc.amazonaws.com/efa`), read 2026-11-23. AWS only:
GKE's GPUDirect wants further networks that no pool here has, and on AKS InfiniBand comes with the ND machines.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa.html
"""

from __future__ import annotations

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import Machine

EFA_RESOURCE = "vpc.amazonaws.com/efa"
_INTERFACES = {
    "g4dn.12xlarge": 1,
    "g6.12xlarge": 1,
    "g6e.12xlarge": 1,
    "g6e.48xlarge": 4,
    "g7e.48xlarge": 4,
    "p4d.24xlarge": 4,
    "p4de.24xlarge": 4,
    "p5.4xlarge": 1,
    "p5.48xlarge": 32,
    "p5en.48xlarge": 16,
    "p6-b200.48xlarge": 8,
    "p6-b300.48xlarge": 16,
    "trn1.32xlarge": 8,
    "trn1n.32xlarge": 16,
    "trn2.48xlarge": 16,
}


def efa_interfaces(machine: Machine) -> int:
    """Interfaces of the machine, one a network card; 0 where it has none, or nobody we read says so."""
    return _INTERFACES.get(machine.name, 0) if machine.cloud is Cloud.AWS else 0
