"""`provisioning: auto` on EKS: what the program asks of AWS and of the cluster, so that Karpenter makes a pool's nodes."""

from __future__ import annotations

import email
import fnmatch
import json

import pytest

from fleet.catalog.fabric import EFA_RESOURCE
from fleet.load import load_stack
from fleet.plan import pools
from infra import versions
from infra.clouds.aws.karpenter_policy import controller_policy
from infra.kubernetes.cluster_autoscaler import priorities
from infra.kubernetes.karpenter import node_class
from infra.kubernetes.model_serving import start_up_seconds
from infra.kubernetes.node_pool import EC2, node_pool
from infra.platform import deploy as deploy_platform
from infra.stack import Stack
from tests.accelerator_pools import tolerates

CR = "cr-0123456789abcdef0"
NAME = "trial-main"
TAGS = {"accelfleet-stack": "trial", "accelfleet-cluster": "main"}
RELEASE = "kubernetes:helm.sh/v3:Release"
NODE_CLASS = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"
NODE_POOL = "kubernetes:karpenter.sh/v1:NodePool"
FILE = """
owner: ml-platform
environment: dev
clusters:
  main:
    cloud: aws
    region: us-east-1
    network: {nat: NAT}
    api: {allowed_cidrs: [203.0.113.0/24]}
    provisioning: auto
    system_pool: {nodes: {min: SYSTEM, max: 3}}
    stores: {weights: {}}
    pools:
      l4: {accelerator: nvidia-l4, purchase: spot, fallback: on-demand, nodes: {max: 4}, labels: {example.com/tier: web}}
      train:
        accelerator: nvidia-a100-40gb
        fabric: efa
        zones: [us-east-1b]
        nodes: {max: 3}
        capacity:
          - {purchase: reservation, reservation: RESERVED, zone: us-east-1b, nodes: 2}
          - {purchase: on-demand}
      neuron: {accelerator: inferentia2, nodes: {max: 2}}
    models:
      chat: {pool: l4, weights: {store: weights, size_gib: 16}}
      code: {pool: train, accelerators: 8, weights: {store: weights, size_gib: 300}}
"""


@pytest.fixture
def spec(tmp_path):
    def read(nat="single", system=1, name="trial", text=FILE):
        text = text.replace("NAT", nat).replace("SYSTEM", str(system)).replace("RESERVED", CR)
        (tmp_path / f"{name}.yaml").write_text(text)
        return load_stack(tmp_path / f"{name}.yaml")

    return read


@pytest.fixture
def made(deploy, spec):
    def run(**changes):
        stack = Stack("trial", spec(**changes))
        return deploy(lambda: deploy_platform(stack))

    return run


def objects(recorded, type_):
    return {inputs["metadata"]["name"]: inputs["spec"] for inputs in recorded.of(type_).values()}


def requirements(spec):
    assert {r["operator"] for r in spec["template"]["spec"]["requirements"]} == {"In"}
    return {r["key"]: r["values"] for r in spec["template"]["spec"]["requirements"]}


def test_only_the_system_pool_is_a_group_and_only_it_is_the_autoscalers(made):
    recorded = made()
    (group,) = recorded.of("aws:eks/nodeGroup:NodeGroup").values()
    assert group["nodeGroupName"] == "cluster-system"
    tags = {t["tag"]["key"] for t in recorded.of("aws:autoscaling/tag:Tag").values()}
    assert f"k8s.io/cluster-autoscaler/{NAME}" in tags
    assert "cluster-autoscaler-priority-expander" not in {
        i["metadata"]["name"] for i in recorded.of("kubernetes:core/v1:ConfigMap").values()
    }
    # Which pool comes first Karpenter is told by weights.
    assert priorities([]) == ""


