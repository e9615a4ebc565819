"""`pulumi-resource-aws`."""

from sandbox.providers.cloud import main

main("aws")
