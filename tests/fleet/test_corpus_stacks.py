"""Broken stack files: one fault gives exactly one error, with its line, field, what was allowed and how to mend it."""

from __future__ import annotations

import ast
import csv
import json
import re
import subprocess
import sys
from ipaddress import IPv4Network
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.catalog.servers import server_in
from fleet.checks import capacity
from fleet.load import StackErrors, load_stack
from fleet.plan import pools
from fleet.spec import ClusterSpec, Purchase
from fleet.spec_network import Nat
from fleet.workspace import ROOT, STACKS
from infra.clouds.aws import network as aws_network
from infra.clouds.azure import network as azure_network
from infra.clouds.azure.node_pool import MAX_DISK_GIB
from infra.clouds.gcp import network as gcp_network
from infra.kubernetes.model_servers import server_of

CORPUS = ROOT / "tests" / "corpus" / "stacks"
EXPECTED: dict[str, dict[str, Any]] = yaml.safe_load((CORPUS.parent / "stacks.yaml").read_text())
FILES = {p.stem: p for p in CORPUS.glob("*.yaml") if not p.name.startswith("Pulumi.")}
GOOD = (STACKS / "aws-dev.yaml").read_text()


def test_every_file_is_expected_and_there_are_many() -> None:
    assert set(FILES) == set(EXPECTED)
    assert len(FILES) >= 60


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_one_fault_is_one_error(name: str) -> None:
    wanted = EXPECTED[name]
    with pytest.raises(StackErrors) as raised:
        load_stack(FILES[name])
    (error,) = raised.value.errors
    assert error.path == wanted["path"]
    assert wanted["line"] in (None, error.line)
    assert error.line >= 1
    for part in ("message", "allowed", "remedy"):
        if part in wanted:
            assert re.search(wanted[part], getattr(error, part)), f"{part}: {getattr(error, part)!r}"
    assert error.remedy
    assert str(error).startswith(f"tests/corpus/stacks/{name}.yaml:{error.line}:{error.column}")


SOUND = sorted(name for name, wanted in EXPECTED.items() if "sound_with" in wanted)


@pytest.mark.parametrize("name", SOUND)
def test_across_the_border_the_same_file_is_sound(name: str, tmp_path: Path) -> None:
    text = FILES[name].read_text()
    for old, new in EXPECTED[name]["sound_with"]:
        assert text.count(old) == 1, f"{old!r} is not unique in {name}"
        text = text.replace(old, new)
    file = tmp_path / f"{name}.yaml"
    file.write_text(text)
    settings = FILES[name].with_name(f"Pulumi.{name}.yaml")
    if settings.exists():
        (tmp_path / settings.name).write_text(settings.read_text())
    load_stack(file)


def test_pain_09_twenty_wrong_slices_and_partitions_are_refused_with_the_nearest_right_one() -> None:
    found = {"topology": 0, "mig": 0}
    for name in SOUND:
        kind, remedy = EXPECTED[name]["path"].rpartition(".")[2], EXPECTED[name]["remedy"]
        if kind in found and remedy.startswith("nearest: "):
            found[kind] += 1
            ((_, mended),) = EXPECTED[name]["sound_with"]  # which the test above holds to be sound
            assert remedy.removeprefix("nearest: ").replace("\\", "").strip(" $") == mended.partition(": ")[2]
    assert min(found.values()) >= 10
    assert sum(found.values()) >= 20


# Where a component refuses what a stack file can say -> files of which the checks say so first, with the line.
GUARDS = {
    "kubernetes/model_serving.py _replicas": ("tpu-slice-autoscaled", "tpu-slice-replicas"),
    "kubernetes/scaling.py _messages": ("scaling-queue-of-no-service",),
    "kubernetes/scaling.py _requests": ("keda-without-queue", "keda-from-zero"),
    "kubernetes/device_plugins.py _refuse_what_cannot_work": ("accelerator-withdrawn",),
    "kubernetes/dra_driver.py _refuse_what_cannot_work": ("dra-on-neuron", "dra-shared"),
    "clouds/aws/network.py __init__": ("eks-one-zone", "aws-five-zones"),
    "clouds/aws/node_pool.py _ami": ("accelerator-withdrawn",),
    "clouds/aws/node_pool.py _subnets": ("zone-of-other-region",),
    "clouds/azure/cluster.py __init__": ("aks-no-way-out",),
    "clouds/azure/network.py node_ranges": ("cidr-over-aks-pods", "zones-zero"),
    "clouds/azure/object_store.py put": ("weights-files-on-azure",),
    "clouds/azure/node_pool.py __init__": ("disk-over-aks", "weights-over-aks-disk"),
    "clouds/gcp/network.py ranges": ("cidr-too-small",),
    "clouds/gcp/node_pool.py __init__": ("accelerator-on-other-cloud",),
    "clouds/gcp/node_pool.py _slice": ("tpu-hosts-against-topology", "tpu-slice-in-two-zones"),
    "clouds/gcp/provider.py provider": ("gcp-project-missing",),
    "provisioning.py provision": ("provisioning-on-existing",),
}


