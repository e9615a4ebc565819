"""What this platform's own add-ons do not meet, each with its reason and its end: waived in every stack, by what was found.

A row waives one value of one rule and nothing else: an image by its name, so that another tag is judged again. After a
row's end the violation counts again and says so. Images: `python -m infra.digests` pins them where their registries can be
reached, and what is pinned needs no row.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from fleet.spec_policies import WaiverSpec

_ENDS = date(2027, 5, 31)
_BY_TAG = "pinned to its maker's release tag: no registry could be asked for the digest where this was written"
# Of `infra/versions.py`; a test holds the two together. Images of others' charts are named in those charts.
_IMAGES = (
    "nvcr.io/nvidia/k8s-device-plugin:v0.17.4",
    "nvcr.io/nvidia/k8s/dcgm-exporter:4.6.1-4.8.4-distroless",
    "public.ecr.aws/neuron/neuron-device-plugin:2.27.7.0",
    "vault.habana.ai/docker-k8s-device-plugin/docker-k8s-device-plugin:1.14.0",
    "602401143452.dkr.ecr.us-west-2.amazonaws.com/eks/aws-efa-k8s-device-plugin:v0.5.8",
    "registry.k8s.io/autoscaling/cluster-autoscaler:v1.34.4",
    "registry.k8s.io/autoscaling/cluster-autoscaler:v1.35.2",
    "registry.k8s.io/autoscaling/cluster-autoscaler:v1.36.1",
    "docker.io/library/python:3.12-slim",
    "public.ecr.aws/neuron/neuron-scheduler:2.27.7.0",
    "registry.k8s.io/kube-scheduler:v1.34.0",
    "registry.k8s.io/kube-scheduler:v1.35.0",
    "registry.k8s.io/kube-scheduler:v1.36.0",
    "us-docker.pkg.dev/gce-ai-infra/gpudirect-tcpx/nccl-plugin-gpudirecttcpx-dev:v3.1.9",
    "us-docker.pkg.dev/gce-ai-infra/gpudirect-tcpxo/nccl-plugin-gpudirecttcpx-dev:v1.0.16",
    "us-docker.pkg.dev/gce-ai-infra/gpudirect-gib/nccl-plugin-gib:v1.1.0",
    "mcr.microsoft.com/mirror/docker/library/ubuntu:24.04",
)


@dataclass(frozen=True)
class OwnWaiver:
    """A waiver of the pack itself.

    Attributes:
        found: the value that is waived, as the rule found it.
    """

    spec: WaiverSpec
    found: object


def _waiver(rule: str, resource: str, found: object, reason: str) -> OwnWaiver:
    return OwnWaiver(WaiverSpec(rule=rule, resource=resource, reason=reason, expires=_ENDS), found)


OWN = (
    *(_waiver("k8s-image-digest", "*", image, _BY_TAG) for image in _IMAGES),
    _waiver(
        "k8s-image-digest",
        "*-kernel-driver",
        "cos-nvidia-installer:fixed",
        "lies on the node as part of Google's signed image, and is never pulled",
    ),
    _waiver(
        "k8s-one-replica",
        "*-neuron-extender",
        1,
        "two extenders would each keep a list of free devices, and hand one out twice",
    ),
)
