"""A group with a network, a storage account and a container: plain pulumi-azure-native."""

import pulumi
from pulumi_azure_native import network, resources, storage

group = resources.ResourceGroup("web")
vnet = network.VirtualNetwork(
    "vnet", resource_group_name=group.name, address_space=network.AddressSpaceArgs(address_prefixes=["10.0.0.0/16"])
)
network.Subnet("subnet", resource_group_name=group.name, virtual_network_name=vnet.name, address_prefix="10.0.1.0/24")
account = storage.StorageAccount(
    "site",
    resource_group_name=group.name,
    sku=storage.SkuArgs(name=storage.SkuName.STANDARD_LRS),
    kind=storage.Kind.STORAGE_V2,
)
storage.BlobContainer("files", resource_group_name=group.name, account_name=account.name)
keys = storage.list_storage_account_keys_output(resource_group_name=group.name, account_name=account.name)

pulumi.export("endpoint", account.primary_endpoints.blob)
pulumi.export("key", pulumi.Output.secret(keys.keys[0].value))
