"""User data of an EKS node: what happens at its boot that the node group has no setting for.

MIME parts, which a managed group merges with its own: https://docs.aws.amazon.com/eks/latest/userguide/launch-templates.html;
so does Karpenter: https://karpenter.sh/docs/concepts/nodeclasses/#al2023-2
"""

from __future__ import annotations

import base64
import json

from fleet.catalog.numa import CPU_MANAGER_POLICY, Numa
from fleet.catalog.sharing import Sharing


def user_data(sharing: Sharing | None = None, numa: Numa | None = None) -> str | None:
    """The parts that a pool needs, base64 as a launch template has them; None where it needs none."""
    text = parts(sharing, numa)
    return base64.b64encode(text.encode()).decode() if text is not None else None


def parts(sharing: Sharing | None = None, numa: Numa | None = None) -> str | None:
    """The same in plain text, as an EC2NodeClass has them."""
    needed = [part for part in (_kubelet(numa), _mig(sharing)) if part]
    if not needed:
        return None
    lines = ["MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="//"', ""]
    for kind, text in needed:
        lines += ["--//", f"Content-Type: {kind}", "", text, ""]
    return "\n".join([*lines, "--//--", ""])


def _kubelet(numa: Numa | None) -> tuple[str, str] | None:
    """For nodeadm, which joins it to what EKS says: https://awslabs.github.io/amazon-eks-ami/nodeadm/doc/api/."""
    if numa is None:
        return None
    kubelet = {"config": {"cpuManagerPolicy": CPU_MANAGER_POLICY, "topologyManagerPolicy": numa.topology_policy}}
    config = {"apiVersion": "node.eks.aws/v1alpha1", "kind": "NodeConfig", "spec": {"kubelet": kubelet}}
    return "application/node.eks.aws", json.dumps(config, indent=2)


def _mig(sharing: Sharing | None) -> tuple[str, str] | None:
    """Cuts every GPU of the node before the kubelet starts.

    Profiles by name: https://docs.nvidia.com/datacenter/tesla/mig-user-guide/getting-started-with-mig.html
    """
    if sharing is None or sharing.profile is None:
        return None
    instances = ",".join([sharing.profile] * sharing.slots)
    lines = (
        "#!/bin/bash",
        # A GPU that cannot be cut must not serve whole: without its plugin's resources the node stays empty.
        "set -euo pipefail",
        "nvidia-smi -mig 1",
        f"nvidia-smi mig -cgi {instances} -C",
    )
    return 'text/x-shellscript; charset="us-ascii"', "\n".join(lines)
