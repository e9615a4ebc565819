"""One daemon that plays AWS, GCP and Azure: it holds what exists, refuses what a cloud refuses, and runs the clusters.

It knows resources by their Pulumi type tokens and inputs, never the program that asked for them.
"""
