"""The providers' check: what it refuses, at which path, and that it cries no wolf. Cases in tests/corpus/providers."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pulumi
import pytest
import yaml
from pulumi.runtime.rpc import UNKNOWN as WIRE_UNKNOWN

from fleet.catalog.clouds import PUBLIC, Cloud, zones
from fleet.catalog.fabric import node_fabric
from fleet.catalog.machines import machines
from fleet.catalog.numa import Numa
from fleet.catalog.tpu import TOPOLOGIES, tpu_slice
from fleet.contract import AcceleratorPool
from fleet.spec import ApiSpec
from fleet.spec_network import Nat
from infra.clouds import kit
from infra.clouds.base import (
    ClusterArgs,
    NetworkArgs,
    NodePoolArgs,
    ObjectStoreArgs,
    ProviderArgs,
    SystemPoolArgs,
    WorkloadIdentityArgs,
)
from sandbox.providers.validation import (
    Failure,
    autoname_property,
    input_properties,
    is_modelled_type,
    output_properties,
    validate,
    validate_invoke,
)
from tests import mocked_engine

CORPUS = Path(__file__).parents[1] / "corpus" / "providers"
UNKNOWN = object()


class Case(NamedTuple):
    package: str
    type: str
    inputs: dict[str, Any]
    path: str = ""
    reason: str = ""


def _steps(path: str) -> list[str | int]:
    return [int(index) if index else name for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path)]


def _changed(inputs: dict[str, Any], path: str, value: Any = None, *, drop: bool = False) -> dict[str, Any]:
    changed = copy.deepcopy(inputs)
    *outer, last = _steps(path)
    place: Any = changed
    for step in outer:
        place = place[step]
    if drop:
        del place[last]
    else:
        place[last] = value
    return changed


def _corpus() -> tuple[dict[str, Case], dict[str, Case]]:
    valid, refused = {}, {}
    for file in sorted(CORPUS.glob("*.yaml")):
        content = yaml.safe_load(file.read_text())
        package, bases = content["package"], content["valid"]
        for name, base in bases.items():
            valid[f"{package}: {name}"] = Case(package, base["type"], base["inputs"])
        for case in content["refused"]:
            base = bases[case["of"]]
            inputs = base["inputs"]
            for path, value in case.get("set", {}).items():
                inputs = _changed(inputs, path, value)
            if "drop" in case:
                inputs = _changed(inputs, case["drop"], drop=True)
            what = case.get("drop") or case["set"]
            refused[f"{package}: {case['of']} {what}"] = Case(package, base["type"], inputs, case["path"], case["reason"])
    return valid, refused


VALID, REFUSED = _corpus()


def _leaves(value: Any, path: str = "") -> list[str]:
    if isinstance(value, dict):
        return [leaf for k, v in value.items() if re.fullmatch(r"\w+", k) for leaf in _leaves(v, f"{path}.{k}" if path else k)]
    if isinstance(value, list):
        return [leaf for i, v in enumerate(value) for leaf in _leaves(v, f"{path}[{i}]")]
    return [path]


def test_the_corpus_is_as_large_as_it_claims() -> None:
    for package in ("aws", "gcp", "azure-native"):
        assert sum(c.package == package for c in REFUSED.values()) >= 20
    assert len({c.type for c in VALID.values()}) >= 100


@pytest.mark.parametrize("case", VALID.values(), ids=VALID.keys())
def test_what_a_cloud_accepts_passes(case: Case) -> None:
    assert is_modelled_type(case.package, case.type)
    assert validate(case.package, case.type, case.inputs) == []


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_one_mistake_is_one_failure_at_its_path(case: Case) -> None:
    found = validate(case.package, case.type, case.inputs)
    assert [f.path for f in found] == [case.path], found
    assert re.search(case.reason, found[0].reason), found[0].reason


@pytest.mark.parametrize("unknown", [UNKNOWN, WIRE_UNKNOWN], ids=["sentinel", "wire"])
@pytest.mark.parametrize("case", VALID.values(), ids=VALID.keys())
def test_nothing_is_said_of_what_is_not_known_yet(case: Case, unknown: Any) -> None:
    for leaf in _leaves(case.inputs):
        assert validate(case.package, case.type, _changed(case.inputs, leaf, unknown)) == [], leaf
    every = dict.fromkeys(case.inputs, unknown)
    assert validate(case.package, case.type, every) == []


@pytest.mark.parametrize("case", [c for c in VALID.values() if c.package != "azure-native"], ids=lambda c: c.type)
def test_bridged_providers_coerce_numbers_and_booleans_from_strings(case: Case) -> None:
    for leaf in _leaves(case.inputs):
        value: Any = case.inputs
        for step in _steps(leaf):
            value = value[step]
        if isinstance(value, bool | int | float):
            text = str(value).lower() if isinstance(value, bool) else str(value)
            assert validate(case.package, case.type, _changed(case.inputs, leaf, text)) == [], leaf


def test_numbers_come_from_the_engine_as_floats() -> None:
    pool = VALID["azure-native: agent pool"]
    assert validate(pool.package, pool.type, {**pool.inputs, "count": 1.0}) == []
    assert validate(pool.package, pool.type, {**pool.inputs, "count": 1.5}) == [
        Failure("count", "expected an integer, got number 1.5")
    ]


def test_keys_that_are_no_identifiers_are_quoted_in_the_path() -> None:
    group = VALID["aws: node group"]
    [failure] = validate(group.package, group.type, {**group.inputs, "labels": {"example.com/team": ["a"]}})
    assert failure.path == 'labels["example.com/team"]'


def test_several_mistakes_are_all_told_at_once() -> None:
    group = VALID["aws: node group"]
    inputs = {**group.inputs, "capacityType": "spot", "subnetIds": "s", "clusterNam": "x"}
    assert {f.path for f in validate(group.package, group.type, inputs)} == {"capacityType", "subnetIds", "clusterNam"}


def test_the_documentation_overrules_the_model() -> None:
    """`Disabled` is the provider's own word: S3 has no such status, and the provider then leaves versioning alone."""
    versioning = {"bucket": "weights", "versioningConfiguration": {"status": "Disabled"}}
    assert validate("aws", "aws:s3/bucketVersioning:BucketVersioning", versioning) == []


