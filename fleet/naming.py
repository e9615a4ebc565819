"""Names and tags, as pure functions: the same spec always gives the same names.

Deterministic names are what lets a crashed run be recovered: a resource that no state mentions is found again by
its name and its `accelfleet-stack` tag. Refuses randomness; a name that a cloud cannot hold is an error, not a cut.
"""

from __future__ import annotations

import hashlib
import re


def physical(*parts: str, limit: int = 63) -> str:
    """Parts joined by hyphens; too long a name keeps its head and ends in a hash of the whole."""
    name = "-".join(p for p in parts if p)
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{name[: limit - 7].rstrip('-')}-{digest}"


def cluster(stack: str, name: str) -> str:
    """A cluster's name in its cloud. GKE allows 40 characters, the least of the three."""
    return physical(stack, name, limit=40)


def fabric_network(cluster: str, pool: str, network: str) -> str:
    """A VPC or subnet of a GKE pool's fabric; GCP allows 63 characters.

    >>> fabric_network("dev-main", "train", "rdma-0")
    'dev-main-train-rdma-0'
    """
    return physical(cluster, pool, network)


def global_name(*parts: str, limit: int = 63) -> str:
    """A name that must be unique in the whole world (S3, GCS): the parts and a hash of them, always."""
    digest = hashlib.sha256("/".join(parts).encode()).hexdigest()[:8]
    return f"{physical(*parts, limit=limit - 9)}-{digest}"


def storage_account(*parts: str) -> str:
    """An Azure storage account: 3 to 24 lower-case letters and digits, unique in the world."""
    digest = hashlib.sha256("/".join(parts).encode()).hexdigest()[:8]
    letters = re.sub(r"[^a-z0-9]", "", "".join(parts).lower())
    return f"{letters[:16]}{digest}"


def aks_pool(name: str) -> str:
    """An AKS agent pool: up to 12 lower-case letters and digits."""
    return name.replace("-", "")


def tags(*, stack: str, environment: str, owner: str, cluster: str) -> dict[str, str]:
    """Ownership tags for everything that takes tags; keys and values fit AWS, GCP labels and Azure alike."""
    raw = {
        "accelfleet-stack": stack,
        "accelfleet-environment": environment,
        "accelfleet-owner": owner,
        "accelfleet-cluster": cluster,
    }
    return {key: re.sub(r"[^a-z0-9_-]", "-", value.lower())[:63] for key, value in raw.items()}
