"""`pulumi-resource-gcp`."""

from sandbox.providers.cloud import main

main("gcp")
