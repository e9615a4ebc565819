"""One Compute Engine machine with a GPU: no address of its own, Shielded VM, reached through IAP with OS Login.

TPUs are Cloud TPU VMs (`infra.clouds.gcp.tpu_vm`) or pools. What is on its disk goes with it: results belong in a store.
Follows "Create an N1 VM that has attached GPUs" and "Use IAP for TCP forwarding".
"""

from __future__ import annotations

import pulumi
import pulumi_gcp as gcp

from fleet.catalog.machines import Machine, gke_boot_disk
from fleet.spec_services import MachineSpec, ServicePurchase
from infra import versions
from infra.clouds.gcp.network import GcpNetwork
from infra.clouds.gcp.services.rights import in_project, service_account
from infra.clouds.services import ServiceArgs

# https://cloud.google.com/iap/docs/using-tcp-forwarding#create-firewall-rule
_IAP = "35.235.240.0/20"


class GceMachine(pulumi.ComponentResource):
    """Attributes:
    address: the instance's name, for `gcloud compute ssh --tunnel-through-iap`.
    """

    address: pulumi.Output[str]

    def __init__(
        self, name: str, args: ServiceArgs[MachineSpec, GcpNetwork], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("accelfleet:gcp:GceMachine", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        assert args.machine is not None, "a machine runs on one"
        row, spot = args.machine, args.spec.purchase is ServicePurchase.SPOT
        account, granted = service_account(self, name, args)
        granted += in_project(self, name, account, "roles/logging.logWriter", "roles/monitoring.metricWriter")
        gcp.compute.Firewall(
            f"{name}-iap",
            name=args.named("iap"),
            project=args.network.project,
            network=args.network.network_id,
            direction="INGRESS",
            source_ranges=[_IAP],
            target_service_accounts=[account.email],
            allows=[gcp.compute.FirewallAllowArgs(protocol="tcp", ports=["22"])],
            opts=child,
        )
        instance = gcp.compute.Instance(
            f"{name}-instance",
            name=args.named(),
            machine_type=row.name,
            zone=args.network.zones[0],
            guest_accelerators=_attached(row),
            boot_disk=gcp.compute.InstanceBootDiskArgs(
                initialize_params=gcp.compute.InstanceBootDiskInitializeParamsArgs(
                    image=versions.GCE_GPU_IMAGE if row.accelerator else versions.GCE_IMAGE,
                    size=args.spec.disk_gib,
                    type=gke_boot_disk(row.name),
                    labels=args.tags,
                )
            ),
            network_interfaces=[gcp.compute.InstanceNetworkInterfaceArgs(subnetwork=args.network.subnetwork_id)],
            service_account=gcp.compute.InstanceServiceAccountArgs(email=account.email, scopes=["cloud-platform"]),
            scheduling=gcp.compute.InstanceSchedulingArgs(
                provisioning_model="SPOT" if spot else "STANDARD",
                preemptible=spot,
                automatic_restart=not spot,
                # A machine with a GPU cannot move to another host.
                on_host_maintenance="TERMINATE" if spot or row.accelerator else "MIGRATE",
                instance_termination_action="STOP" if spot else None,
            ),
            shielded_instance_config=gcp.compute.InstanceShieldedInstanceConfigArgs(
                enable_secure_boot=True, enable_vtpm=True, enable_integrity_monitoring=True
            ),
            metadata={"enable-oslogin": "TRUE", "block-project-ssh-keys": "TRUE", "serial-port-enable": "FALSE"},
            deletion_protection=args.protect,
            labels=args.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=granted,
                protect=args.protect,
                # The family's newest image is for newer machines.
                ignore_changes=["bootDisk.initializeParams.image"],
            ),
        )
        self.address = instance.name
        self.register_outputs({"address": self.address})


def _attached(row: Machine) -> list[gcp.compute.InstanceGuestAcceleratorArgs] | None:
    """GPUs of an N1 machine; other series bring theirs."""
    if row.accelerator is None or not row.name.startswith("n1-"):
        return None
    return [gcp.compute.InstanceGuestAcceleratorArgs(type=str(row.accelerator.gke_name), count=row.accelerators)]
