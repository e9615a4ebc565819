"""A Cloud TPU VM: TPU v2 and v3, which no GKE node pool has everywhere, with an account of its own and no public address.

Owns the machine or slice, its account with rights on the stores it names, and the way in for SSH, which is Google's
Identity-Aware Proxy. What is on its disk goes with it; a spot one that Google took is made anew by deleting it first
(https://docs.cloud.google.com/tpu/docs/managing-tpus-tpu-vm). Needs the Cloud TPU API (`tpu.googleapis.com`).
"""

from __future__ import annotations

import pulumi
import pulumi_gcp as gcp

from fleet import naming
from infra.clouds.base import TpuVmArgs
from infra.clouds.gcp.cluster import SCOPES
from infra.clouds.gcp.network import GcpNetwork
from infra.clouds.gcp.object_store import GcsStore

_READER, _WRITER = "roles/storage.objectViewer", "roles/storage.objectUser"
# https://cloud.google.com/iap/docs/using-tcp-forwarding#create-firewall-rule
_IAP = "35.235.240.0/20"


class TpuVm(pulumi.ComponentResource):
    """One node of the Cloud TPU API, which is a machine for each four chips.

    Attributes:
        vm_name: for `gcloud compute tpus tpu-vm ssh --tunnel-through-iap`. account: whom it acts as.
    """

    vm_name: pulumi.Output[str]
    account: pulumi.Output[str]

    def __init__(self, name: str, args: TpuVmArgs[GcpNetwork, GcsStore], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:gcp:TpuVm", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        account = gcp.serviceaccount.Account(
            f"{name}-account",
            account_id=naming.physical(args.name, limit=30),
            display_name=f"TPU VM {args.name}",
            opts=child,
        )
        grants = [
            gcp.storage.BucketIAMMember(
                f"{name}-{what}-{i}", bucket=store.bucket_name, role=role, member=account.member, opts=child
            )
            for what, role, stores in (("reads", _READER, args.reads), ("writes", _WRITER, args.writes))
            for i, store in enumerate(stores)
        ]
        gcp.compute.Firewall(
            f"{name}-iap",
            name=naming.physical(args.name, "iap"),
            project=args.network.project,
            network=args.network.network_id,
            direction="INGRESS",
            source_ranges=[_IAP],
            target_service_accounts=[account.email],
            allows=[gcp.compute.FirewallAllowArgs(protocol="tcp", ports=["22"])],
            opts=child,
        )
        vm = gcp.tpu.V2Vm(
            f"{name}-vm",
            name=args.name,
            zone=args.zone,
            accelerator_type=args.type,
            runtime_version=args.runtime,
            network_config=gcp.tpu.V2VmNetworkConfigArgs(
                network=args.network.network_id, subnetwork=args.network.subnetwork_id, enable_external_ips=False
            ),
            scheduling_config=gcp.tpu.V2VmSchedulingConfigArgs(spot=True) if args.spot else None,
            service_account=gcp.tpu.V2VmServiceAccountArgs(email=account.email, scopes=SCOPES),
            shielded_instance_config=gcp.tpu.V2VmShieldedInstanceConfigArgs(enable_secure_boot=True),
            metadata={"enable-oslogin": "TRUE", "block-project-ssh-keys": "TRUE"},
            labels=args.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=grants, protect=args.protect),
        )
        self.vm_name, self.account = vm.name, account.email
        self.register_outputs({"vmName": self.vm_name, "account": self.account})
