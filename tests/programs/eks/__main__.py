"""An EKS cluster from plain pulumi-aws: a VPC, two public subnets, roles, a node group and a deployment on it."""

import json

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s


def role(name: str, service: str, policies: list[str]) -> aws.iam.Role:
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    made = aws.iam.Role(name, assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
    for policy in policies:
        aws.iam.RolePolicyAttachment(f"{name}-{policy}", role=made.name, policy_arn=f"arn:aws:iam::aws:policy/{policy}")
    return made


vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16", enable_dns_hostnames=True, tags={"Name": "eks-vpc"})
gateway = aws.ec2.InternetGateway("gateway", vpc_id=vpc.id)
routes = aws.ec2.RouteTable("routes", vpc_id=vpc.id, routes=[{"cidr_block": "0.0.0.0/0", "gateway_id": gateway.id}])
zones = aws.get_availability_zones(state="available").names[:2]
subnets = []
for number, zone in enumerate(zones):
    subnet = aws.ec2.Subnet(
        f"subnet-{zone}",
        vpc_id=vpc.id,
        cidr_block=f"10.0.{number}.0/24",
        availability_zone=zone,
        map_public_ip_on_launch=True,
        tags={"kubernetes.io/role/elb": "1"},
    )
    aws.ec2.RouteTableAssociation(f"routes-{zone}", route_table_id=routes.id, subnet_id=subnet.id)
    subnets.append(subnet.id)

cluster_role = role("cluster-role", "eks.amazonaws.com", ["AmazonEKSClusterPolicy"])
node_role = role(
    "node-role",
    "ec2.amazonaws.com",
    ["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryReadOnly"],
)
cluster = aws.eks.Cluster("cluster", role_arn=cluster_role.arn, vpc_config={"subnet_ids": subnets})
nodes = aws.eks.NodeGroup(
    "nodes",
    cluster_name=cluster.name,
    node_role_arn=node_role.arn,
    subnet_ids=subnets,
    instance_types=["t3.large"],
    scaling_config={"desired_size": 2, "min_size": 1, "max_size": 3},
)
user = {
    "apiVersion": "client.authentication.k8s.io/v1beta1",
    "command": "aws",
    "interactiveMode": "Never",
}
kubeconfig = pulumi.Output.json_dumps(
    {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "eks",
        "clusters": [
            {
                "name": "eks",
                "cluster": {"server": cluster.endpoint, "certificate-authority-data": cluster.certificate_authority.data},
            }
        ],
        "contexts": [{"name": "eks", "context": {"cluster": "eks", "user": "aws"}}],
        "users": [{"name": "aws", "user": {"exec": {**user, "args": ["eks", "get-token", "--cluster-name", cluster.name]}}}],
    }
)
provider = k8s.Provider("eks", kubeconfig=kubeconfig, opts=pulumi.ResourceOptions(depends_on=[nodes]))
labels = {"app": "nginx"}
deployment = k8s.apps.v1.Deployment(
    "nginx",
    spec={
        "replicas": 2,
        "selector": {"match_labels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "nginx", "image": "nginx:1.29"}]}},
    },
    opts=pulumi.ResourceOptions(provider=provider),
)

pulumi.export("cluster", cluster.arn)
pulumi.export("ready", deployment.status.ready_replicas)
pulumi.export("kubeconfig", pulumi.Output.secret(kubeconfig))