def test_arm_compares_without_regard_to_case() -> None:
    pool = VALID["azure-native: agent pool"]
    assert validate(pool.package, pool.type, {**pool.inputs, "mode": "user", "osType": "linux"}) == []


def test_machine_sizes_newer_than_the_sdk_pass() -> None:
    machine = VALID["azure-native: virtual machine"]
    inputs = _changed(machine.inputs, "hardwareProfile.vmSize", "Standard_ND1_Rubin_v99")
    assert validate(machine.package, machine.type, inputs) == []


def test_a_versioned_azure_token_is_read_as_the_sdk_s_own_version() -> None:
    pool = VALID["azure-native: agent pool"]
    versioned = "azure-native:containerservice/v20250901:AgentPool"
    assert is_modelled_type("azure-native", versioned)
    assert validate("azure-native", versioned, pool.inputs) == []
    assert [f.path for f in validate("azure-native", versioned, {**pool.inputs, "mode": "Guest"})] == ["mode"]


@pytest.mark.parametrize("token", ["aws:eks/nodeGroop:NodeGroop", "gcp:container/cluster:Cluster", "nonsense", ""])
def test_a_type_the_sdk_does_not_have(token: str) -> None:
    assert not is_modelled_type("aws", token)
    [failure] = validate("aws", token, {})
    assert "no resource type" in failure.reason
    with pytest.raises(KeyError, match="no resource type"):
        input_properties("aws", token)


def test_provider_settings_travel_as_json_in_strings() -> None:
    settings = {"region": "us-east-1", "skipCredentialsValidation": "true", "version": "7.51.1"}
    tags = {"defaultTags": '{"tags":{"owner":"platform"}}'}
    assert validate("aws", "pulumi:providers:aws", {**settings, **tags}) == []
    wrong = {**settings, "defaultTags": '{"tag":{}}'}
    assert [f.path for f in validate("aws", "pulumi:providers:aws", wrong)] == ["defaultTags.tag"]


def test_outputs_by_wire_name() -> None:
    outputs = output_properties("aws", "aws:eks/nodeGroup:NodeGroup")
    assert outputs["arn"] is str
    assert outputs["diskSize"] is int
    assert outputs["resources"] is list
    assert outputs["scalingConfig"] is dict
    assert outputs["tagsAll"] is dict
    assert output_properties("azure-native", "azure-native:containerservice:ManagedCluster")["disableLocalAccounts"] is bool


def test_inputs_know_what_is_required() -> None:
    inputs = input_properties("aws", "aws:eks/nodeGroup:NodeGroup")
    assert {name for name, p in inputs.items() if p.required} == {"clusterName", "nodeRoleArn", "scalingConfig", "subnetIds"}
    assert inputs["diskSize"].type is int


