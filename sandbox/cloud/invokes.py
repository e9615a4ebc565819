"""What programs ask their cloud: who am I, which zones, which image, what is in that cluster's kubeconfig.

Answers come from the catalogue and the simulated account. A question that is not listed here is refused by name: a
made-up answer would be a wrong one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fleet.catalog.clouds import Cloud, regions, zones
from sandbox.cloud.behaviour import (
    AWS_ACCOUNT,
    AZURE_SUBSCRIPTION,
    AZURE_TENANT,
    GCP_PROJECT,
    GCP_PROJECT_NUMBER,
    serial,
)
from sandbox.cloud.errors import CloudError, not_found

if TYPE_CHECKING:
    from sandbox.cloud.world import World

Answer = dict[str, Any]
Ask = Callable[["World", Answer, Answer], Answer]


def answer(world: World, token: str, args: Answer, config: Answer) -> Answer:
    """The cloud's answer.

    Args:
        config: the asking provider's settings (region, project, subscription).

    Raises:
        CloudError: the sandbox does not know this question, or the thing asked about is not there.
    """
    package, _, rest = token.partition(":")
    module, _, function = rest.partition(":")
    ask = _ANSWERS.get(f"{package}:{module.split('/')[0]}:{function}")
    if ask is None:
        known = ", ".join(sorted(k for k in _ANSWERS if k.startswith(package + ":")))
        raise CloudError("NotSimulated", f"the sandbox has no answer to {token}; it answers {known}", 501)
    return ask(world, args, config)


def _region(args: Answer, config: Answer) -> str:
    return str(args.get("region") or config.get("region") or "us-east-1")


def _identity(_w: World, _a: Answer, _c: Answer) -> Answer:
    return {
        "accountId": AWS_ACCOUNT,
        "arn": f"arn:aws:iam::{AWS_ACCOUNT}:user/sandbox",
        "userId": "AIDASANDBOX",
        "id": AWS_ACCOUNT,
    }


def _aws_zones(_w: World, args: Answer, config: Answer) -> Answer:
    region = _region(args, config)
    names = list(zones(Cloud.AWS, region)) if region in regions(Cloud.AWS) else [region + letter for letter in "abc"]
    ids = [f"{''.join(w[0] for w in n[:-1].split('-'))}-az{i + 1}" for i, n in enumerate(names)]
    return {"names": names, "zoneIds": ids, "groupNames": [region], "id": region, "region": region}


def _aws_region(_w: World, args: Answer, config: Answer) -> Answer:
    region = str(args.get("name") or _region(args, config))
    return {"name": region, "id": region, "region": region, "description": region, "endpoint": f"ec2.{region}.amazonaws.com"}


def _partition(_w: World, _a: Answer, _c: Answer) -> Answer:
    return {"partition": "aws", "dnsSuffix": "amazonaws.com", "id": "aws", "reverseDnsPrefix": "com.amazonaws"}


def _policy_document(_w: World, args: Answer, _c: Answer) -> Answer:
    statements = []
    for asked in args.get("statements") or []:
        made: Answer = {"Effect": asked.get("effect", "Allow")}
        for key, name in (("sid", "Sid"), ("actions", "Action"), ("notActions", "NotAction"), ("resources", "Resource")):
            if asked.get(key):
                values = asked[key]
                made[name] = values[0] if isinstance(values, list) and len(values) == 1 else values
        for key, name in (("principals", "Principal"), ("notPrincipals", "NotPrincipal")):
            if asked.get(key):
                made[name] = {
                    p["type"]: p["identifiers"][0] if len(p["identifiers"]) == 1 else p["identifiers"] for p in asked[key]
                }
        for condition in asked.get("conditions") or []:
            values = condition["values"]
            test = made.setdefault("Condition", {}).setdefault(condition["test"], {})
            test[condition["variable"]] = values[0] if len(values) == 1 else values
        statements.append(made)
    text = json.dumps({"Version": args.get("version", "2012-10-17"), "Statement": statements}, indent=2)
    return {"json": text, "minifiedJson": json.dumps(json.loads(text)), "id": serial(text), "version": "2012-10-17"}


def _ami(_w: World, args: Answer, config: Answer) -> Answer:
    image = "ami-" + serial(json.dumps(args.get("filters"), sort_keys=True), _region(args, config))
    return {
        "id": image,
        "imageId": image,
        "architecture": "x86_64",
        "name": "sandbox-image",
        "rootDeviceName": "/dev/xvda",
        "arn": "",
    }


def _ssm_parameter(_w: World, args: Answer, _c: Answer) -> Answer:
    name = str(args["name"])
    return {
        "name": name,
        "value": "ami-" + serial(name),
        "type": "String",
        "version": 1,
        "id": name,
        "arn": "",
        "insecureValue": "",
    }


def _default_vpc(world: World, args: Answer, _c: Answer) -> Answer:
    """The account's default VPC unless one is named."""
    wanted = args.get("id")
    made = world.records.get("aws", "aws:ec2/vpc:Vpc", str(wanted)) if wanted else None
    cidr = made.inputs.get("cidrBlock") if made else "172.31.0.0/16"
    vpc = str(wanted or "vpc-" + serial("default"))
    return {
        "id": vpc,
        "cidrBlock": cidr,
        "default": made is None,
        "arn": f"arn:aws:ec2::{AWS_ACCOUNT}:vpc/{vpc}",
        "state": "available",
    }


