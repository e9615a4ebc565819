"""`pulumi-resource-azure-native`."""

from sandbox.providers.cloud import main

main("azure-native")