@pytest.mark.parametrize(
    ("token", "prop"),
    [
        ("aws:eks/cluster:Cluster", "name"),
        ("aws:eks/nodeGroup:NodeGroup", "nodeGroupName"),
        ("aws:s3/bucket:Bucket", "bucket"),
        ("aws:ec2/vpc:Vpc", None),
        ("aws:iam/rolePolicyAttachment:RolePolicyAttachment", None),
        ("gcp:container/nodePool:NodePool", "name"),
        ("gcp:serviceaccount/account:Account", "accountId"),
        ("gcp:projects/iAMMember:IAMMember", None),
        ("azure-native:resources:ResourceGroup", "resourceGroupName"),
        ("azure-native:containerservice:ManagedCluster", "resourceName"),
        ("azure-native:containerservice:AgentPool", "agentPoolName"),
        ("azure-native:storage:StorageAccount", "accountName"),
        ("azure-native:storage:BlobContainer", "containerName"),
        ("azure-native:network:Subnet", "subnetName"),
        ("azure-native:authorization:RoleAssignment", "roleAssignmentName"),
        ("pulumi:providers:aws", None),
    ],
)
def test_what_the_real_provider_names(token: str, prop: str | None) -> None:
    package = token.split(":")[2] if token.startswith("pulumi:") else token.partition(":")[0]
    assert autoname_property(package, token) == prop


@pytest.mark.parametrize(
    ("token", "args"),
    [
        ("aws:index/getCallerIdentity:getCallerIdentity", {}),
        (
            "aws:index/getAvailabilityZones:getAvailabilityZones",
            {"state": "available", "filters": [{"name": "n", "values": ["v"]}]},
        ),
        ("aws:ssm/getParameter:getParameter", {"name": "/aws/service/x"}),
        ("aws:lambda/getFunction:getFunction", {"functionName": "f"}),
        ("gcp:organizations/getClientConfig:getClientConfig", {}),
        ("gcp:container/getEngineVersions:getEngineVersions", {"location": "us-central1", "versionPrefix": "1.34."}),
        ("azure-native:authorization:getClientConfig", {}),
        (
            "azure-native:containerservice:listManagedClusterUserCredentials",
            {"resourceGroupName": "g", "resourceName": UNKNOWN},
        ),
    ],
)
def test_functions_take_what_the_sdk_says(token: str, args: dict[str, Any]) -> None:
    package = token.partition(":")[0]
    assert validate_invoke(package, token, args) == []
    assert [f.path for f in validate_invoke(package, token, {**args, "nonesuch": 1})] == ["nonesuch"]


def test_functions_check_types_and_names() -> None:
    zones = "aws:index/getAvailabilityZones:getAvailabilityZones"
    assert [f.path for f in validate_invoke("aws", zones, {"filters": [{"name": "n"}]})] == ["filters[0].values"]
    [failure] = validate_invoke("aws", "aws:index/getNothing:getNothing", {})
    assert "no function" in failure.reason


@pytest.mark.parametrize("key", ["aws: node group", "gcp: node pool", "azure-native: cluster"])
def test_a_resource_takes_milliseconds_once_its_types_are_read(key: str) -> None:
    case = VALID[key]
    validate(case.package, case.type, case.inputs)
    start = time.perf_counter()
    for _ in range(20):
        validate(case.package, case.type, case.inputs)
    assert (time.perf_counter() - start) / 20 < 0.02


