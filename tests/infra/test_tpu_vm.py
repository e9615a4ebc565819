"""TPUs beside a GKE cluster (`tpu_vms`): what Google is asked for, who they are, what a report says of them."""

from __future__ import annotations

from decimal import Decimal

import pulumi
import pytest
import yaml

from fleet.catalog.accelerators import ACCELERATORS
from fleet.catalog.clouds import Cloud, zones
from fleet.catalog.tpu_vms import tpu_vm_types
from fleet.load import load_stack
from fleet.report.changes import changes
from fleet.report.estimate import estimate
from fleet.spec import StackSpec
from infra.platform import deploy as deploy_platform
from infra.stack import Stack
from tests.mocked_engine import set_accounts

VM = "gcp:tpu/v2Vm:V2Vm"
GRANT = "gcp:storage/bucketIAMMember:BucketIAMMember"
FILE = """
owner: ml-platform
environment: ENVIRONMENT
clusters:
  main:
    cloud: gcp
    region: europe-west4
    api: {allowed_cidrs: [203.0.113.0/24]}
    stores: {data: {}, results: {}}
    tpu_vms:
      lab: {type: TYPE, purchase: PURCHASE, RUNTIME reads: [READS], writes: [results]}
"""


@pytest.fixture
def spec(tmp_path):
    def read(type_="v2-8", purchase="spot", environment="dev", reads="data", runtime=""):
        given = {
            "RUNTIME": runtime and f"runtime: {runtime},",
            "TYPE": type_,
            "PURCHASE": purchase,
            "ENVIRONMENT": environment,
            "READS": reads,
        }
        text = FILE
        for word, value in given.items():
            text = text.replace(word, value)
        (tmp_path / "trial.yaml").write_text(text)
        return load_stack(tmp_path / "trial.yaml")

    return read


@pytest.fixture
def made(deploy, spec):
    def run(**changes):
        stack = Stack("trial", spec(**changes))
        set_accounts()
        return deploy(lambda: pulumi.export("made", deploy_platform(stack)))

    return run


def test_it_is_private_starts_securely_and_is_found_by_its_tags(made):
    recorded = made()
    vm = recorded.one(VM)
    asked = vm.inputs
    assert (asked["acceleratorType"], asked["zone"], asked["runtimeVersion"]) == (
        "v2-8",
        "europe-west4-a",
        "tpu-ubuntu2204-base",
    )
    assert asked["networkConfig"]["enableExternalIps"] is False
    assert asked["networkConfig"]["subnetwork"] == recorded.one("gcp:container/cluster:Cluster").inputs["subnetwork"]
    assert asked["shieldedInstanceConfig"] == {"enableSecureBoot": True}
    assert asked["metadata"] == {"enable-oslogin": "TRUE", "block-project-ssh-keys": "TRUE"}
    assert asked["labels"]["accelfleet-cluster"] == "main"
    assert vm.protect is False
    assert recorded.exports["made"]["clusters"]["main"]["tpuVms"] == {"lab": "trial-main-lab-tpu"}


def test_tensorflow_is_a_runtime_of_its_own(made):
    assert made(runtime="tpu-vm-tf-2.16.1-pjrt").one(VM).inputs["runtimeVersion"] == "tpu-vm-tf-2.16.1-pjrt"


def test_spot_is_asked_for_and_nothing_else_is_for_on_demand(made):
    assert made().one(VM).inputs["schedulingConfig"] == {"spot": True}
    assert "schedulingConfig" not in made(purchase="on-demand").one(VM).inputs
    assert made(environment="prod").one(VM).protect is True


def test_its_account_has_rights_on_the_stores_it_names_and_on_nothing_else(made):
    recorded = made()
    account = next(
        r for r in recorded.all("gcp:serviceaccount/account:Account").values() if r.inputs["accountId"] == "trial-main-lab-tpu"
    )
    email = recorded.one(VM).inputs["serviceAccount"]["email"]
    assert email == account.outputs["email"]
    theirs = {(g["bucket"], g["role"]) for g in recorded.of(GRANT).values() if g["member"] == f"serviceAccount:{email}"}
    data, results = (
        next(b["name"] for name, b in recorded.of("gcp:storage/bucket:Bucket").items() if part in name)
        for part in ("data", "results")
    )
    assert theirs == {(data, "roles/storage.objectViewer"), (results, "roles/storage.objectUser")}
    assert not [m for m in recorded.of("gcp:projects/iAMMember:IAMMember").values() if email in m["member"]]
    for grant in recorded.all(GRANT).values():
        assert grant in list(recorded.depends_on(recorded.one(VM))), "before it starts it may read"


def test_only_googles_proxy_knocks_and_only_for_ssh(made):
    recorded = made()
    (rule,) = recorded.of("gcp:compute/firewall:Firewall").values()
    assert rule["sourceRanges"] == ["35.235.240.0/20"]
    assert rule["targetServiceAccounts"] == [recorded.one(VM).inputs["serviceAccount"]["email"]]
    assert rule["allows"] == [{"protocol": "tcp", "ports": ["22"]}]


def test_a_report_prices_all_of_its_machines_or_says_that_it_cannot(spec):
    line = next(one for one in estimate("trial", spec(type_="v3-32")).lines if one.kind == "tpu-vm")
    # 16 chips at 0.60 USD an hour, spot, for 730 hours.
    assert line.usd.floor == line.usd.ceiling == Decimal("7008.00")
    assert (line.nodes, line.accelerator, line.accelerators) == ((4, 4, 4), "tpu-v3", (16, 16, 16))
    assert line.unknown == ("no carbon: nobody published the power of tpu-v3",)
    text = FILE.replace("europe-west4", "us-central1").replace("TYPE", "v2-8").replace("PURCHASE", "spot")
    unpriced = next(one for one in estimate("trial", _loaded(text)).lines if one.kind == "tpu-vm")
    assert unpriced.usd.floor is None
    assert unpriced.unknown[0] == "no spot price of a TPU VM v2-8 in us-central1"


def _loaded(text):
    return StackSpec.model_validate(
        yaml.safe_load(text.replace("ENVIRONMENT", "dev").replace("READS", "data").replace("RUNTIME", ""))
    )


def test_another_type_is_another_machine_and_another_store_is_not(spec):
    before, larger = spec(), spec(type_="v2-32")
    (change,) = changes("trial", before, larger)
    assert (change.kind, change.what, change.name) == ("replace", "TPU VM", "main/lab")
    assert "what is on its disk goes with it" in change.why
    (change,) = changes("trial", before, spec(reads=""))
    assert (change.kind, change.what) == ("update", "TPU VM")


def test_every_row_has_a_zone_of_ours_a_source_and_a_price_that_can_be_true():
    rows = tpu_vm_types()
    assert {row.accelerator for row in rows} == {"tpu-v2", "tpu-v3"}
    assert len({(row.type, row.zone) for row in rows}) == len(rows)
    for row in rows:
        version, cores = row.type.split("-")
        assert row.accelerator == f"tpu-{version}" and row.accelerator in ACCELERATORS
        assert (row.chips, row.hosts) == (int(cores) // 2, int(cores) // 8)
        assert row.zone in zones(Cloud.GCP, row.region)
        assert row.source and row.as_of
        assert bool(row.on_demand) == bool(row.spot) == bool(row.price_source) == bool(row.price_as_of)
        if row.on_demand and row.spot:
            assert row.on_demand / 10 <= row.spot < row.on_demand
