"""Facts about who reaches a cluster: the ranges that its API takes, and its admins."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Network

from fleet.catalog.clouds import Cloud, regions
from fleet.checks.finding import Finding, Path, fields, listed
from fleet.checks.network import PRIVATE
from fleet.plan import network_zones
from fleet.spec import ClusterSpec
from fleet.spec_network import Nat

# No organisation's own range is wider than a /8.
_WIDEST_API_RANGE = 8
# https://docs.aws.amazon.com/eks/latest/userguide/service-quotas.html (not adjustable),
# https://cloud.google.com/kubernetes-engine/docs/how-to/authorized-networks (clusters with private nodes),
# https://learn.microsoft.com/azure/aks/api-server-authorized-ip-ranges; read 2026-11-23.
_MOST_API_RANGES = {Cloud.AWS: 40, Cloud.GCP: 100, Cloud.AZURE: 200}
# EKS takes no reserved address for its public endpoint, AKS public ones only; GKE's list serves its private one too.
# https://docs.aws.amazon.com/eks/latest/userguide/config-cluster-endpoint.html
_NOT_ON_INTERNET = (*PRIVATE, *(IPv4Network(n) for n in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")))
_ADMIN = {
    Cloud.AWS: (
        re.compile(r"^arn:aws[a-z-]*:iam::\d{12}:(role|user)/\S+$"),
        "an IAM ARN such as arn:aws:iam::123456789012:role/Admin",
    ),
    Cloud.GCP: (
        re.compile(r"^((user|group|serviceAccount):)?[^@\s:]+@[^@\s:]+\.[^@\s:]+$"),
        "a Google group such as ml-admins@example.com, or an account such as user:ada@example.com",
    ),
    Cloud.AZURE: (re.compile(r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"), "an Entra group's object id, a GUID"),
}


def check(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    """Faults of `api` and `admins`."""
    yield from _api(path, cluster)
    yield from _ranges(path, cluster)
    yield from _admins(path, cluster)


def _api(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    api, where = cluster.api, (*path, "api")
    both = fields(where, "private", "allowed_cidrs")
    if api.private and api.allowed_cidrs:
        message = "a private API has no public range to allow"
        ranges = listed(api.allowed_cidrs)
        yield Finding((*where, "allowed_cidrs"), message, ranges, "private, or ranges", "remove one of the two", needs=both)
    elif not api.private and not api.allowed_cidrs:
        message = "nobody is named who may reach the Kubernetes API"
        remedy = "add allowed_cidrs: [<your range>]"
        yield Finding(where, message, "", "private: true, or allowed_cidrs", remedy, at_key=True, needs=both)


def _ranges(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    ranges, where, cloud = cluster.api.allowed_cidrs, (*path, "api", "allowed_cidrs"), (*path, "cloud")
    for i, block in enumerate(ranges):
        at = (*where, i)
        if block.prefixlen < _WIDEST_API_RANGE:
            message = "opens the Kubernetes API to the internet at large"
            yield Finding(at, message, str(block), "your own ranges", "name your ranges")
        elif cluster.cloud is not Cloud.GCP and any(block.subnet_of(inside) for inside in _NOT_ON_INTERNET):
            message = f"no request comes to {cluster.cloud}'s public endpoint from there"
            remedy = "name the public addresses that your network is seen by, or set private: true"
            yield Finding(at, message, str(block), "ranges of the internet", remedy, needs=(at, cloud))
    most = _MOST_API_RANGES[cluster.cloud]
    needs: tuple[Path, ...] = (where, cloud)
    if cluster.cloud is Cloud.AZURE and cluster.region in regions(cluster.cloud) and not cluster.network.existing:
        # The nodes' own way out is on the list, too.
        nat = cluster.network.nat
        most -= {Nat.NONE: 0, Nat.SINGLE: 1, Nat.PER_ZONE: len(network_zones(cluster))}[nat]
        needs = (*needs, (*path, "network"), (*path, "region"))
    if len(ranges) > most:
        message = f"{cluster.cloud} takes {most} ranges for an API"
        yield Finding(where, message, f"{len(ranges)} ranges", f"up to {most}", "join neighbours to wider ranges", needs=needs)


def _admins(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    pattern, shape = _ADMIN[cluster.cloud]
    seen: dict[str, str] = {}
    for i, admin in enumerate(cluster.admins):
        where: Path = (*path, "admins", i)
        # The resource that admits somebody is named so: what differs in punctuation alone would be there twice.
        key = re.sub(r"[^a-z0-9]+", "-", admin.lower())
        if not pattern.match(admin):
            message = f"is no admin as {cluster.cloud} names them"
            yield Finding(where, message, repr(admin), shape, "write it in that form", needs=(where, (*path, "cloud")))
        elif key in seen:
            needs = (where, (*path, "admins", list(seen).index(key)))
            message = "is named twice" if admin == seen[key] else f"is {seen[key]} once punctuation and case are gone"
            yield Finding(where, message, repr(admin), "each admin once", "remove one of the two", needs=needs)
        seen.setdefault(key, admin)
