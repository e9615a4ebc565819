"""GKE workload identity: one Kubernetes service account reads one bucket, without a key and without the node's account.

Grants reading only, straight to the service account's principal: no Google service account stands in between.
"""

from __future__ import annotations

import pulumi
import pulumi_gcp as gcp

from infra.clouds.base import WorkloadIdentityArgs
from infra.clouds.gcp.cluster import GkeCluster
from infra.clouds.gcp.object_store import GcsStore


class GkeWorkloadIdentity(pulumi.ComponentResource):
    """A role on the bucket for the principal of one service account (pain 15).

    Follows "Authenticate to Google Cloud APIs from GKE workloads". The pool is the project's, so the principal names
    namespace and account but no cluster: the same pair in another cluster of the project reads the bucket, too. Where
    that is not wanted, give each cluster a project. The pod needs no annotation.
    """

    service_account_annotations: pulumi.Output[dict[str, str]]
    pod_labels: dict[str, str]

    def __init__(
        self, name: str, args: WorkloadIdentityArgs[GkeCluster, GcsStore], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("accelfleet:gcp:GkeWorkloadIdentity", name, {}, opts)
        principal = pulumi.Output.format(
            "principal://iam.googleapis.com/projects/{0}/locations/global/workloadIdentityPools/{1}/subject/ns/{2}/sa/{3}",
            args.cluster.project_number,
            args.cluster.workload_pool,
            args.namespace,
            args.service_account,
        )
        gcp.storage.BucketIAMMember(
            f"{name}-read",
            bucket=args.store.bucket_name,
            role="roles/storage.objectViewer",
            member=principal,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.service_account_annotations = pulumi.Output.from_input({})
        self.pod_labels = {}
        self.register_outputs({"serviceAccountAnnotations": self.service_account_annotations})
