"""A cluster's cloud services, in the order in which they may name each other; the cloud's own package makes each."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import pulumi

from fleet import naming
from fleet.service_machines import machine_of
from fleet.spec_services import Kind, OnMachines
from infra.clouds import CLOUDS
from infra.clouds.services import ServiceArgs, Shared
from infra.site import Site


def services(site: Site, network: Any, stores: Mapping[str, Any], opts: pulumi.ResourceOptions) -> dict[str, Any]:
    """Every service of the cluster by its name in the stack file: beside it, in its network, with its stores."""
    wanted = list(site.spec.services.all())
    if not wanted:
        return {}
    kinds = import_module(f"{CLOUDS[site.spec.cloud]}.services").KINDS
    made: dict[str, Any] = {}
    shared = Shared(name=site.name, physical_name=site.physical, opts=opts)
    for kind, key, spec in wanted:
        machine = machine_of(spec, site.spec.cloud, site.spec.region) if isinstance(spec, OnMachines) else None
        args = ServiceArgs(
            name=naming.physical(site.physical, key, limit=80),
            region=site.spec.region,
            network=network,
            spec=spec,
            stores=stores,
            beside=dict(made),
            shared=shared,
            protect=site.protect,
            tags=site.tags,
            consumer=site.spec.services.consumer(key) if kind is Kind.QUEUES else None,
            machine=machine,
        )
        made[key] = kinds[kind](f"{site.name}-service-{key}", args, opts)
    return made