def _subnets(world: World, args: Answer, config: Answer) -> Answer:
    wanted = [v for f in args.get("filters") or [] if f.get("name") == "vpc-id" for v in f.get("values") or []]
    made = [r.id for r in world.records.all("aws", "aws:ec2/subnet:Subnet") if r.inputs.get("vpcId") in wanted]
    default = ["subnet-" + serial("default", z) for z in _aws_zones(world, args, config)["names"][:3]]
    return {"ids": made or default, "id": _region(args, config), "filters": args.get("filters")}


def _eks_cluster(world: World, args: Answer, _c: Answer) -> Answer:
    record = world.records.get("aws", "aws:eks/cluster:Cluster", str(args["name"]))
    if record is None:
        raise not_found(f"EKS cluster {args['name']}")
    return {**record.outputs, "id": record.id, "certificateAuthorities": record.outputs.get("certificateAuthorities")}


def _eks_auth(world: World, args: Answer, _c: Answer) -> Answer:
    return {"name": args["name"], "id": args["name"], "token": _token(world, "aws", str(args["name"]))}


def _token(world: World, cloud: str, name: str) -> str:
    return world.clusters.sim(cloud, name).control_plane.token


def _gcp_project(_w: World, args: Answer, config: Answer) -> Answer:
    project = str(args.get("projectId") or config.get("project") or GCP_PROJECT)
    return {"projectId": project, "number": GCP_PROJECT_NUMBER, "name": project, "id": f"projects/{project}", "orgId": "0"}


def _gcp_client(_w: World, _a: Answer, config: Answer) -> Answer:
    project, region = str(config.get("project") or GCP_PROJECT), str(config.get("region") or "us-central1")
    return {
        "project": project,
        "region": region,
        "zone": f"{region}-a",
        "accessToken": "sandbox",
        "id": project,
        "defaultLabels": {},
    }


def _gcp_zones(_w: World, args: Answer, config: Answer) -> Answer:
    region = str(args.get("region") or config.get("region") or "us-central1")
    names = list(zones(Cloud.GCP, region)) if region in regions(Cloud.GCP) else [f"{region}-{letter}" for letter in "abc"]
    return {"names": names, "region": region, "id": region, "project": config.get("project") or GCP_PROJECT}


def _gke_versions(_w: World, args: Answer, _c: Answer) -> Answer:
    prefix = str(args.get("versionPrefix") or "1.34")
    latest = f"{prefix.rstrip('.')}.1-gke.1000"
    return {
        "latestMasterVersion": latest,
        "latestNodeVersion": latest,
        "defaultClusterVersion": latest,
        "validMasterVersions": [latest],
        "validNodeVersions": [latest],
        "releaseChannelDefaultVersion": {"REGULAR": latest},
        "releaseChannelLatestVersion": {"REGULAR": latest},
        "id": latest,
    }


