"""What to do about the refusals that come most: no capacity there, a quota too small, sealed secrets, a full disk.

The cloud's words stay as they are; this adds what they leave out. Who knows no better says nothing.
Words: https://docs.aws.amazon.com/eks/latest/userguide/troubleshooting.html and containers-roadmap#2204,
https://cloud.google.com/compute/docs/troubleshooting/troubleshooting-resource-availability,
https://learn.microsoft.com/troubleshoot/azure/azure-kubernetes/error-codes
"""

from __future__ import annotations

import re

_CAPACITY = re.compile(
    r"InsufficientInstanceCapacity|UnfulfillableCapacity|do not have sufficient \S+ capacity"
    r"|ZONE_RESOURCE_POOL_EXHAUSTED|GCE_STOCKOUT|does not have enough resources available"
    r"|\b(Zonal)?AllocationFailed|Overconstrained(Zonal)?AllocationRequest|SkuNotAvailable"
)
_QUOTA = re.compile(
    r"VcpuLimitExceeded|MaxSpotInstanceCountExceeded|Insufficient (regional )?quota|QUOTA_EXCEEDED|Quota '[^']+' exceeded"
    r"|QuotaExceeded|exceeding approved .* quota",
    re.IGNORECASE,
)


_SEALED = re.compile(r"incorrect passphrase|passphrase must be set|cipher: message authentication failed")
# As Go and the C library say it.
_FULL = re.compile("no space left on device", re.IGNORECASE)


def advice(stack: str, error: str) -> str | None:
    """One sentence for somebody who reads that error of that stack's run; None where there is nothing to add."""
    if _QUOTA.search(error):
        return f"a quota is too small: `fleet quota --stack {stack}` says which are needed, and where to ask for them"
    if _SEALED.search(error):
        return (
            "the passphrase or key is not the one that this stack's secrets were sealed with: set PULUMI_CONFIG_PASSPHRASE or "
            f"sign in to the key's cloud; `fleet state verify --stack {stack}` names the last good backup of its state"
        )
    if _FULL.search(error):
        return (
            "a disk of this machine is full (state, copies, logs or scratch space): free some of it and run the same command "
            "again, which takes over what was made"
        )
    if _CAPACITY.search(error):
        return (
            "the cloud has no such machine free there now: name more zones in the pool, or give it another rung under "
            "capacity: (docs/capacity.md); min: 0 lets `up` succeed and the autoscaler wait"
        )
    return None