def test_a_rung_is_a_node_pool_of_its_contract(made, spec):
    cluster = spec().clusters["main"]
    found = objects(made(), NODE_POOL)
    rungs = [rung for pool in pools("trial", "main", cluster).values() for rung in pool.rungs]
    assert set(found) == {rung.physical_name for rung in rungs} == {"l4", "l4-od", "train-rs", "train-od", "neuron"}
    for rung in rungs:
        template = found[rung.physical_name]["template"]
        assert template["metadata"]["labels"] == rung.node_labels
        assert template["spec"]["taints"] == [{"key": t.key, "value": t.value, "effect": t.effect} for t in rung.all_taints]
        asked = requirements(found[rung.physical_name])
        assert asked["node.kubernetes.io/instance-type"] == [rung.machine.name]
        assert asked["topology.kubernetes.io/zone"] == list(rung.zones)
        assert found[rung.physical_name]["limits"] == {
            "nodes": str(rung.max_nodes),
            rung.resource: str(rung.max_nodes * rung.per_node),
        }
        assert template["spec"]["nodeClassRef"]["name"] == rung.physical_name
    assert found["l4"]["template"]["metadata"]["labels"]["example.com/tier"] == "web"
    assert found["train-rs"]["limits"] == {"nodes": "2", "nvidia.com/gpu": "16"}


def test_a_pods_placement_fits_the_nodes_that_karpenter_makes_for_it(spec):
    for pool in pools("trial", "main", spec().clusters["main"]).values():
        placement = pool.placement(pool.per_node)
        for rung in pool.rungs:
            labels = rung.node_labels | rung.cloud_labels
            assert placement.node_selector.items() <= labels.items()
            assert all(any(tolerates(t, taint) for t in placement.tolerations) for taint in rung.all_taints)
            assert labels["karpenter.sh/nodepool"] == rung.physical_name
            assert not any(key.startswith("eks.amazonaws.com/") for key in labels)


def test_pain_13_the_ladder_is_weights_and_capacity_types(made):
    found = objects(made(), NODE_POOL)
    types = {name: requirements(spec)["karpenter.sh/capacity-type"] for name, spec in found.items()}
    assert types == {
        "l4": ["spot"],
        "l4-od": ["on-demand"],
        "train-rs": ["reserved"],
        "train-od": ["on-demand"],
        "neuron": ["on-demand"],
    }
    assert found["l4"]["weight"] > found["l4-od"]["weight"] > 0
    assert found["train-rs"]["weight"] > found["train-od"]["weight"] > 0


def test_a_reservation_is_its_rungs_alone(made):
    found = objects(made(), NODE_CLASS)
    assert found["train-rs"]["capacityReservationSelectorTerms"] == [{"id": CR}]
    assert not any("capacityReservationSelectorTerms" in spec for name, spec in found.items() if name != "train-rs")


def test_fabric_is_an_adapter_a_card_beside_the_nodes_own_interface(made, spec):
    recorded = made()
    found = objects(recorded, NODE_CLASS)
    for name in ("train-rs", "train-od"):
        own, *adapters = found[name]["networkInterfaces"]
        assert own == {"networkCardIndex": 0, "deviceIndex": 0, "interfaceType": "interface"}
        assert [a["networkCardIndex"] for a in adapters] == [0, 1, 2, 3]
        assert {a["interfaceType"] for a in adapters} == {"efa-only"}
    pool = pools("trial", "main", spec().clusters["main"])["train"]
    assert len(adapters) == pool.placement(pool.per_node).extra[EFA_RESOURCE]
    # EC2 refuses a placement group of ours for what is reserved.
    group = recorded.one("aws:ec2/placementGroup:PlacementGroup").inputs
    assert found["train-od"]["placementGroupSelector"] == {"name": group["name"]}
    assert "placementGroupSelector" not in found["train-rs"]
    assert "networkInterfaces" not in found["l4"]


def test_nodes_are_started_as_a_groups_would_be(made):
    spec = objects(made(), NODE_CLASS)["l4"]
    assert spec["instanceProfile"] == f"{NAME}-karpenter-node"
    assert spec["subnetSelectorTerms"] == spec["securityGroupSelectorTerms"] == [{"tags": {"karpenter.sh/discovery": NAME}}]
    (disk,) = spec["blockDeviceMappings"]
    assert disk["rootVolume"] is True
    assert disk["ebs"] == {"volumeSize": "110Gi", "volumeType": "gp3", "encrypted": True, "deleteOnTermination": True}
    assert (spec["metadataOptions"]["httpTokens"], spec["metadataOptions"]["httpPutResponseHopLimit"]) == ("required", 1)
    assert spec["tags"].items() >= {"accelfleet-stack": "trial"}.items()
    assert spec["amiSelectorTerms"] == [{"alias": versions.KARPENTER_AMI}]


