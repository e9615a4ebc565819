"""What another team has made before a cluster comes: a network in each cloud, with the rows a stack file says of it."""

import pulumi
import pulumi_aws as aws
import pulumi_azure_native as azure
import pulumi_gcp as gcp

vpc = aws.ec2.Vpc("hub", cidr_block="10.60.0.0/16", tags={"Name": "hub"})
subnets = {
    zone: aws.ec2.Subnet(zone, vpc_id=vpc.id, availability_zone=zone, cidr_block=f"10.60.{16 * i}.0/20", tags={"Name": zone})
    for i, zone in enumerate(("us-east-1a", "us-east-1c"))
}
pulumi.export("aws", {"id": vpc.id, "subnets": {zone: subnet.id for zone, subnet in subnets.items()}})

shared = gcp.compute.Network("shared", name="shared", auto_create_subnetworks=False)
ml = gcp.compute.Subnetwork(
    "ml",
    name="ml",
    region="us-west1",
    network=shared.id,
    ip_cidr_range="10.61.0.0/20",
    private_ip_google_access=True,
    secondary_ip_ranges=[
        {"range_name": "ml-pods", "ip_cidr_range": "10.62.0.0/16"},
        {"range_name": "ml-services", "ip_cidr_range": "10.63.0.0/20"},
    ],
)
pulumi.export("gcp", {"id": shared.id, "subnets": {"us-west1": ml.id}, "pods": "ml-pods", "services": "ml-services"})

group = azure.resources.ResourceGroup("hub", resource_group_name="hub", location="westeurope")
spoke = azure.network.VirtualNetwork(
    "spoke",
    virtual_network_name="spoke",
    resource_group_name=group.name,
    location="westeurope",
    address_space={"address_prefixes": ["10.64.0.0/16"]},
)
aks = azure.network.Subnet(
    "aks",
    subnet_name="aks",
    resource_group_name=group.name,
    virtual_network_name=spoke.name,
    address_prefix="10.64.0.0/20",
    service_endpoints=[{"service": "Microsoft.Storage"}],
)
pulumi.export("azure", {"id": spoke.id, "subnets": {"westeurope": aks.id}, "way_out": "routes"})
