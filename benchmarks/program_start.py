"""What a program of one cloud costs before its first resource, against importing every SDK as a plain program would.

Our side does more: it loads the stack file, builds every component of aws-dev and runs them to the end under mocks.
"""

from __future__ import annotations

import sys

from benchmarks.measure import Aim, Ratio, child, interleave, memory, seconds
from fleet.workspace import ROOT

NAME = "program-start"

_NAIVE = """
import pulumi_aws as aws, pulumi_gcp as gcp, pulumi_azure_native as azure, pulumi_kubernetes as k8s
aws.eks.Cluster, aws.ec2.Vpc, aws.iam.Role, aws.s3.Bucket
gcp.container.Cluster, gcp.compute.Network, gcp.storage.Bucket, gcp.serviceaccount.Account
azure.containerservice.ManagedCluster, azure.network.VirtualNetwork, azure.storage.StorageAccount
azure.managedidentity.UserAssignedIdentity, azure.authorization.RoleAssignment
k8s.core.v1.Namespace, k8s.apps.v1.Deployment, k8s.helm.v4.Chart, k8s.yaml.v2.ConfigGroup
"""
_BUILD = """
from fleet.load import load_stack
from fleet.workspace import STACKS
from infra.platform import deploy
from infra.stack import Stack
from tests.mocked_engine import deploy as run
stack = Stack("aws-dev", load_stack(STACKS / "aws-dev.yaml"))
made = run(lambda: deploy(stack), stack="aws-dev").resources
assert len(made) > 50, len(made)
"""
_LOAD = """
from fleet.catalog.clouds import Cloud
from infra.clouds import kit
import infra.platform
kit(Cloud.AWS)
"""

_LOADED = "aws-dev's modules loaded"
_BUILT = "aws-dev loaded and built under mocks"
_ALL = "all four SDKs, 17 classes"


def measure(quick: bool) -> list[Ratio]:
    def python(code: str) -> list[str]:
        # Each deprecated class of an SDK warns when its module loads.
        return [sys.executable, "-W", "ignore", "-c", code]

    sides = {
        _ALL: lambda: child(python(_NAIVE), ROOT),
        _LOADED: lambda: child(python(_LOAD), ROOT),
        _BUILT: lambda: child(python(_BUILD), ROOT),
    }
    runs = interleave(sides, 3 if quick else 7)
    return [
        seconds(NAME, runs, _ALL, _LOADED, Aim(4, at_least=True)),
        seconds(NAME, runs, _ALL, _BUILT),
        memory(NAME, runs, _ALL, _BUILT),
    ]