def test_what_is_tagged_for_karpenter_is_what_it_looks_for(made):
    recorded = made()
    (on_group,) = recorded.of("aws:ec2/tag:Tag").values()
    assert (on_group["resourceId"], on_group["key"], on_group["value"]) == (
        "sg-main-cluster",
        "karpenter.sh/discovery",
        NAME,
    )
    subnets = recorded.of("aws:ec2/subnet:Subnet")
    found = {name for name, subnet in subnets.items() if subnet["tags"].get("karpenter.sh/discovery") == NAME}
    assert found == {name for name in subnets if "-private-" in name} != set()


def test_a_running_replica_is_not_moved_and_a_loading_one_not_drained(made):
    recorded = made()
    for spec in objects(recorded, NODE_POOL).values():
        disruption = spec["disruption"]
        assert disruption["consolidationPolicy"] == "WhenEmpty"
        budgets = {reason: b["nodes"] for b in disruption["budgets"] for reason in b["reasons"]}
        assert budgets == {"Empty": "100%", "Drifted": "1", "Underutilized": "1"}
        assert spec["template"]["spec"]["expireAfter"] == "720h"
    kept = {i["name"]: i["values"].get("podAnnotations") for i in recorded.of(RELEASE).values()}
    assert kept["code"] == {"karpenter.sh/do-not-disrupt": f"{start_up_seconds(300)}s"}
    # An interruption waits for nobody: there a drain must not wait either.
    assert kept["chat"] == {}


@pytest.mark.parametrize(("system", "replicas"), [(1, 1), (2, 2), (3, 2)])
def test_karpenter_runs_where_it_makes_no_node(made, system, replicas):
    recorded = made(system=system)
    release = next(r for r in recorded.all(RELEASE).values() if r.inputs["name"] == "karpenter")
    values = release.inputs["values"]
    assert (release.inputs["namespace"], release.inputs["version"]) == ("kube-system", versions.KARPENTER_VERSION)
    assert values["replicas"] == replicas
    assert values["settings"] == {
        "clusterName": NAME,
        "interruptionQueue": f"{NAME}-karpenter",
        "eksControlPlane": True,
        "isolatedVPC": False,
    }
    assert {"name": "AWS_REGION", "value": "us-east-1"} in values["controller"]["env"]
    association = next(
        a
        for a in recorded.of("aws:eks/podIdentityAssociation:PodIdentityAssociation").values()
        if a["serviceAccount"] == "karpenter"
    )
    assert (association["namespace"], values["serviceAccount"]["name"]) == ("kube-system", "karpenter")


def test_nothing_outlives_what_it_needs(made):
    """Destroyed in the other order, nodes would stay and their CRDs would hang."""
    recorded = made()
    releases = {r.inputs["name"]: r for r in recorded.all(RELEASE).values()}
    crds, controller = releases["karpenter-crd"], releases["karpenter"]
    assert crds in recorded.depends_on(controller)
    assert crds.inputs["chart"] == versions.KARPENTER_CRD_CHART and controller.inputs["skipCrds"] is True
    association = recorded.all("aws:eks/podIdentityAssociation:PodIdentityAssociation")["main-karpenter-rights-association"]
    target = recorded.all("aws:cloudwatch/eventTarget:EventTarget")["main-karpenter-rights-spot"]
    entry = recorded.all("aws:eks/accessEntry:AccessEntry")["main-karpenter-rights-node"]
    profile = recorded.one("aws:iam/instanceProfile:InstanceProfile")
    # A component comes after what it depends on, its children after it; and they go the other way round.
    waits = list(recorded.depends_on(recorded.one("accelfleet:kubernetes:Karpenter")))
    assert [needed.name for needed in (association, target, entry, profile) if needed not in waits] == []
    for component in recorded.all("accelfleet:kubernetes:KarpenterPool").values():
        assert controller in recorded.depends_on(component)
    for name, made_for in recorded.all(NODE_POOL).items():
        assert recorded.all(NODE_CLASS)[name] in recorded.depends_on(made_for)
    chat = recorded.all("accelfleet:kubernetes:ModelServing")["main-chat"]
    assert recorded.all(NODE_POOL)["main-l4-l4"] in recorded.depends_on(chat)


