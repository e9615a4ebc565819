"""AWS's API on the daemon, asked by AWS's own client: what there is, what is refused, and in which words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from fleet.catalog.clouds import Cloud, zones
from sandbox.cloud.aws_api import OPERATIONS
from sandbox.cloud.aws_api.machines import on_offer, zone_id
from sandbox.cloud.events import SPOT_WARNING, announce
from sandbox.cloud.world import World
from sandbox.cluster.instances import Instance
from tests.sandbox.karpenter_cluster import REGION, serving

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
]
IMAGE = "/aws/service/eks/optimized-ami/1.34/amazon-linux-2023/x86_64/{}/recommended/image_id"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with serving(tmp_path_factory.mktemp("aws")) as made:
        yield made


@pytest.fixture
def aws(world: World) -> Callable[[str], Any]:
    def client(service: str) -> Any:
        keys = {"aws_access_key_id": "sandbox", "aws_secret_access_key": "sandbox"}
        return boto3.client(service, endpoint_url=f"{world.url}/aws", region_name=REGION, **keys)

    return client


def make(world: World, kind: str, region: str = REGION, **inputs: Any) -> Any:
    return world.create("aws", kind, "urn", {"region": region}, inputs, {})


def refused(ask: Callable[..., Any], **asked: Any) -> str:
    with pytest.raises(ClientError) as raised:
        ask(**asked)
    return str(raised.value.response["Error"]["Code"])


def test_machines_are_the_catalogues(aws: Callable[[str], Any]) -> None:
    ec2 = aws("ec2")
    found = {row["InstanceType"]: row for row in ec2.describe_instance_types()["InstanceTypes"]}
    assert set(found) == {machine.name for machine, _ in on_offer(REGION)}
    l4, neuron = found["g6.12xlarge"], found["inf2.48xlarge"]
    assert [(g["Manufacturer"], g["Count"]) for g in l4["GpuInfo"]["Gpus"]] == [("NVIDIA", 4)]
    assert neuron["NeuronInfo"]["NeuronDevices"][0]["Count"] == 12
    assert l4["NetworkInfo"]["EfaInfo"]["MaximumEfaInterfaces"] == 1
    places = {o["Location"] for o in ec2.describe_instance_type_offerings()["InstanceTypeOfferings"]}
    assert places == set(zones(Cloud.AWS, REGION))
    spot = {row["InstanceType"]: float(row["SpotPrice"]) for row in ec2.describe_spot_price_history()["SpotPriceHistory"]}
    products = [json.loads(p) for p in aws("pricing").get_products(ServiceCode="AmazonEC2")["PriceList"]]
    listed = {p["product"]["attributes"]["instanceType"] for p in products}
    assert spot["g6.xlarge"] > 0
    assert "g6.xlarge" in listed
    assert found["p5.48xlarge"]["SupportedUsageClasses"] == ["on-demand", "spot"]


@pytest.mark.parametrize(
    ("zone", "id_"), [("us-east-1a", "use1-az1"), ("ap-southeast-2c", "apse2-az3"), ("ca-central-1b", "cac1-az2")]
)
def test_zones_have_ids_as_awss_own(zone: str, id_: str) -> None:
    assert zone_id(zone) == id_


def test_what_a_program_made_is_found_by_its_tags_in_its_region(world: World, aws: Callable[[str], Any]) -> None:
    ours = {"karpenter.sh/discovery": "one"}
    subnet = {"vpcId": "vpc-1", "cidrBlock": "10.0.0.0/19", "availabilityZone": "us-east-1a"}
    wanted = make(world, "aws:ec2/subnet:Subnet", **subnet, tags=ours)
    make(world, "aws:ec2/subnet:Subnet", **subnet, tags={"karpenter.sh/discovery": "two"})
    make(world, "aws:ec2/subnet:Subnet", region="eu-west-1", **subnet, tags=ours)
    by_tag = [{"Name": "tag:karpenter.sh/discovery", "Values": ["one"]}]
    (found,) = aws("ec2").describe_subnets(Filters=by_tag)["Subnets"]
    assert (found["SubnetId"], found["AvailabilityZoneId"]) == (wanted.id, "use1-az1")
    group = make(world, "aws:ec2/securityGroup:SecurityGroup", name="g")
    make(world, "aws:ec2/tag:Tag", resourceId=group.id, key="karpenter.sh/discovery", value="one")
    assert [g["GroupId"] for g in aws("ec2").describe_security_groups(Filters=by_tag)["SecurityGroups"]] == [group.id]


def test_an_image_is_known_by_its_driver(aws: Callable[[str], Any]) -> None:
    ids = [aws("ssm").get_parameter(Name=IMAGE.format(v))["Parameter"]["Value"] for v in ("standard", "nvidia", "neuron")]
    found = aws("ec2").describe_images(Filters=[{"Name": "image-id", "Values": ids}])["Images"]
    assert len({i["ImageId"] for i in found}) == 3
    assert ["-nvidia-" in i["Name"] for i in found] == [False, True, False]
    assert refused(aws("ssm").get_parameter, Name=IMAGE.format("gaudi")) == "ParameterNotFound"


def test_launch_templates_come_and_go(aws: Callable[[str], Any]) -> None:
    ec2 = aws("ec2")
    assert refused(ec2.describe_launch_templates, LaunchTemplateNames=["wide"]) == (
        "InvalidLaunchTemplateName.NotFoundException"
    )
    tags = [{"ResourceType": "launch-template", "Tags": [{"Key": "a", "Value": "b"}]}]
    made = ec2.create_launch_template(LaunchTemplateName="wide", LaunchTemplateData={}, TagSpecifications=tags)
    by_tag = [{"Name": "tag:a", "Values": ["b"]}]
    (found,) = ec2.describe_launch_templates(Filters=by_tag)["LaunchTemplates"]
    assert found["LaunchTemplateId"] == made["LaunchTemplate"]["LaunchTemplateId"]
    ec2.delete_launch_template(LaunchTemplateId=found["LaunchTemplateId"])
    assert ec2.describe_launch_templates(Filters=by_tag)["LaunchTemplates"] == []


@pytest.mark.parametrize(
    ("service", "operation", "asked", "code"),
    [
        ("ec2", "describe_instance_types", {"DryRun": True}, "DryRunOperation"),
        ("ec2", "describe_vpcs", {}, "InvalidAction"),
        ("ec2", "terminate_instances", {"InstanceIds": ["i-0"]}, "InvalidInstanceID.NotFound"),
        ("ec2", "describe_instances", {"InstanceIds": ["i-0"]}, "InvalidInstanceID.NotFound"),
        ("ec2", "create_tags", {"Resources": ["i-0"], "Tags": []}, "InvalidInstanceID.NotFound"),
        ("ec2", "run_instances", {"MinCount": 1, "MaxCount": 1}, "UnsupportedOperation"),
        ("ec2", "delete_launch_template", {"LaunchTemplateId": "lt-0"}, "InvalidLaunchTemplateId.NotFound"),
        (
            "ec2",
            "describe_capacity_reservations",
            {"CapacityReservationIds": ["cr-0"]},
            "InvalidCapacityReservationId.NotFound",
        ),
        ("eks", "describe_cluster", {"name": "nobodys"}, "ResourceNotFoundException"),
        ("eks", "list_clusters", {}, "InvalidAction"),
        ("iam", "get_instance_profile", {"InstanceProfileName": "nobodys"}, "NoSuchEntity"),
        ("sqs", "get_queue_url", {"QueueName": "nobodys"}, "QueueDoesNotExist"),
        ("s3", "list_buckets", {}, "UnknownOperationException"),
    ],
)
def test_what_is_not_there_is_refused_in_awss_words(
    aws: Callable[[str], Any], service: str, operation: str, asked: dict[str, Any], code: str
) -> None:
    assert refused(getattr(aws(service), operation), **asked) == code


def test_every_operation_is_one_of_aws() -> None:
    for service, operations in OPERATIONS.items():
        client = boto3.client(service, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x")
        assert set(operations) <= set(client.meta.method_to_api_mapping.values()), service


def test_a_warning_comes_to_those_that_have_a_rule_for_it_once(world: World, aws: Callable[[str], Any]) -> None:
    queue, deaf = make(world, "aws:sqs/queue:Queue", name="hears"), make(world, "aws:sqs/queue:Queue", name="deaf")
    for name, kind, target in (("spot", SPOT_WARNING, queue), ("state", "EC2 Instance State-change Notification", deaf)):
        pattern = json.dumps({"source": ["aws.ec2"], "detail-type": [kind]})
        make(world, "aws:cloudwatch/eventRule:EventRule", name=name, eventPattern=pattern)
        make(world, "aws:cloudwatch/eventTarget:EventTarget", rule=name, targetId="q", arn=target.outputs["arn"])
    assert announce(world, REGION, SPOT_WARNING, "i-1", {"instance-action": "terminate"}) == 1
    sqs = aws("sqs")
    url = sqs.get_queue_url(QueueName="hears")["QueueUrl"]
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    body = json.loads(message["Body"])
    assert (body["detail-type"], body["detail"]["instance-id"]) == (SPOT_WARNING, "i-1")
    assert sqs.receive_message(QueueUrl=url)["Messages"] == [], "it is hidden while somebody works on it"
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert sqs.receive_message(QueueUrl=deaf.id)["Messages"] == []


def test_a_node_registers_as_its_user_data_says(tmp_path: Path) -> None:
    import base64

    text = """MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="//"

