"""Buckets that a program makes: the vendors' own clients read and write them, and they go as their cloud lets them go."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.engine import Engine
from fleet.workspace import Workspace
from sandbox.cloud import daemon
from sandbox.cloud.client import Client
from sandbox.object_stores import azure_key
from sandbox.workspace import sandbox_workspace, shadow_project

pytestmark = [
    pytest.mark.sandbox,
    # Google's core library asks for gRPC's status package, which storage has no use for.
    pytest.mark.filterwarnings("ignore:Please install grpcio-status:ImportWarning"),
]
SETTINGS = {"aws:region": "us-east-1", "gcp:project": "demo", "azure-native:location": "eastus"}
KEY, WEIGHTS = "chat/weights v1.bin", b"\x00weights"

BEGIN = """
import pulumi
from pathlib import Path
force = pulumi.Config().get_bool("force")
package = pulumi.AssetArchive({"app/main.py": pulumi.StringAsset("print('hello')"), "README": pulumi.FileAsset(README)})
"""
S3 = """
import pulumi_aws as aws
bucket = aws.s3.Bucket("store", force_destroy=force)
aws.s3.BucketObjectv2("package", bucket=bucket.bucket, key="package.zip", source=package)
pulumi.export("name", bucket.bucket)
"""
GCS = """
import pulumi_gcp as gcp
bucket = gcp.storage.Bucket("store", location="US", force_destroy=force)
gcp.storage.BucketObject("package", bucket=bucket.name, name="package.zip", source=package)
pulumi.export("name", bucket.name)
"""
BLOB = """
from pulumi_azure_native import resources, storage
group = resources.ResourceGroup("store")
account = storage.StorageAccount(
    "store", resource_group_name=group.name, account_name="keptforever", kind="StorageV2", sku={"name": "Standard_LRS"}
)
container = storage.BlobContainer(
    "files", resource_group_name=group.name, account_name=account.name, container_name="files"
)
storage.Blob(
    "package.zip", resource_group_name=group.name, account_name=account.name, container_name=container.name, source=package
)
pulumi.export("name", container.name)
"""


@dataclass
class Objects:
    """What every vendor's client can do with a bucket."""

    put: Callable[[str, bytes], Any]
    get: Callable[[str], bytes]
    keys: Callable[[], list[str]]


def s3(endpoint: str, name: str) -> Objects:
    import boto3

    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    return Objects(
        lambda key, body: client.put_object(Bucket=name, Key=key, Body=body),
        lambda key: client.get_object(Bucket=name, Key=key)["Body"].read(),
        lambda: [found["Key"] for found in client.list_objects_v2(Bucket=name).get("Contents", [])],
    )


def gcs(endpoint: str, name: str) -> Objects:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    client = storage.Client(project="demo", credentials=AnonymousCredentials(), client_options={"api_endpoint": endpoint})
    bucket = client.bucket(name)
    return Objects(
        lambda key, body: bucket.blob(key).upload_from_string(body, "application/octet-stream"),
        lambda key: bucket.blob(key).download_as_bytes(),
        lambda: [found.name for found in bucket.list_blobs()],
    )


def blob(endpoint: str, name: str) -> Objects:
    files = account(endpoint).get_container_client(name)
    return Objects(files.upload_blob, lambda key: files.download_blob(key).readall(), lambda: list(files.list_blob_names()))


def account(endpoint: str) -> Any:
    from azure.storage.blob import BlobServiceClient

    return BlobServiceClient(f"{endpoint}/keptforever", credential=azure_key("keptforever"))


STORES = {"aws": (S3, s3), "gcp": (GCS, gcs), "azure": (BLOB, blob)}