def test_one_cloud_loads_no_other() -> None:
    """Plugins are three processes; each pays for its own SDK alone, and none for the vendors' clients."""
    program = (
        "import sys; from sandbox.providers.validation import validate;"
        "validate('aws', 'aws:eks/nodeGroup:NodeGroup', {});"
        "print(*{m.split('.')[0] for m in sys.modules})"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert not {"pulumi_gcp", "pulumi_azure_native", "botocore", "googleapiclient"} & set(loaded.split())


REGIONS = {Cloud.AWS: "us-east-1", Cloud.GCP: "us-central1", Cloud.AZURE: "swedencentral"}
ADMIN = {
    Cloud.AWS: "arn:aws:iam::111122223333:role/Platform",
    Cloud.GCP: "group:platform@example.com",
    Cloud.AZURE: "00000000-0000-0000-0000-000000000001",
}
# What the recorder's clouds do not compute arrives as None and is left out: here it counts as not known yet.
RECORDER_LACKS = {
    "aws:kms/alias:Alias": {"targetKeyId": UNKNOWN},
}


def _pools(cloud: Cloud, *, spot: bool) -> list[AcceleratorPool]:
    """One pool for each machine the catalogue offers there, and for each TPU slice."""
    here = [m for m in machines() if m.cloud is cloud and m.accelerator and not m.accelerator.withdrawn]
    slices = [tpu_slice(a, t) for a in TOPOLOGIES for t in TOPOLOGIES[a]] if cloud is Cloud.GCP else []
    wanted = [(m, None) for m in here if not m.accelerator.name.startswith("tpu-")] + [(s.machine, s) for s in slices]
    return [
        AcceleratorPool(
            name=f"p{index}",
            physical_name=f"p{index}",
            cloud=cloud,
            region=REGIONS[cloud],
            machine=hardware,
            spot=spot,
            min_nodes=tpu.hosts if tpu else 0,
            max_nodes=tpu.hosts if tpu else 4,
            start_nodes=tpu.hosts if tpu else 1,
            zones=zones(cloud, REGIONS[cloud])[:1],
            disk_gib=200,
            tpu=tpu,
            fabric=node_fabric(hardware),
            numa=None if tpu else Numa.BEST_EFFORT,
        )
        for index, (hardware, tpu) in enumerate(wanted)
    ]


def _platform(cloud: Cloud, *, nat: Nat, spot: bool) -> None:
    """All components of a cloud, every accelerator in one cluster."""
    made, region, tags = kit(cloud), REGIONS[cloud], {"owner": "platform"}
    in_zones = zones(cloud, region)[:2]
    # An account is a project on GCP and a subscription on Azure.
    account = "00000000-0000-0000-0000-0000000005ab" if cloud is Cloud.AZURE else "test-project"
    made.provider("provider", ProviderArgs(region=region, account=account, tags=tags), pulumi.ResourceOptions())
    network = made.network(
        "main", NetworkArgs(name="dev-main", region=region, cidr="10.0.0.0/16", zones=in_zones, nat=nat, tags=tags)
    )
    cluster = made.cluster(
        "main",
        ClusterArgs(
            name="dev-main",
            region=region,
            kubernetes="1.34",
            # Without a way out, nodes reach a private API alone.
            api=ApiSpec(private=nat is Nat.NONE),
            admins=(ADMIN[cloud],),
            protect=True,
            tags=tags,
            network=network,
            system_machine=made.default_machine,
            system_nodes=(1, 3),
            fabric=True,
        ),
    )
    if made.system_pool is not None:
        sizes = {"machine": made.default_machine, "min_nodes": 1, "max_nodes": 3}
        made.system_pool("main-system", SystemPoolArgs(cluster=cluster, zones=in_zones, tags=tags, **sizes))
    for pool in _pools(cloud, spot=spot):
        made.node_pool(f"main-{pool.name}", NodePoolArgs(cluster=cluster, pool=pool, tags=tags))
    store = made.object_store(
        "main-weights",
        ObjectStoreArgs(
            name=made.store_name("accelfleet", "dev", "main", "weights"),
            region=region,
            network=network,
            versioned=True,
            expire_noncurrent_days=30,
            protect=False,
            tags=tags,
        ),
    )
    made.workload_identity(
        "main-llm", WorkloadIdentityArgs(cluster=cluster, namespace="models", service_account="llm", store=store, tags=tags)
    )


@pytest.fixture
def identities(monkeypatch: pytest.MonkeyPatch) -> None:
    """ARM takes a list of identities and answers a map of them, which the recorder does not."""
    answers = mocked_engine._computed

    def computed(type_: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        extra = {"identity": {"type": "UserAssigned", "userAssignedIdentities": {"main-id": {"clientId": "main"}}}}
        return answers(type_, name, inputs) | (extra if type_.endswith(":ManagedCluster") else {})

    monkeypatch.setattr(mocked_engine, "_computed", computed)


@pytest.mark.usefixtures("identities")
@pytest.mark.parametrize("spot", [False, True], ids=["on-demand", "spot"])
@pytest.mark.parametrize("nat", Nat)
@pytest.mark.parametrize("cloud", PUBLIC)
def test_our_own_components_pass_for_every_machine_of_the_catalogue(deploy: Any, cloud: Cloud, nat: Nat, spot: bool) -> None:
    recorded = deploy(lambda: _platform(cloud, nat=nat, spot=spot))
    package = kit(cloud).config_namespace
    ours = [r for r in recorded.resources if r.type.startswith(f"{package}:") or r.type == f"pulumi:providers:{package}"]
    assert len(ours) > len(_pools(cloud, spot=spot))
    wrong = {
        r.name: found for r in ours if (found := validate(package, r.type, {**RECORDER_LACKS.get(r.type, {}), **r.inputs}))
    }
    assert wrong == {}
    asked = {token: found for token, args in recorded.invokes if (found := validate_invoke(package, token, args))}
    assert asked == {}
