"""One virtual machine with a GPU in the node subnet: no address of its own, an SSH key and no password.

Reached from inside of the network, or by Azure Bastion beside it. What is on its disk goes with it.
"""

from __future__ import annotations

import pulumi
from pulumi_azure_native import compute, network

from fleet.spec_services import MachineSpec, ServicePurchase
from infra.clouds.azure.network import AzureNetwork
from infra.clouds.azure.services.rights import identity
from infra.clouds.services import ServiceArgs

# Ubuntu with NVIDIA's driver, and plain. https://learn.microsoft.com/azure/virtual-machines/azure-hpc-vm-images
_GPU_IMAGE = {"publisher": "microsoft-dsvm", "offer": "ubuntu-hpc", "sku": "2204"}
_IMAGE = {"publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server"}
_USER = "operator"


class VirtualMachine(pulumi.ComponentResource):
    """Attributes:
    address: the machine's id.
    """

    address: pulumi.Output[str]

    def __init__(self, name: str, args: ServiceArgs[MachineSpec, AzureNetwork], opts: pulumi.ResourceOptions) -> None:
        super().__init__("accelfleet:azure:VirtualMachine", name, None, opts)
        child, spec = pulumi.ResourceOptions(parent=self), args.spec
        assert args.machine is not None, "a machine runs on one"
        gpu, spot = args.machine.accelerator is not None, spec.purchase is ServicePurchase.SPOT
        who, granted = identity(self, name, args)
        common = {"resource_group_name": args.network.resource_group_name, "location": args.region, "tags": args.tags}
        card = network.NetworkInterface(
            f"{name}-nic",
            network_interface_name=args.named(limit=80),
            ip_configurations=[
                network.NetworkInterfaceIPConfigurationArgs(
                    name="private",
                    subnet=network.SubnetArgs(id=next(iter(args.network.subnets.values())).id),
                    private_ip_allocation_method="Dynamic",
                )
            ],
            opts=child,
            **common,
        )
        key = compute.SshPublicKeyArgs(key_data=spec.ssh_key, path=f"/home/{_USER}/.ssh/authorized_keys")
        machine = compute.VirtualMachine(
            f"{name}-machine",
            vm_name=args.named(),
            hardware_profile=compute.HardwareProfileArgs(vm_size=args.machine.name),
            priority="Spot" if spot else "Regular",
            eviction_policy="Deallocate" if spot else None,
            # -1: up to the price on demand, so that only capacity takes it away.
            billing_profile=compute.BillingProfileArgs(max_price=-1) if spot else None,
            identity=compute.VirtualMachineIdentityArgs(type="UserAssigned", user_assigned_identities=[who.id]),
            os_profile=compute.OSProfileArgs(
                computer_name=args.named(),
                admin_username=_USER,
                linux_configuration=compute.LinuxConfigurationArgs(
                    disable_password_authentication=True, ssh=compute.SshConfigurationArgs(public_keys=[key])
                ),
            ),
            # NVIDIA's driver of that image is not signed for Secure Boot.
            security_profile=compute.SecurityProfileArgs(
                security_type="TrustedLaunch",
                uefi_settings=compute.UefiSettingsArgs(secure_boot_enabled=not gpu, v_tpm_enabled=True),
            ),
            storage_profile=compute.StorageProfileArgs(
                image_reference=compute.ImageReferenceArgs(version="latest", **(_GPU_IMAGE if gpu else _IMAGE)),
                os_disk=compute.OSDiskArgs(
                    create_option="FromImage",
                    delete_option="Delete",
                    disk_size_gb=spec.disk_gib,
                    # Azure encrypts every managed disk.
                    managed_disk=compute.ManagedDiskParametersArgs(storage_account_type="Premium_LRS"),
                ),
            ),
            network_profile=compute.NetworkProfileArgs(
                network_interfaces=[compute.NetworkInterfaceReferenceArgs(id=card.id, primary=True, delete_option="Detach")]
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=granted, protect=args.protect),
            **common,
        )
        self.address = machine.id
        self.register_outputs({"address": self.address})
