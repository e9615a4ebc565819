"""The clouds, their regions and zones. Owns names only; what a machine is lives in `machines`.

`existing` is the cluster that somebody else made, at a site of their own or anywhere: nothing in its cloud is ours.
"""

from __future__ import annotations

from enum import StrEnum


class Cloud(StrEnum):
    AWS = "aws"
    GCP = "gcp"
    AZURE = "azure"
    EXISTING = "existing"


# Those whose clusters we make.
PUBLIC = (Cloud.AWS, Cloud.GCP, Cloud.AZURE)
# Machine type of a system pool when the stack file names none: general purpose, 4 vCPUs, 16 GiB.
SYSTEM_MACHINE = {Cloud.AWS: "m7i.xlarge", Cloud.GCP: "e2-standard-4", Cloud.AZURE: "Standard_D4s_v5"}


def _zones(suffixes: str) -> tuple[str, ...]:
    return tuple(suffixes)


# Region -> zone suffixes, for the regions the price snapshot covers (fleet/catalog/data/prices.csv).
# Sources, read 2026-11: AWS "Regions and Availability Zones", GCP "Regions and zones",
# Azure "Azure regions list" (availability zone support). us-central2 is Cloud TPU's own region.
_ZONE_SUFFIXES: dict[Cloud, dict[str, tuple[str, ...]]] = {
    Cloud.AWS: {
        "us-east-1": _zones("abcdef"),
        "us-east-2": _zones("abc"),
        "us-west-2": _zones("abcd"),
        "eu-west-1": _zones("abc"),
        "eu-central-1": _zones("abc"),
        "eu-north-1": _zones("abc"),
        "ap-northeast-1": _zones("acd"),
    },
    Cloud.GCP: {
        "us-central1": _zones("abcf"),
        "us-central2": _zones("b"),
        "us-east4": _zones("abc"),
        "us-east5": _zones("abc"),
        "us-west1": _zones("abc"),
        "europe-west1": _zones("bcd"),
        "europe-west4": _zones("abc"),
        "europe-north1": _zones("abc"),
        "asia-northeast1": _zones("abc"),
    },
    Cloud.AZURE: {
        region: _zones("123")
        for region in (
            "eastus",
            "southcentralus",
            "westus3",
            "westeurope",
            "northeurope",
            "swedencentral",
            "japaneast",
        )
    },
    # A site is in a grid zone of Electricity Maps, for its carbon; those of fleet/catalog/data/carbon.csv.
    Cloud.EXISTING: dict.fromkeys(
        (
            "BE",
            "DE",
            "FI",
            "IE",
            "JP-TK",
            "NL",
            "SE",
            "US-CENT-SWPP",
            "US-MIDA-PJM",
            "US-MIDW-MISO",
            "US-NW-BPAT",
            "US-SW-AZPS",
            "US-TEX-ERCO",
        ),
        (),
    ),
}


def regions(cloud: Cloud) -> tuple[str, ...]:
    """Names of the regions the catalogue knows on this cloud."""
    return tuple(_ZONE_SUFFIXES[cloud])


def zones(cloud: Cloud, region: str) -> tuple[str, ...]:
    """Zone names as that cloud writes them: `us-east-1a`, `us-central1-a`, `1` (Azure numbers them).

    Raises:
        KeyError: the catalogue does not know the region.
    """
    suffixes = _ZONE_SUFFIXES[cloud][region]
    if cloud is Cloud.AWS:
        return tuple(region + s for s in suffixes)
    if cloud is Cloud.GCP:
        return tuple(f"{region}-{s}" for s in suffixes)
    return suffixes


def zone_label(cloud: Cloud, region: str, zone: str) -> str:
    """How nodes name the zone (`topology.kubernetes.io/zone`): Azure's numbers carry their region there."""
    return f"{region}-{zone}" if cloud is Cloud.AZURE else zone
