"""A cluster's cloud services, in the order in which they may name each other; the cloud's own package makes each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pulumi

from fleet import naming
from fleet.service_machines import machine_of
from fleet.spec import ClusterSpec
from fleet.spec_services import Kind, OnMachines
from infra.clouds import CLOUDS
from infra.clouds.services import ServiceArgs, Shared


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a cluster's services are: beside it, in its network, with its stores."""

    name: str
    physical_name: str
    spec: ClusterSpec
    network: Any
    stores: Mapping[str, Any]
    protect: bool
    tags: dict[str, str]


def services(place: Place, opts: pulumi.ResourceOptions) -> dict[str, Any]:
    """Every service of the cluster by its name in the stack file."""
    wanted = list(place.spec.services.all())
    if not wanted:
        return {}
    kinds = import_module(f"{CLOUDS[place.spec.cloud]}.services").KINDS
    made: dict[str, Any] = {}
    shared = Shared(name=place.name, physical_name=place.physical_name, opts=opts)
    for kind, key, spec in wanted:
        machine = machine_of(spec, place.spec.cloud, place.spec.region) if isinstance(spec, OnMachines) else None
        args = ServiceArgs(
            name=naming.physical(place.physical_name, key, limit=80),
            region=place.spec.region,
            network=place.network,
            spec=spec,
            stores=place.stores,
            beside=dict(made),
            shared=shared,
            protect=place.protect,
            tags=place.tags,
            consumer=place.spec.services.consumer(key) if kind is Kind.QUEUES else None,
            machine=machine,
        )
        made[key] = kinds[kind](f"{place.name}-service-{key}", args, opts)
    return made