--//
Content-Type: application/node.eks.aws

apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  kubelet:
    config:
      registerWithTaints: [{key: karpenter.sh/unregistered, effect: NoExecute}]
    flags: ['--node-labels="a=b,karpenter.sh/capacity-type=spot"']
--//--
"""
    inputs = {
        "instanceType": "g6.xlarge",
        "availabilityZone": "us-east-1a",
        "spot": True,
        "tags": {"karpenter.sh/nodepool": "l4"},
        "launchTemplateData": {
            "UserData": base64.b64encode(text.encode()).decode(),
            "BlockDeviceMappings": [{"Ebs": {"VolumeSize": 130}}],
        },
    }
    instance = Instance.of("i-1", REGION, inputs, "amazon-eks-node-al2023-x86_64-nvidia-1.34-v1")
    node = instance.node()
    assert node["spec"]["taints"] == [{"key": "karpenter.sh/unregistered", "value": "", "effect": "NoExecute"}]
    assert node["spec"]["providerID"] == "aws:///us-east-1a/i-1"
    assert node["metadata"]["labels"].items() >= {"a": "b", "node.kubernetes.io/instance-type": "g6.xlarge"}.items()
    assert node["status"]["capacity"]["ephemeral-storage"] == "130Gi"
    assert instance.pool().driver_ok
    assert not Instance.of("i-1", REGION, inputs, "amazon-eks-node-al2023-x86_64-standard-1.34-v1").pool().driver_ok
