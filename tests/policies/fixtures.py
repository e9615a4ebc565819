"""All fixtures, by SDK; a rule about several types of resources has some in several sets."""

from tests.policies import fixtures_accelerators, fixtures_aws, fixtures_azure, fixtures_gcp, fixtures_kubernetes

SETS = (*fixtures_aws.ALL, *fixtures_gcp.ALL, *fixtures_azure.ALL, *fixtures_kubernetes.ALL, *fixtures_accelerators.ALL)
