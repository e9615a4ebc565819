"""EC2's machine types and their prices, as the catalogue has them: what a provisioner chooses from.

Machines without accelerators are not in there, so that nobody chooses one for a pod that should have gone to the system pool.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

from fleet.catalog.accelerators import ACCELERATORS, Family
from fleet.catalog.clouds import Cloud, zones
from fleet.catalog.fabric import efa_interfaces
from fleet.catalog.machines import Machine, Offer, machines, offer

# What the smallest of our machines has; more would change nothing that is simulated.
_INTERFACES, _ADDRESSES = 4, 15
_DIRECTIONS = re.compile("north|south|east|west|central")


def on_offer(region: str) -> list[tuple[Machine, Offer]]:
    """Machines with accelerators that the region has."""
    found = [(m, offer(m, region)) for m in machines() if m.cloud is Cloud.AWS and m.accelerator]
    return [(m, o) for m, o in found if o is not None]


def zone_id(zone: str) -> str:
    """AWS's name of a zone that is the same in every account: `us-east-1a` is `use1-az1` here."""
    area, where, number = zone[:-1].split("-")
    short = "".join(word[0] for word in _DIRECTIONS.findall(where))
    return f"{area}{short}{number}-az{ord(zone[-1]) - ord('a') + 1}"


def instance_types(region: str) -> list[dict[str, Any]]:
    """`DescribeInstanceTypes`' rows."""
    return [_instance_type(machine) for machine, _ in on_offer(region)]


def _instance_type(machine: Machine) -> dict[str, Any]:
    adapters = efa_interfaces(machine)
    cards = max(1, adapters)
    network: dict[str, Any] = {
        "MaximumNetworkInterfaces": _INTERFACES,
        "Ipv4AddressesPerInterface": _ADDRESSES,
        "DefaultNetworkCardIndex": 0,
        "MaximumNetworkCards": cards,
        "NetworkCards": [{"NetworkCardIndex": i, "MaximumNetworkInterfaces": _INTERFACES} for i in range(cards)],
        "EncryptionInTransitSupported": True,
        "EfaSupported": bool(adapters),
        **({"EfaInfo": {"MaximumEfaInterfaces": adapters}} if adapters else {}),
    }
    classes = ["on-demand", "spot"] if len(machine.purchases) > 1 else []
    return {
        "InstanceType": machine.name,
        "CurrentGeneration": True,
        "BareMetal": False,
        "Hypervisor": "nitro",
        "SupportedUsageClasses": classes or list(machine.purchases),
        "SupportedVirtualizationTypes": ["hvm"],
        "ProcessorInfo": {"SupportedArchitectures": ["x86_64"], "SustainedClockSpeedInGhz": 3.0, "Manufacturer": "Intel"},
        "VCpuInfo": {"DefaultVCpus": machine.vcpus, "DefaultCores": machine.vcpus // 2, "DefaultThreadsPerCore": 2},
        "MemoryInfo": {"SizeInMiB": machine.memory_gib * 1024},
        "PlacementGroupInfo": {"SupportedStrategies": ["cluster", "partition", "spread"]},
        "NetworkInfo": network,
        **_devices(machine),
    }


def _devices(machine: Machine) -> dict[str, Any]:
    """Accelerators as EC2 counts them: NVIDIA's and Gaudi's as GPUs, Neuron's as devices of their own."""
    assert machine.accelerator is not None
    name, count = machine.accelerator.name, machine.accelerators
    memory = {"SizeInMiB": int(ACCELERATORS[name].memory_gib * 1024)}
    if machine.accelerator.family is Family.NEURON:
        device = {"Name": name, "Count": count, "CoreInfo": {"Count": 2, "Version": 2}, "MemoryInfo": memory}
        return {"NeuronInfo": {"NeuronDevices": [device]}}
    maker = "NVIDIA" if machine.accelerator.family is Family.NVIDIA else "Habana"
    return {"GpuInfo": {"Gpus": [{"Name": name, "Manufacturer": maker, "Count": count, "MemoryInfo": memory}]}}


def offerings(region: str) -> list[dict[str, str]]:
    """`DescribeInstanceTypeOfferings`' rows, by zone."""
    return [
        {"InstanceType": machine.name, "LocationType": "availability-zone", "Location": zone}
        for machine, _ in on_offer(region)
        for zone in zones(Cloud.AWS, region)
    ]


def spot_prices(region: str) -> list[dict[str, Any]]:
    """`DescribeSpotPriceHistory`'s rows; machines without a spot price are not there."""
    return [
        {
            "InstanceType": machine.name,
            "AvailabilityZone": zone,
            "SpotPrice": str(price.spot),
            "ProductDescription": "Linux/UNIX",
            "Timestamp": "2026-01-01T00:00:00Z",
        }
        for machine, price in on_offer(region)
        if price.spot is not None
        for zone in zones(Cloud.AWS, region)
    ]


def on_demand_prices(region: str) -> list[str]:
    """`GetProducts`' rows: JSON inside JSON, as the price list has them."""
    return [_product(m.name, o.on_demand) for m, o in on_offer(region) if o.on_demand is not None]


def _product(machine: str, price: Decimal) -> str:
    dimensions = {"1": {"pricePerUnit": {"USD": str(price)}}}
    terms = {"OnDemand": {"1": {"priceDimensions": dimensions}}}
    return json.dumps({"product": {"attributes": {"instanceType": machine}}, "terms": terms})
