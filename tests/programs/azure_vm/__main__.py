"""A Linux machine with a public address, from plain pulumi-azure-native: network, security group, interface, machine."""

import pulumi
from pulumi_azure_native import compute, network, resources

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJvdW5kbGVzc2tleWZvcmV4YW1wbGVzb25seTEyMzQ1 someone@example.com"

group = resources.ResourceGroup("vm")
rules = network.NetworkSecurityGroup(
    "rules",
    resource_group_name=group.name,
    security_rules=[
        {
            "name": "http",
            "priority": 1000,
            "direction": network.SecurityRuleDirection.INBOUND,
            "access": network.SecurityRuleAccess.ALLOW,
            "protocol": network.SecurityRuleProtocol.TCP,
            "source_port_range": "*",
            "source_address_prefix": "*",
            "destination_address_prefix": "*",
            "destination_port_range": "80",
        }
    ],
)
vnet = network.VirtualNetwork(
    "vnet",
    resource_group_name=group.name,
    address_space={"address_prefixes": ["10.0.0.0/16"]},
    subnets=[{"name": "default", "address_prefix": "10.0.1.0/24"}],
)
address = network.PublicIPAddress(
    "address",
    resource_group_name=group.name,
    public_ip_allocation_method=network.IPAllocationMethod.STATIC,
    sku={"name": network.PublicIPAddressSkuName.STANDARD},
)
interface = network.NetworkInterface(
    "interface",
    resource_group_name=group.name,
    network_security_group={"id": rules.id},
    ip_configurations=[
        {
            "name": "main",
            "subnet": {"id": vnet.subnets.apply(lambda found: found[0].id)},
            "private_ip_allocation_method": network.IPAllocationMethod.DYNAMIC,
            "public_ip_address": {"id": address.id},
        }
    ],
)
machine = compute.VirtualMachine(
    "machine",
    resource_group_name=group.name,
    network_profile={"network_interfaces": [{"id": interface.id, "primary": True}]},
    hardware_profile={"vm_size": "Standard_B2s"},
    os_profile={
        "computer_name": "web",
        "admin_username": "azureuser",
        "linux_configuration": {
            "disable_password_authentication": True,
            "ssh": {"public_keys": [{"path": "/home/azureuser/.ssh/authorized_keys", "key_data": KEY}]},
        },
    },
    storage_profile={
        "image_reference": {
            "publisher": "Canonical",
            "offer": "ubuntu-24_04-lts",
            "sku": "server",
            "version": "latest",
        },
        "os_disk": {
            "create_option": compute.DiskCreateOptionTypes.FROM_IMAGE,
            "managed_disk": {"storage_account_type": compute.StorageAccountTypes.STANDARD_LRS},
        },
    },
)

pulumi.export("address", address.ip_address)
pulumi.export("subnet", vnet.subnets.apply(lambda found: found[0].id))
pulumi.export("machine", machine.id)
