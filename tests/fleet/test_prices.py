"""`fleet catalog refresh`: the clouds' lists as a loopback server has them, others' snapshots, and prices.csv after."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner

import fleet.prices.row
from fleet.catalog.clouds import Cloud
from fleet.cli import app
from fleet.prices import lists, snapshots
from fleet.prices.lists import ListError
from fleet.prices.row import Price, merged

TODAY = date(2026, 11, 29)
HEAD = "cloud,region,machine,accelerator,accelerators,on_demand_usd_hour,spot_usd_hour,source,as_of\n"
ROW = "aws,us-east-1,g6.xlarge,nvidia-l4,1,0.8048,0.4104,old,2025-01-01\n"


def product(machine: str, **changed: str) -> dict[str, Any]:
    attributes = {
        "instanceType": machine,
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
        "regionCode": "us-east-1",
    }
    return {"attributes": {**attributes, **changed}}


def term(usd: str, unit: str = "Hrs") -> dict[str, Any]:
    return {"t": {"priceDimensions": {"d": {"unit": unit, "pricePerUnit": {"USD": usd}}}}}


AWS = {
    "publicationDate": "2026-11-20T00:00:00Z",
    "products": {
        "A": product("g6.xlarge"),
        "B": product("g6.xlarge", operatingSystem="Windows"),
        "C": product("g6.xlarge", tenancy="Dedicated"),
        "D": product("x9.unheard"),
        "E": {"attributes": {"servicecode": "AmazonEC2"}},
    },
    "terms": {"OnDemand": {"A": term("0.9000000000"), "B": term("9"), "C": term("9"), "D": term("1"), "E": term("1", "GB-Mo")}},
}


def item(machine: str, usd: float, sku: str, product_name: str = "Virtual Machines NC Series") -> dict[str, Any]:
    return {
        "armSkuName": machine,
        "skuName": sku,
        "productName": product_name,
        "retailPrice": usd,
        "unitOfMeasure": "1 Hour",
    }


T4 = "Standard_NC4as_T4_v3"
AZURE = [
    [item(T4, 0.7, "NC4as T4 v3"), item(T4, 1.4, "NC4as T4 v3", "Virtual Machines NC Series Windows")],
    [item(T4, 0.2, "NC4as T4 v3 Spot"), item(T4, 0.1, "NC4as T4 v3 Low Priority")],
]


def sku(description: str, usage: str, usd: float, *regions: str) -> dict[str, Any]:
    nanos = round(usd * 10**9)
    price = {"units": str(nanos // 10**9), "nanos": nanos % 10**9}
    return {
        "description": description,
        "category": {"usageType": usage},
        "serviceRegions": list(regions),
        "pricingInfo": [{"pricingExpression": {"tieredRates": [{"unitPrice": price}]}}],
    }


GCP = [
    [
        sku("G2 Instance Core running in Americas", "OnDemand", 0.02, "us-central1"),
        sku("G2 Instance Ram running in Americas", "OnDemand", 0.003, "us-central1"),
        sku("Commitment v1: G2 Cpu in Americas", "Commit1Yr", 0.01, "us-central1"),
    ],
    [
        sku("Nvidia L4 GPU running in Americas", "OnDemand", 0.5, "us-central1"),
        sku("Spot Preemptible G2 Instance Core running in Americas", "Preemptible", 0.01, "us-central1"),
        sku("Spot Preemptible G2 Instance Ram running in Americas", "Preemptible", 0.001, "us-central1"),
        sku("Nvidia L4 GPU attached to Spot Preemptible VMs running in Americas", "Preemptible", 0.2, "us-central1"),
    ],
]


class Lists(BaseHTTPRequestHandler):
    """The three lists, on one server."""

    def do_GET(self) -> None:
        where = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(where.query).items()}
        base = f"http://{self.headers['Host']}"
        body: Any = None
        if where.path == "/offers/v1.0/aws/AmazonEC2/current/us-east-1/index.json":
            body = AWS
        elif where.path == "/api/retail/prices":
            page = int(asked.get("page", 0))
            away = "https://elsewhere.example/" if "swedencentral" in asked.get("$filter", "") else None
            following = away or (f"{base}/api/retail/prices?page=1" if page == 0 else None)
            body = {"Items": AZURE[page], "NextPageLink": following}
        elif where.path == "/v1/services/6F81-5844-456A/skus" and asked.get("key") == "k":
            page = int(asked.get("pageToken") or 0)
            body = {"skus": GCP[page], "nextPageToken": "1" if page == 0 else ""}
        self.send_response(200 if body is not None else 404)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *words: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), Lists)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture
def prices_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "prices.csv"
    file.write_text(HEAD + ROW)
    monkeypatch.setattr(fleet.prices.row, "FILE", file)
    return file


def refresh(*words: str) -> Any:
    return CliRunner().invoke(
        app, ["catalog", "refresh", *words], env={"COLUMNS": "200", "NO_COLOR": "1", "GOOGLE_API_KEY": ""}
    )


@pytest.mark.enable_socket
def test_each_clouds_list_is_read_to_its_end(server: str) -> None:
    assert next(lists.aws("us-east-1", server)) == Price(
        Cloud.AWS, "us-east-1", "g6.xlarge", Decimal("0.9"), None, "AWS Price List, SKU A", "2026-11-20"
    )
    assert [(one.machine, one.on_demand) for one in lists.aws("us-east-1", server)][1:] == [("x9.unheard", Decimal(1))]
    (azure,) = lists.azure("westeurope", TODAY, server)
    assert (azure.machine, azure.on_demand, azure.spot, azure.as_of) == (T4, Decimal("0.7"), Decimal("0.2"), "2026-11-29")
    found = {one.machine: one for one in lists.gcp(["us-central1"], "k", TODAY, server)}
    # g2-standard-4: 4 x 0.02 + 16 x 0.003 + 0.5; by spot 4 x 0.01 + 16 x 0.001 + 0.2.
    assert (found["g2-standard-4"].on_demand, found["g2-standard-4"].spot) == (Decimal("0.628"), Decimal("0.256"))
    assert not [name for name in found if not name.startswith("g2-")], "of the others some part is missing"


@pytest.mark.enable_socket
def test_a_list_that_is_not_there_or_leads_elsewhere_is_refused(server: str) -> None:
    with pytest.raises(ListError, match="404"):
        list(lists.aws("eu-west-1", server))
    with pytest.raises(ListError, match=r"its next page is at https://elsewhere\.example/"):
        list(lists.azure("swedencentral", TODAY, server))


@pytest.mark.enable_socket
def test_the_command_writes_what_changed_with_source_and_date(server: str, prices_file: Path) -> None:
    words = ("--cloud", "aws", "--region", "us-east-1", "--url", server)
    done = refresh(*words, "--dry-run")
    assert (done.exit_code, prices_file.read_text()) == (0, HEAD + ROW)
    assert "aws us-east-1 g6.xlarge: 0.8048 / 0.4104 → 0.9 / 0.4104" in done.stdout
    assert "1 changed, 0 new, 0 as they were, 1 of machines or regions" in done.stdout
    assert refresh(*words).exit_code == 0
    (row,) = csv.DictReader(io.StringIO(prices_file.read_text()))
    assert (row["on_demand_usd_hour"], row["spot_usd_hour"]) == ("0.9", "0.4104")
    assert (row["source"], row["as_of"]) == ("AWS Price List, SKU A", "2026-11-20")
    assert "0 changed, 0 new, 1 as they were" in refresh(*words).stdout


def test_google_wants_a_key_and_says_so(prices_file: Path) -> None:
    done = refresh("--cloud", "gcp")
    assert (done.exit_code, "set GOOGLE_API_KEY" in done.output) == (1, True)


SNAPSHOTS = {
    "gpuhunt": "instance_name,location,price,cpu,memory,gpu_count,gpu_name,gpu_memory,spot\n"
    "g6.xlarge,us-east-1,0.81,4,16,1,L4,24,False\ng6.xlarge,us-east-1,0.4,4,16,1,L4,24,True\n",
    "skypilot": "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,"
    "Price,SpotPrice,Region,AvailabilityZone\n"
    "g6.xlarge,L4,1,4,16,x,0.81,0.4,us-east-1,us-east-1a\ng6.xlarge,L4,1,4,16,x,0.81,0.5,us-east-1,us-east-1b\n,x,1,,,x,1,1,us-east-1,\n",
}


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_snapshots_of_others_are_read_by_their_columns(name: str, prices_file: Path, tmp_path: Path) -> None:
    file = tmp_path / "vms.csv"
    file.write_text(SNAPSHOTS[name])
    done = refresh("--from", str(file), "--cloud", "aws", "--as-of", "2026-11-01")
    assert done.exit_code == 0, done.output
    (row,) = csv.DictReader(io.StringIO(prices_file.read_text()))
    assert (row["on_demand_usd_hour"], row["spot_usd_hour"], row["as_of"]) == ("0.81", "0.4", "2026-11-01")


@pytest.mark.parametrize(
    ("text", "words", "code", "said"),
    [
        ("a,b\n1,2\n", ("--cloud", "aws"), 1, "neither gpuhunt's columns nor SkyPilot's"),
        (SNAPSHOTS["gpuhunt"].replace("0.81", "cheap"), ("--cloud", "aws"), 1, "line 2: a price that is no number"),
        (SNAPSHOTS["gpuhunt"], (), 2, "give --cloud"),
        (SNAPSHOTS["gpuhunt"], ("--cloud", "aws", "--as-of", "soon"), 2, "is no date"),
    ],
)
def test_a_wrong_snapshot_says_what_is_wrong(
    text: str, words: tuple[str, ...], code: int, said: str, prices_file: Path, tmp_path: Path
) -> None:
    file = tmp_path / "vms.csv"
    file.write_text(text)
    done = refresh("--from", str(file), *words)
    assert done.exit_code == code
    assert said in done.output
    assert prices_file.read_text() == HEAD + ROW


def test_a_price_that_nobody_believes_is_left_out_and_a_known_machine_elsewhere_is_new() -> None:
    def price(region: str, on_demand: str, spot: str | None) -> Price:
        return Price(Cloud.AWS, region, "g6.xlarge", Decimal(on_demand), Decimal(spot) if spot else None, "list", "2026-11-01")

    text, done = merged(
        HEAD + ROW, [price("us-east-1", "0.8", "0.9"), price("us-west-2", "0.80", None), price("mars-1", "1", None)]
    )
    assert done.unbelievable == ["aws us-east-1 g6.xlarge: spot 0.9 of 0.8"]
    assert (done.new, done.unknown, done.changed) == (["aws us-west-2 g6.xlarge"], 1, [])
    assert text == HEAD + ROW + "aws,us-west-2,g6.xlarge,nvidia-l4,1,0.8,,list,2026-11-01\n"


def test_the_catalogues_own_file_stays_as_it_is_where_a_list_says_nothing() -> None:
    text = fleet.prices.row.FILE.read_text(encoding="utf-8")
    assert merged(text, [])[0] == text


def test_a_snapshot_may_name_zones(tmp_path: Path) -> None:
    file = tmp_path / "gcp.csv"
    file.write_text("instance_name,location,price,spot\ng2-standard-4,us-central1-a,0.7,False\n")
    assert [one.region for one in snapshots.read(file, Cloud.GCP, "2026-11-01")] == ["us-central1"]