def test_whatever_infra_refuses_the_checks_refuse_first() -> None:
    found = set()
    for path in (ROOT / "infra").rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef) and "raise ValueError" in ast.unparse(function):
                found.add(f"{path.relative_to(ROOT / 'infra')} {function.name}")
    assert found == set(GUARDS), "add a check, a file of the corpus that fails it, and a line to GUARDS"
    assert {name for names in GUARDS.values() for name in names} <= set(EXPECTED)


@pytest.mark.parametrize(("name", "stack"), [("google-stack", "weights"), ("login-on-azure", "on-azure-login")])
def test_a_word_in_the_stacks_own_name_goes_with_the_files(name: str, stack: str, tmp_path: Path) -> None:
    file = tmp_path / f"{stack}.yaml"
    file.write_text(FILES[name].read_text())
    load_stack(file)


def test_a_project_for_gcp_is_asked_for_once_the_stack_has_settings(tmp_path: Path) -> None:
    file, settings = tmp_path / "demo.yaml", tmp_path / "Pulumi.demo.yaml"
    file.write_text(FILES["gcp-project-missing"].read_text())
    load_stack(file)
    settings.write_text("config: {gcp:region: us-west1}")
    with pytest.raises(StackErrors, match=r"no project is set for GCP in Pulumi\.demo\.yaml"):
        load_stack(file)
    settings.write_text("config: {gcp:project: demo}")
    load_stack(file)


