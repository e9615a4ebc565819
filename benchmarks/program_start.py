"""What a program of one cloud costs before its first resource, against importing every SDK as a plain program would.

Our side does more: it loads the stack file, builds every component of aws-dev and runs them to the end under mocks.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

from benchmarks.measure import Aim, Ratio, Run, child, interleave, memory, seconds
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
_TOUCH = """
import sys
from operator import attrgetter
from fleet.catalog.clouds import Cloud
import infra.platform
import pulumi_aws as aws, pulumi_kubernetes as kubernetes
infra.platform.kit(Cloud.AWS)
for name in sys.argv[1:]:
    package, _, path = name.partition(".")
    attrgetter(path)({"aws": aws, "kubernetes": kubernetes}[package])
"""

_ALL = "all four SDKs, 17 classes"
_TOUCHED = "aws-dev's modules, and all classes they name"
_BUILT = "aws-dev loaded and built under mocks"


def measure(quick: bool) -> list[Ratio]:
    def python(code: str, *args: str) -> Callable[[], Run]:
        # Each deprecated class of an SDK warns when its module loads.
        return lambda: child([sys.executable, "-W", "ignore", "-c", code, *args], ROOT)

    sides = {_ALL: python(_NAIVE), _TOUCHED: python(_TOUCH, *platform_classes()), _BUILT: python(_BUILD)}
    runs = interleave(sides, 3 if quick else 7)
    return [
        seconds(NAME, runs, _ALL, _TOUCHED, Aim(4, at_least=True)),
        memory(NAME, runs, _ALL, _TOUCHED),
        seconds(NAME, runs, _ALL, _BUILT),
    ]


def platform_classes() -> list[str]:
    """Every `aws.<module>.<Class>` and `kubernetes.….<Class>` that an AWS stack's components name."""
    sources = [*(ROOT / "infra" / "clouds" / "aws").glob("*.py"), *(ROOT / "infra" / "kubernetes").glob("*.py")]
    text = "\n".join(path.read_text() for path in [*sources, ROOT / "infra" / "platform.py"])
    return sorted(set(re.findall(r"(?<![\w.])(?:aws|kubernetes)(?:\.[a-z]\w*)+\.[A-Z]\w*", text)))