@dataclass
class Rig:
    """A stack with one bucket in it."""

    cloud: str
    home: Path
    engine: Engine

    def run(self, verb: str, *args: str) -> None:
        done = self.engine.run(verb, *args)
        assert done.ok, done.errors

    def endpoint(self) -> str:
        return str(Client(self.home).call("status")["stores"][self.cloud])

    def objects(self) -> Objects:
        return STORES[self.cloud][1](self.endpoint(), str(self.engine.outputs()["name"]))

    def configure(self, **settings: str) -> None:
        file = self.engine.workspace.project / "config" / "Pulumi.dev.yaml"
        kept = yaml.safe_load(file.read_text()) if file.exists() else {"config": SETTINGS}
        kept["config"] |= {f"stores-{self.cloud}:{key}": value for key, value in settings.items()}
        file.write_text(yaml.safe_dump(kept))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    home = tmp_path_factory.mktemp("stores")
    made = sandbox_workspace(home)
    daemon.start(home)
    yield made
    daemon.stop(home)


@pytest.fixture
def rig(workspace: Workspace, request: pytest.FixtureRequest) -> Iterator[Rig]:
    home = workspace.sandbox
    assert home is not None
    cloud = request.param
    project, program = home / f"{cloud}-project", home / f"{cloud}-program"
    (project / "config").mkdir(parents=True, exist_ok=True)
    program.mkdir(exist_ok=True)
    (program / "README").write_text("read me")
    readme = BEGIN.replace("README)", f"{str(program / 'README')!r})")
    (program / "__main__.py").write_text(readme + STORES[cloud][0])
    about = shadow_project(home / "bin", program, f"stores-{cloud}")
    (project / "Pulumi.yaml").write_text(yaml.safe_dump(about))
    made = Rig(cloud, home, Engine(replace(workspace, project=project), "dev"))
    made.configure(force="false")
    made.engine.init()
    yield made
    made.run("destroy")
    assert [r["id"] for r in Client(home).call("list") if f"::stores-{cloud}::" in r["urn"]] == []


@pytest.mark.parametrize("rig", ["gcp", "azure"], indirect=True)
def test_a_vendors_client_puts_gets_and_lists_and_a_second_run_leaves_it_all(rig: Rig) -> None:
    """S3's round trip is in test_demo."""
    rig.run("up")
    objects = rig.objects()
    objects.put(KEY, WEIGHTS)
    assert objects.get(KEY) == WEIGHTS
    assert sorted(objects.keys()) == [KEY, "package.zip"]
    rig.run("up", "--expect-no-changes")
    assert objects.get(KEY) == WEIGHTS
    rig.configure(force="true")
    rig.run("up")


@pytest.mark.parametrize("rig", list(STORES), indirect=True)
def test_what_the_program_puts_there_is_there(rig: Rig) -> None:
    rig.run("up")
    objects = rig.objects()
    with zipfile.ZipFile(io.BytesIO(objects.get("package.zip"))) as package:
        assert {name: package.read(name) for name in package.namelist()} == {
            "app/main.py": b"print('hello')",
            "README": b"read me",
        }


@pytest.mark.parametrize(("rig", "refusal"), [("aws", "BucketNotEmpty"), ("gcp", "conflict")], indirect=["rig"])
def test_a_bucket_that_holds_something_stays_until_it_is_forced(rig: Rig, refusal: str) -> None:
    rig.run("up")
    objects = rig.objects()
    objects.put(KEY, WEIGHTS)
    refused = rig.engine.run("destroy")
    assert not refused.ok
    assert any(refusal in error and KEY in error for error in refused.errors), refused.errors
    assert objects.get(KEY) == WEIGHTS
    rig.configure(force="true")
    rig.run("up")
    assert objects.get(KEY) == WEIGHTS
    rig.run("destroy")


@pytest.mark.parametrize("rig", ["azure"], indirect=True)
def test_containers_and_blobs_go_with_their_storage_account(rig: Rig) -> None:
    rig.run("up")
    rig.objects().put(KEY, WEIGHTS)
    account(rig.endpoint()).create_container("by-hand").upload_blob("note", b"n")
    rig.run("destroy")
    rig.run("up")
    assert [found.name for found in account(rig.endpoint()).list_containers()] == ["files"]
    assert rig.objects().keys() == ["package.zip"]
