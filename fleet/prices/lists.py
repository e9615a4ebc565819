"""The clouds' own price lists: AWS Price List, Azure Retail Prices, Google's Cloud Billing Catalog. Asks and parses.

Each says when it was published, or is of today. Google sells vCPUs, memory and GPUs apart; machines are put together here,
those alone whose parts are all there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import httpx2

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import Machine, machines
from fleet.prices.row import Price

AWS = "https://pricing.us-east-1.amazonaws.com"
AZURE = "https://prices.azure.com"
GCP = "https://cloudbilling.googleapis.com"
_COMPUTE_ENGINE = "6F81-5844-456A"
_TIMEOUT_S = 120


class ListError(Exception):
    """A list cannot be had or is not as it should be; the message says which and why."""


def _get(url: str, **params: str) -> Any:
    try:
        answer = httpx2.get(url, params=params or None, timeout=_TIMEOUT_S, follow_redirects=True)
        answer.raise_for_status()
        return answer.json()
    except (httpx2.HTTPError, ValueError) as wrong:
        raise ListError(f"{url}: {wrong}") from None


def aws(region: str, base: str = AWS) -> Iterator[Price]:
    """EC2 on demand, Linux, shared, of one region; the list has no spot."""
    document = _get(f"{base}/offers/v1.0/aws/AmazonEC2/current/{region}/index.json")
    published = str(document.get("publicationDate", ""))[:10]
    wanted = {
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
        "regionCode": region,
    }
    terms = document.get("terms", {}).get("OnDemand", {})
    for sku, product in document.get("products", {}).items():
        attributes = product.get("attributes", {})
        if any(attributes.get(name) != value for name, value in wanted.items()) or not attributes.get("instanceType"):
            continue
        for term in terms.get(sku, {}).values():
            for dimension in term["priceDimensions"].values():
                if dimension["unit"] == "Hrs":
                    usd = Decimal(dimension["pricePerUnit"]["USD"])
                    source = f"AWS Price List, SKU {sku}"
                    yield Price(Cloud.AWS, region, attributes["instanceType"], usd, None, source, published)


def azure(region: str, today: date, base: str = AZURE) -> Iterator[Price]:
    """Virtual machines of one region, Linux, on demand and spot; page after page."""
    asked = f"serviceName eq 'Virtual Machines' and armRegionName eq '{region}' and priceType eq 'Consumption'"
    page = _get(f"{base}/api/retail/prices", **{"$filter": asked})
    found: dict[str, dict[str, Decimal]] = {}
    while True:
        for item in page.get("Items", ()):
            name, sku = item.get("armSkuName", ""), item.get("skuName", "")
            if (
                not name
                or "Windows" in item.get("productName", "")
                or "Low Priority" in sku
                or item["unitOfMeasure"] != "1 Hour"
            ):
                continue
            found.setdefault(name, {})["spot" if "Spot" in sku else "on-demand"] = Decimal(str(item["retailPrice"]))
        following = page.get("NextPageLink")
        if not following:
            break
        # A link that leads elsewhere is not followed.
        if not following.startswith(base):
            raise ListError(f"{base}: its next page is at {following}")
        page = _get(following)
    for name, prices in found.items():
        source = "Azure Retail Prices"
        yield Price(Cloud.AZURE, region, name, prices.get("on-demand"), prices.get("spot"), source, today.isoformat())


# Of a machine series, how its parts are called: vCPU, memory, GPU.
_PARTS = {
    "e2": ("E2 Instance Core", "E2 Instance Ram", ""),
    "n1": ("N1 Predefined Instance Core", "N1 Predefined Instance Ram", "Nvidia Tesla T4 GPU"),
    "g2": ("G2 Instance Core", "G2 Instance Ram", "Nvidia L4 GPU"),
    "a2": ("A2 Instance Core", "A2 Instance Ram", "Nvidia Tesla A100 GPU"),
}
_RUNNING = re.compile(r"^(Spot Preemptible )?(?P<part>.+?)(?: attached to Spot Preemptible VMs)? running in ")


def gcp(wanted: Iterable[str], key: str, today: date, base: str = GCP) -> Iterator[Price]:
    """Machines of the series above in these regions."""
    parts: dict[tuple[str, str, bool], Decimal] = {}
    token = ""
    while True:
        page = _get(f"{base}/v1/services/{_COMPUTE_ENGINE}/skus", key=key, pageToken=token, currencyCode="USD")
        for sku in page.get("skus", ()):
            _part(sku, parts)
        token = page.get("nextPageToken", "")
        if not token:
            break
    for region in wanted:
        for row in machines():
            if row.cloud is Cloud.GCP and row.name.partition("-")[0] in _PARTS:
                on_demand, spot = (_whole(row, region, parts, spot=spot) for spot in (False, True))
                if on_demand is not None or spot is not None:
                    name = row.accelerator.name if row.accelerator else None
                    source = "Google Cloud Billing Catalog, parts put together"
                    yield Price(Cloud.GCP, region, row.name, on_demand, spot, source, today.isoformat(), name)


def _part(sku: Mapping[str, Any], parts: dict[tuple[str, str, bool], Decimal]) -> None:
    category, description = sku.get("category", {}), sku.get("description", "")
    spot = category.get("usageType") == "Preemptible"
    running = _RUNNING.match(description)
    if running is None or category.get("usageType") not in ("OnDemand", "Preemptible"):
        return
    rates = sku["pricingInfo"][-1]["pricingExpression"]["tieredRates"]
    unit = rates[-1]["unitPrice"]
    usd = Decimal(unit.get("units") or 0) + Decimal(unit.get("nanos") or 0) / 10**9
    for region in sku.get("serviceRegions", ()):
        parts[running["part"], region, spot] = usd


def _whole(row: Machine, region: str, parts: Mapping[tuple[str, str, bool], Decimal], *, spot: bool) -> Decimal | None:
    core, ram, gpu = (parts.get((name, region, spot)) for name in _PARTS[row.name.partition("-")[0]])
    if core is None or ram is None or (row.accelerators and gpu is None):
        return None
    whole = core * row.vcpus + ram * row.memory_gib + (gpu or Decimal(0)) * row.accelerators
    return whole.quantize(Decimal("0.000001"))