def test_ec2s_warnings_reach_the_queue_and_none_else_writes_there_in_clear(made):
    recorded = made()
    rules = {i["name"]: json.loads(i["eventPattern"]) for i in recorded.of("aws:cloudwatch/eventRule:EventRule").values()}
    assert {"EC2 Spot Instance Interruption Warning", "AWS Health Event"} <= {p["detail-type"][0] for p in rules.values()}
    queue = recorded.one("aws:sqs/queue:Queue")
    assert queue.inputs["sqsManagedSseEnabled"] is True
    targets = recorded.of("aws:cloudwatch/eventTarget:EventTarget").values()
    assert {t["arn"] for t in targets} == {queue.outputs["arn"]} and {t["rule"] for t in targets} == set(rules)
    allow, deny = json.loads(recorded.one("aws:sqs/queuePolicy:QueuePolicy").inputs["policy"])["Statement"]
    assert (allow["Action"], allow["Resource"]) == ("sqs:SendMessage", queue.outputs["arn"])
    assert deny["Effect"] == "Deny" and deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_nodes_have_a_role_of_their_own_that_may_join(made):
    recorded = made()
    entry = recorded.all("aws:eks/accessEntry:AccessEntry")["main-karpenter-rights-node"].inputs
    role = recorded.all("aws:iam/role:Role")["main-karpenter-rights-node"]
    assert (entry["principalArn"], entry["type"]) == (role.outputs["arn"], "EC2_LINUX")
    attached = recorded.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment").values()
    mine = {a["policyArn"].rpartition("/")[2] for a in attached if a["role"] == role.inputs["name"]}
    groups = {a["policyArn"].rpartition("/")[2] for a in attached if a["role"] == f"{NAME}-node"}
    assert mine == groups != set()


def allowed(policy, action, resource, context):
    """Whether IAM would allow it, as far as the policy's own operators go."""

    def fits(test, wanted):
        for key, values in wanted.items():
            any_of = values if isinstance(values, list) else [values]
            given = context.get(key)
            if test.startswith("ForAllValues"):
                good = set(given or []) <= set(any_of)
            elif given is None:
                good = test.endswith("IfExists")
            else:
                good = any(fnmatch.fnmatch(given, v) if test == "StringLike" else given == v for v in any_of)
            if not good:
                return False
        return True

    return any(
        action in s["Action"]
        and any(fnmatch.fnmatch(resource, r) for r in s["Resource"])
        and all(fits(test, wanted) for test, wanted in (s.get("Condition") or {}).items())
        for s in policy["Statement"]
    )


POLICY = controller_policy(NAME, "us-east-1", "arn:aws:iam::1:role/nodes", "arn:aws:sqs:us-east-1:1:q")
INSTANCE = "arn:aws:ec2:us-east-1:1:instance/i-1"
OURS = {"aws:ResourceTag/kubernetes.io/cluster/trial-main": "owned", "aws:ResourceTag/karpenter.sh/nodepool": "l4"}
ASKED = {
    "aws:RequestTag/kubernetes.io/cluster/trial-main": "owned",
    "aws:RequestTag/eks:eks-cluster-name": NAME,
    "aws:RequestTag/karpenter.sh/nodepool": "l4",
}