def _gcp_image(_w: World, args: Answer, _c: Answer) -> Answer:
    name = str(args.get("name") or args.get("family") or "image")
    link = f"https://www.googleapis.com/compute/v1/projects/{args.get('project', 'debian-cloud')}/global/images/{name}"
    return {"selfLink": link, "name": name, "id": link, "imageId": serial(name), "diskSizeGb": 10}


def _gcp_default_account(_w: World, _a: Answer, config: Answer) -> Answer:
    email = f"{GCP_PROJECT_NUMBER}-compute@developer.gserviceaccount.com"
    return {
        "email": email,
        "member": f"serviceAccount:{email}",
        "name": email,
        "id": email,
        "uniqueId": serial(email),
        "displayName": "",
    }


def _azure_client(_w: World, _a: Answer, config: Answer) -> Answer:
    return {
        "clientId": "22222222-2222-2222-2222-222222222222",
        "objectId": "33333333-3333-3333-3333-333333333333",
        "subscriptionId": config.get("subscriptionId") or AZURE_SUBSCRIPTION,
        "tenantId": AZURE_TENANT,
    }


def _aks_credentials(world: World, args: Answer, _c: Answer) -> Answer:
    """A kubeconfig as AKS hands it out with local accounts off: an exec plugin, no credential."""
    name = str(args["resourceName"])
    plane = world.clusters.sim("azure", name).control_plane
    ca = base64.b64encode(plane.ca_pem.encode()).decode()
    command = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "kubelogin",
        "args": ["get-token", "--environment", "AzurePublicCloud", "--server-id", "6dae42f8-4368-4678-94ff-3960e28e3630"],
        "env": None,
        "interactiveMode": "IfAvailable",
        "provideClusterInfo": False,
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": plane.endpoint, "certificate-authority-data": ca}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": f"clusterUser_{name}"}}],
        "users": [{"name": f"clusterUser_{name}", "user": {"exec": command}}],
    }
    return {"kubeconfigs": [{"name": "clusterUser", "value": base64.b64encode(json.dumps(config).encode()).decode()}]}


def _aks_admin(world: World, args: Answer, config: Answer) -> Answer:
    made = _aks_credentials(world, args, config)
    text = json.loads(base64.b64decode(made["kubeconfigs"][0]["value"]))
    text["users"][0]["user"] = {"token": _token(world, "azure", str(args["resourceName"]))}
    value = base64.b64encode(json.dumps(text).encode()).decode()
    return {"kubeconfigs": [{"name": "clusterAdmin", "value": value}]}


def _storage_keys(_w: World, args: Answer, _c: Answer) -> Answer:
    name = str(args["accountName"])
    return {"keys": [{"keyName": f"key{i}", "value": serial(name, str(i), length=64), "permissions": "FULL"} for i in (1, 2)]}


_ANSWERS: dict[str, Ask] = {
    "aws:index:getCallerIdentity": _identity,
    "aws:index:getAvailabilityZones": _aws_zones,
    "aws:index:getRegion": _aws_region,
    "aws:index:getPartition": _partition,
    "aws:iam:getPolicyDocument": _policy_document,
    "aws:ec2:getAmi": _ami,
    "aws:ssm:getParameter": _ssm_parameter,
    "aws:ec2:getVpc": _default_vpc,
    "aws:ec2:getSubnets": _subnets,
    "aws:eks:getCluster": _eks_cluster,
    "aws:eks:getClusterAuth": _eks_auth,
    "gcp:organizations:getProject": _gcp_project,
    "gcp:organizations:getClientConfig": _gcp_client,
    "gcp:compute:getZones": _gcp_zones,
    "gcp:container:getEngineVersions": _gke_versions,
    "gcp:compute:getImage": _gcp_image,
    "gcp:compute:getDefaultServiceAccount": _gcp_default_account,
    "azure-native:authorization:getClientConfig": _azure_client,
    "azure-native:containerservice:listManagedClusterUserCredentials": _aks_credentials,
    "azure-native:containerservice:listManagedClusterAdminCredentials": _aks_admin,
    "azure-native:storage:listStorageAccountKeys": _storage_keys,
}
