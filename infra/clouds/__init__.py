"""The clouds, loaded only when a stack names them: importing all four SDKs costs seconds (docs/adr/0003)."""

from __future__ import annotations

from importlib import import_module

from fleet.catalog.clouds import Cloud
from fleet.collector import rests
from infra.clouds.base import Kit

CLOUDS: dict[Cloud, str] = {
    Cloud.AWS: "infra.clouds.aws",
    Cloud.GCP: "infra.clouds.gcp",
    Cloud.AZURE: "infra.clouds.azure",
    Cloud.EXISTING: "infra.clouds.existing",
}


def kit(cloud: Cloud) -> Kit:
    """The cloud's Kit. The collector rests while the SDK loads: it would walk a growing heap for nothing (-32 % measured)."""
    with rests():
        loaded: Kit = import_module(CLOUDS[cloud]).KIT
    return loaded