@pytest.mark.parametrize(
    ("action", "resource", "context", "may"),
    [
        ("ec2:CreateFleet", INSTANCE, ASKED, True),
        ("ec2:CreateFleet", INSTANCE, {}, False),
        ("ec2:CreateFleet", INSTANCE, ASKED | {"aws:RequestTag/eks:eks-cluster-name": "other"}, False),
        ("ec2:RunInstances", "arn:aws:ec2:us-east-1::image/ami-1", {}, True),
        ("ec2:RunInstances", "arn:aws:ec2:us-east-1:1:capacity-reservation/cr-1", {}, True),
        ("ec2:RunInstances", "arn:aws:ec2:us-east-1:1:launch-template/lt-1", {}, False),
        ("ec2:RunInstances", "arn:aws:ec2:us-east-1:1:launch-template/lt-1", OURS, True),
        ("ec2:TerminateInstances", INSTANCE, OURS, True),
        ("ec2:TerminateInstances", INSTANCE, {}, False),
        ("ec2:CreateTags", INSTANCE, OURS | {"aws:TagKeys": ["Name", "karpenter.sh/nodeclaim"]}, True),
        ("ec2:CreateTags", INSTANCE, OURS | {"aws:TagKeys": ["kubernetes.io/cluster/other"]}, False),
        ("ec2:DescribeInstances", "*", {"aws:RequestedRegion": "us-east-1"}, True),
        ("ec2:DescribeInstances", "*", {"aws:RequestedRegion": "eu-west-1"}, False),
        ("iam:PassRole", "arn:aws:iam::1:role/nodes", {"iam:PassedToService": "ec2.amazonaws.com"}, True),
        ("iam:PassRole", "arn:aws:iam::1:role/nodes", {"iam:PassedToService": "lambda.amazonaws.com"}, False),
        ("iam:PassRole", "arn:aws:iam::1:role/admin", {"iam:PassedToService": "ec2.amazonaws.com"}, False),
        ("iam:CreateInstanceProfile", "arn:aws:iam::1:instance-profile/x", ASKED, False),
        ("iam:AddRoleToInstanceProfile", "arn:aws:iam::1:instance-profile/x", OURS, False),
        ("sqs:ReceiveMessage", "arn:aws:sqs:us-east-1:1:q", {}, True),
        ("sqs:ReceiveMessage", "arn:aws:sqs:us-east-1:1:other", {}, False),
    ],
)
def test_karpenter_may_do_this_and_not_that(action, resource, context, may):
    assert allowed(POLICY, action, resource, context) is may


def test_the_role_fits_the_account(made):
    """IAM takes 10,240 characters in a role's inline policies."""
    policy = made().all("aws:iam/rolePolicy:RolePolicy")["main-karpenter-rights-rights"].inputs["policy"]
    assert len("".join(policy.split())) < 10_240


def test_without_a_way_out_it_calls_no_service_that_has_no_endpoint(made):
    recorded = made(nat="none")
    services = {e["serviceName"].rpartition(".")[2] for e in recorded.of("aws:ec2/vpcEndpoint:VpcEndpoint").values()}
    assert {"ssm", "sqs", "ec2", "eks", "sts"} <= services
    release = next(i for i in recorded.of(RELEASE).values() if i["name"] == "karpenter")
    assert release["values"]["settings"]["isolatedVPC"] is True


def test_a_capacity_block_is_reserved_capacity(tmp_path):
    text = FILE.replace("NAT", "single").replace("SYSTEM", "1")
    old = "{purchase: reservation, reservation: RESERVED, zone: us-east-1b, nodes: 2}"
    block = f"{{purchase: capacity-block, reservation: {CR}, zone: us-east-1b, ends: 2099-01-31T11:30:00Z}}"
    (tmp_path / "trial.yaml").write_text(text.replace(old, block))
    first = pools("trial", "main", load_stack(tmp_path / "trial.yaml").clusters["main"])["train"].rungs[0]
    assert requirements(node_pool(first, 10, EC2))["karpenter.sh/capacity-type"] == ["reserved"]
    assert node_class(first, {}, TAGS)["capacityReservationSelectorTerms"] == [{"id": CR}]


def test_nodes_are_told_of_their_kubelets_as_those_of_groups_are(made):
    near = "{accelerator: nvidia-a100-40gb, machine: p4d.24xlarge, numa: single-node, nodes: {max: 1}}"
    found = objects(made(text=FILE.replace("    models:", f"      near: {near}\n    models:")), NODE_CLASS)
    assert {name for name, spec in found.items() if "userData" in spec} == {"near"}
    (part,) = (p for p in email.message_from_string(found["near"]["userData"]).walk() if not p.is_multipart())
    assert part.get_content_type() == "application/node.eks.aws"
    told = json.loads(part.get_payload())["spec"]["kubelet"]["config"]
    assert told == {"cpuManagerPolicy": "static", "topologyManagerPolicy": "single-numa-node"}


def test_neuron_cores_are_karpenters_to_count(made):
    cut = FILE.replace("nodes: {max: 2}}", "nodes: {max: 2}, sharing: {cores: true}}")
    assert cut != FILE
    assert objects(made(text=cut), NODE_POOL)["neuron"]["limits"] == {"nodes": "2", "aws.amazon.com/neuroncore": "4"}
