"""GCP values, by the discovery documents that google-api-python-client ships: a resource's schema says what it may hold.

Owns which document and schema belong to a type token, and where the provider's names part from the API's. A type that is
not mapped has no opinion here.
"""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from sandbox.providers.validation.failure import Failure
from sandbox.providers.validation.model import Aliases, Kind, Node, walk
from sandbox.providers.validation.names import normal

# Token module → (document, prefix of its schemas' names).
_DOCUMENTS: Final[Mapping[str, tuple[str, str]]] = {
    "artifactregistry": ("artifactregistry.v1", ""),
    "bigquery": ("bigquery.v2", ""),
    "certificatemanager": ("certificatemanager.v1", ""),
    "cloudfunctionsv2": ("cloudfunctions.v2", ""),
    "cloudrunv2": ("run.v2", "GoogleCloudRunV2"),
    "cloudscheduler": ("cloudscheduler.v1", ""),
    "compute": ("compute.v1", ""),
    "container": ("container.v1", ""),
    "dns": ("dns.v1", ""),
    "filestore": ("file.v1", ""),
    "gkehub": ("gkehub.v1", ""),
    "kms": ("cloudkms.v1", ""),
    "logging": ("logging.v2", ""),
    "monitoring": ("monitoring.v3", ""),
    "pubsub": ("pubsub.v1", ""),
    "redis": ("redis.v1", ""),
    "secretmanager": ("secretmanager.v1", ""),
    "serviceaccount": ("iam.v1", ""),
    "sql": ("sqladmin.v1", ""),
    "storage": ("storage.v1", ""),
    "tpu": ("tpu.v2", ""),
}

_SCHEMAS: Final[Mapping[str, str]] = {
    "gcp:artifactregistry/repository:Repository": "Repository",
    "gcp:compute/globalAddress:GlobalAddress": "Address",
    "gcp:compute/globalForwardingRule:GlobalForwardingRule": "ForwardingRule",
    "gcp:compute/instanceTemplate:InstanceTemplate": "InstanceProperties",
    "gcp:compute/regionInstanceTemplate:RegionInstanceTemplate": "InstanceProperties",
    "gcp:compute/regionDisk:RegionDisk": "Disk",
    "gcp:compute/regionBackendService:RegionBackendService": "BackendService",
    "gcp:compute/regionHealthCheck:RegionHealthCheck": "HealthCheck",
    "gcp:kms/cryptoKey:CryptoKey": "CryptoKey",
    "gcp:serviceaccount/account:Account": "ServiceAccount",
    "gcp:tpu/v2Vm:V2Vm": "Node",
}

_ALIASES: Final[Mapping[str, Aliases]] = {
    "gcp:compute/network:Network": {"routingMode": "routingConfig.routingMode"},
    "gcp:container/cluster:Cluster": {
        "loggingConfig.enableComponents": "loggingConfig.componentConfig.enableComponents",
        "monitoringConfig.enableComponents": "monitoringConfig.componentConfig.enableComponents",
        "datapathProvider": "networkConfig.datapathProvider",
        "privateIpv6GoogleAccess": "networkConfig.privateIpv6GoogleAccess",
        "nodeConfig.guestAccelerators": "nodeConfig.accelerators",
        "nodePools.nodeConfig": "nodePools.config",
        "nodePools.nodeConfig.guestAccelerators": "nodePools.config.accelerators",
    },
    "gcp:container/nodePool:NodePool": {"nodeConfig": "config", "nodeConfig.guestAccelerators": "config.accelerators"},
}


def check_values(token: str, inputs: Mapping[str, Any]) -> Iterator[Failure]:
    """Failures of a gcp resource's values."""
    root = schema_node(token)
    if root is not None:
        yield from walk(inputs, root, _ALIASES.get(token, {}))


@functools.cache
def schema_node(token: str) -> Node | None:
    """The API's resource of a type; None where no schema is sure to be the one."""
    _, module, name = token.split(":")
    folder = module.split("/")[0]
    if folder not in _DOCUMENTS:
        return None
    document, prefix = _DOCUMENTS[folder]
    schemas = _schemas(document)
    schema = _SCHEMAS.get(token, prefix + name)
    return schemas.node({"$ref": schema}) if schema in schemas.documents else None


class _Schemas:
    """One document's schemas, made into nodes when reached."""

    def __init__(self, documents: Mapping[str, Any]) -> None:
        self.documents = documents
        self._nodes: dict[str, Node] = {}

    def node(self, schema: Mapping[str, Any]) -> Node:
        reference = schema.get("$ref")
        if reference is None:
            return self._make(schema)
        if reference not in self._nodes:
            self._nodes[reference] = self._make(self.documents[reference])
        return self._nodes[reference]

    def _make(self, schema: Mapping[str, Any]) -> Node:
        match schema.get("type"):
            case "object" if "properties" in schema:
                return Node("object", members=functools.cache(lambda: self._members(schema)))
            case "object":
                return Node("map")
            case "array":
                return Node("list", item=lambda: self.node(schema["items"]))
            case "string":
                # Numbers of 64 bits travel as strings.
                kind: Kind = "number" if schema.get("format") in ("int64", "uint64") else "string"
                return Node(kind, enum=tuple(schema.get("enum", ())), pattern=schema.get("pattern"))
            case "integer" | "number":
                return Node("number", low=_number(schema.get("minimum")), high=_number(schema.get("maximum")))
        return Node("other")

    def _members(self, schema: Mapping[str, Any]) -> Mapping[str, Node]:
        # What only the service writes is not what a program gives under the same name.
        return {normal(k): self.node(v) for k, v in schema["properties"].items() if not v.get("readOnly")}


def _number(text: str | None) -> float | None:
    return float(text) if text is not None else None


@functools.cache
def _schemas(document: str) -> _Schemas:
    found = importlib.util.find_spec("googleapiclient")
    if found is None or found.origin is None:
        raise RuntimeError(
            "google-api-python-client is not installed: it carries GCP's API models; pip install -r requirements-dev.txt"
        )
    path = Path(found.origin).parent / "discovery_cache" / "documents" / f"{document}.json"
    return _Schemas(json.loads(path.read_text(encoding="utf-8"))["schemas"])
