"""`pulumi-resource-kubernetes`."""

from sandbox.providers.base import serve
from sandbox.providers.kubernetes.provider import Kubernetes

serve(Kubernetes())