@pytest.mark.parametrize("prefix", range(16, 21))
def test_networks_have_the_room_that_the_clouds_networks_are_cut_for(prefix: int) -> None:
    cidr = f"10.0.0.0/{prefix}"

    def room(cloud: str, region: str) -> list[int]:
        cluster = ClusterSpec.model_validate({"cloud": cloud, "region": region, "network": {"nat": "per-zone"}})
        return [room.nodes for room in capacity.rooms(cluster, prefix)]

    assert room("gcp", "us-west1") == [gcp_network.ranges(cidr).most_nodes]
    private, _ = aws_network.subnet_ranges(cidr)
    # Of two zones; EKS and AWS keep eleven addresses of each.
    assert room("aws", "us-east-1") == [2 * ((IPv4Network(private[0]).num_addresses - 11) // 20)]
    subnets = azure_network.node_ranges(cidr, ("1", "2"), Nat.PER_ZONE).values()
    assert room("azure", "westeurope")[:-1] == [IPv4Network(subnet).num_addresses - 5 for subnet in subnets]
    assert room("azure", "westeurope")[-1] == IPv4Network(azure_network.POD_CIDR).num_addresses // 256


@pytest.mark.parametrize(
    "image",
    [
        "vllm/vllm-openai:v0.11.0",
        "nvcr.io/nvidia/tritonserver:25.08-py3",
        "a/b@sha256:vllm",
        "vllm",
        "registry.example/ml/accelfleet-serving:1.0",
    ],
)
def test_a_queue_is_told_by_the_servers_that_infra_takes_for_such(image: str) -> None:
    assert server_in(image).tells_queue == (server_of(image).waiting is not None)


def test_a_computed_disk_is_never_larger_than_the_cloud_has() -> None:
    name = "weights-over-aks-disk"
    cluster = yaml.safe_load(FILES[name].read_text().replace("990", "989"))["clusters"]["main"]
    assert pools(name, "main", ClusterSpec.model_validate(cluster))["t4"].disk_gib == MAX_DISK_GIB


def test_machines_sold_in_one_way_say_where_it_was_read() -> None:
    with (ROOT / "fleet" / "catalog" / "data" / "machines.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["sold_only"] for row in rows} == {"", "spot", "capacity-block"}
    for row in rows:
        assert bool(row["sold_only"]) == bool(row["sold_only_source"])
        assert row["sold_only"] in ("", *Purchase)


def test_checking_them_all_loads_no_provider_sdk_and_makes_nothing(tmp_path: Path) -> None:
    code = """
import json, sys
from pathlib import Path
from fleet.load import StackErrors, load_stack
wrong = 0
for path in sorted(Path(sys.argv[1]).glob("*.yaml")):
    if not path.name.startswith("Pulumi."):
        try:
            load_stack(path)
        except StackErrors:
            wrong += 1
sdks = [m for m in sys.modules if m.split(".")[0].startswith(("pulumi", "boto", "grpc"))]
print(json.dumps({"wrong": wrong, "modules": sdks}))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(CORPUS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={"HOME": str(tmp_path)},
    )
    assert json.loads(done.stdout) == {"wrong": len(EXPECTED), "modules": []}
    assert list(tmp_path.iterdir()) == []


_REPLICAS = "clusters.main.models.rerank.replicas.min"
# Single faults as changes of one good file: (what to replace, by what, path of the error).
FAULTS = {
    "owner": ("owner: ml-platform", "owner: ''", "owner"),
    "environment": ("environment: dev", "environment: dve", "environment"),
    "range": ("203.0.113.0/24", "0.0.0.0/0", "clusters.main.api.allowed_cidrs.0"),
    "cidr": ("10.10.0.0/16", "10.10.0.0/24", "clusters.main.network.cidr"),
    "nat": ("nat: single", "nat: one", "clusters.main.network.nat"),
    "accelerator": ("accelerator: inferentia2", "accelerator: inferentia9", "clusters.main.pools.inf2.accelerator"),
    "bounds": ("nodes: {min: 0, max: 4}", "nodes: {min: 5, max: 4}", "clusters.main.pools.l4-spot.nodes.min"),
    "purchase": ("purchase: spot", "purchase: sopt", "clusters.main.pools.l4-spot.purchase"),
    "unknown-key": ("stores:\n", "storess: {}\n    stores:\n", "clusters.main.storess"),
    "image": ("image: public.ecr.aws", "imag: public.ecr.aws", "clusters.main.models.rerank.imag"),
    "store": ("{store: weights, path: chat", "{store: wieghts, path: chat", "clusters.main.models.chat.weights.store"),
    "pool": ("pool: inf2", "pool: inf3", "clusters.main.models.rerank.pool"),
    "keda": ("      rerank:\n", "      rerank:\n        autoscaler: keda\n        replicas: {min: 0, max: 1}\n", _REPLICAS),
    "default": ("      embed:\n", "      default:\n", "clusters.main.models.default"),
}


@pytest.mark.parametrize(("first", "second"), list(combinations(FAULTS, 2)))
def test_two_faults_are_two_errors(first: str, second: str, tmp_path: Path) -> None:
    text = GOOD
    for name in (first, second):
        old, new, _ = FAULTS[name]
        assert text.count(old) == 1, f"{old!r} is not unique in the good file"
        text = text.replace(old, new)
    file = tmp_path / "two.yaml"
    file.write_text(text)
    with pytest.raises(StackErrors) as raised:
        load_stack(file)
    assert sorted(e.path for e in raised.value.errors) == sorted((FAULTS[first][2], FAULTS[second][2]))


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_no_text_brings_down_the_loader(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    lines = GOOD.splitlines(keepends=True)
    for _ in range(data.draw(st.integers(1, 4))):
        i = data.draw(st.integers(0, len(lines) - 1))
        lines[i] = data.draw(
            st.sampled_from(["", lines[i] * 2, lines[i].replace(":", ""), "\t" + lines[i], "  " + lines[i], "- " + lines[i]])
            | st.text(max_size=30)
        )
    file = tmp_path_factory.mktemp("mutated") / "mutated.yaml"
    file.write_text("".join(lines), errors="ignore")
    try:
        load_stack(file)
    except StackErrors as wrong:
        assert wrong.errors
        assert all(e.line >= 1 and e.column >= 1 and e.message for e in wrong.errors)
