"""What KEDA is told to go by, and by whose rights: triggers of each cloud, against mocks."""

from __future__ import annotations

import json

import pulumi
import pytest

from fleet.carbon.ceiling import Ceiling
from fleet.catalog.clouds import Cloud
from fleet.load import load_stack
from fleet.queues import EXAMPLES, queue
from fleet.spec import Autoscaler
from fleet.spec_scaling import QueueSpec, ScalingSpec, ScheduleSpec
from infra.kubernetes.namespaces import KEDA
from infra.kubernetes.scaling import Demand, values
from infra.platform import deploy as deploy_platform
from infra.stack import Stack
from tests.mocked_engine import set_accounts

RELEASE = "kubernetes:helm.sh/v3:Release"
REGIONS = {
    Cloud.AWS: ("us-east-1", "nvidia-l4"),
    Cloud.GCP: ("us-central1", "nvidia-l4"),
    Cloud.AZURE: ("eastus", "nvidia-a10"),
}
STACK = """
owner: ml-platform
environment: dev
clusters:
  main:
    cloud: {cloud}
    region: {region}
    api: {{allowed_cidrs: [203.0.113.0/24]}}
    pools:
      gpu:
        accelerator: {accelerator}
        nodes: {{min: 0, max: 3}}
    models:
      batch:
        pool: gpu
        image: registry.example/ml/scorer:1.0
        autoscaler: keda
        replicas: {{min: 0, max: 3}}
        scaling:
          queue: {{address: {address}, messages: 7}}
          jobs: {jobs}
"""


def demand(**changes):
    given = {
        "model": "batch",
        "image": "vllm/vllm-openai:v0.11.0",
        "metrics_url": "http://batch.models.svc:8000/metrics",
        "waiting": 'vllm:num_requests_waiting{model_name="$MODEL"}',
        "cloud": Cloud.AWS,
        "replicas": (1, 4),
        "start_s": 220,
        "autoscaler": Autoscaler.KEDA,
    }
    return Demand(**{**given, **changes})


def by_queue(cloud, **changes):
    spec = ScalingSpec(queue=QueueSpec(address=EXAMPLES[cloud], messages=7))
    return values(demand(cloud=cloud, spec=spec, address=EXAMPLES[cloud], replicas=(0, 4), **changes))["keda"]


def test_requests_that_wait_are_what_it_goes_by_unless_told_otherwise():
    made = values(demand())
    (trigger,) = made["keda"]["triggers"]
    assert trigger["type"] == "metrics-api"
    assert trigger["metadata"]["valueLocation"] == 'vllm:num_requests_waiting{model_name="batch"}'
    assert trigger["metadata"]["aggregationType"] == "sum", "one figure, however many replicas"
    assert "identity" not in made["keda"], "no cloud is asked"
    assert made["kind"] == "keda"


@pytest.mark.parametrize(
    ("cloud", "kind", "provider", "metadata"),
    [
        (
            Cloud.AWS,
            "aws-sqs-queue",
            "aws",
            {"queueURL": EXAMPLES[Cloud.AWS], "awsRegion": "us-east-1", "queueLength": "7"},
        ),
        (
            Cloud.AZURE,
            "azure-servicebus",
            "azure-workload",
            {"namespace": "my-namespace", "queueName": "jobs", "messageCount": "7"},
        ),
        (
            Cloud.GCP,
            "prometheus",
            "gcp",
            {
                "serverAddress": "https://monitoring.googleapis.com/v1/projects/my-project/location/global/prometheus",
                "query": "sum(pubsub_googleapis_com:subscription_num_undelivered_messages"
                '{monitored_resource="pubsub_subscription",subscription_id="jobs"})',
                "threshold": "7",
                "ignoreNullValues": "false",
            },
        ),
    ],
)
def test_a_queue_is_counted_as_its_cloud_does_by_an_identity_and_no_key(cloud, kind, provider, metadata):
    keda = by_queue(cloud)
    (trigger,) = keda["triggers"]
    assert trigger == {"type": kind, "metadata": metadata, "authenticationRef": {"name": "batch"}}
    assert keda["identity"] == {"provider": provider}
    assert keda["pollingInterval"] == 5, "from zero nothing else brings the first replica"


def test_a_queue_needs_no_server_that_tells_its_own():
    spec = ScalingSpec(queue=QueueSpec(address=EXAMPLES[Cloud.AWS]))
    made = values(demand(waiting=None, replicas=(0, 2), spec=spec, address=EXAMPLES[Cloud.AWS]))
    assert made["keda"]["triggers"][0]["metadata"]["queueLength"] == "5"


def test_a_queue_without_an_address_is_said_so():
    spec = ScalingSpec(queue=QueueSpec(address="queue:jobs"))
    with pytest.raises(ValueError, match="its queue queue:jobs has no address"):
        values(demand(spec=spec))


def test_a_queue_that_is_not_made_yet_gives_its_trigger_once_it_is(deploy):
    seen = []

    def program():
        spec = ScalingSpec(queue=QueueSpec(address="queue:jobs"))
        made = values(demand(spec=spec, address=pulumi.Output.from_input(EXAMPLES[Cloud.AWS]), ceiling=Ceiling(100, 400, 0, 4)))
        pulumi.Output.from_input(made["keda"]["triggers"]).apply(seen.append)

    deploy(program)
    ((waiting, grid, there),) = seen
    assert (waiting["name"], waiting["type"], grid["name"]) == ("waiting", "aws-sqs-queue", "grid")
    assert there["type"] == "kubernetes-workload"


def test_a_schedule_stands_beside_the_requests_and_the_larger_counts():
    office = ScheduleSpec(timezone="Europe/Berlin", start="0 8 * * 1-5", end="0 18 * * 1-5", replicas=3)
    requests, cron = values(demand(spec=ScalingSpec(schedule=[office])))["keda"]["triggers"]
    assert requests["type"] == "metrics-api"
    assert cron == {
        "type": "cron",
        "metadata": {"timezone": "Europe/Berlin", "start": "0 8 * * 1-5", "end": "0 18 * * 1-5", "desiredReplicas": "3"},
    }


@pytest.mark.parametrize(
    ("spec", "fallback"),
    [
        (ScalingSpec(), {"replicas": 1, "behavior": "currentReplicasIfHigher"}),
        (ScalingSpec(fallback=3), {"replicas": 3, "behavior": "static"}),
    ],
)
def test_what_nobody_can_count_takes_no_replica_away(spec, fallback):
    assert values(demand(spec=spec))["keda"]["fallback"] == fallback


def test_a_flexible_models_formula_says_what_holds():
    keda = values(demand(ceiling=Ceiling(100, 400, 1, 4)))["keda"]
    assert keda["fallback"]["behavior"] == "scalingModifiers"
    waiting, grid, there = keda["triggers"]
    assert (waiting["name"], grid["name"], there["name"]) == ("waiting", "grid", "there")
    assert there["metadata"]["podSelector"] == "app.kubernetes.io/instance=batch", "it holds as many as there are"


def test_a_flexible_models_own_fallback_takes_the_place_of_those_that_are_there():
    keda = values(demand(spec=ScalingSpec(fallback=3), ceiling=Ceiling(100, 400, 1, 4)))["keda"]
    assert [t["name"] for t in keda["triggers"]] == ["waiting", "grid"]
    assert "waiting ?? (12.0)" in keda["formula"], "three replicas, each for four requests"


@pytest.mark.parametrize(("start_s", "wait"), [(220, 0), (300, 0), (301, 301), (820, 820), (7620, 3600)])
def test_a_replica_goes_no_sooner_than_another_could_start(start_s, wait):
    assert values(demand(start_s=start_s))["scaleDown"] == {"stabilizationSeconds": wait}


def test_jobs_are_another_kind():
    spec = ScalingSpec(queue=QueueSpec(address=EXAMPLES[Cloud.AWS]), jobs=True)
    made = values(demand(replicas=(0, 4), spec=spec, address=EXAMPLES[Cloud.AWS]))
    assert made["kind"] == "jobs"
    assert [t["type"] for t in made["keda"]["triggers"]] == ["aws-sqs-queue"]


@pytest.mark.parametrize("cloud", EXAMPLES)
def test_an_address_of_one_cloud_is_none_of_another(cloud):
    for other in EXAMPLES:
        if other is cloud:
            assert queue(cloud, EXAMPLES[other]).name == "jobs"
        else:
            with pytest.raises(ValueError, match="is no queue of"):
                queue(cloud, EXAMPLES[other])


# In a whole stack


@pytest.fixture
def up(deploy, tmp_path):
    """`up(cloud) -> what the platform recorded` for a stack whose model goes by a queue of that cloud."""

    def run(cloud, jobs="false", address=None, more=""):
        region, accelerator = REGIONS[cloud]
        address = address or EXAMPLES[cloud]
        text = STACK.format(cloud=cloud, region=region, accelerator=accelerator, address=address, jobs=jobs) + more
        (tmp_path / "queued.yaml").write_text(text)
        loaded = load_stack(tmp_path / "queued.yaml")
        set_accounts()
        return deploy(lambda: deploy_platform(Stack("queued", loaded)))

    return run


@pytest.mark.parametrize("cloud", EXAMPLES)
def test_keda_has_its_rights_before_its_pods_are_made_and_the_model_its_address(up, cloud):
    recorded = up(cloud)
    keda, batch = recorded.all(RELEASE)["main-keda"], recorded.all(RELEASE)["main-batch"]
    rights = [urn for urn in keda.dependencies if urn.rpartition("::")[2].startswith("main-queues")]
    assert rights, "pods made before their rights never get any"
    assert batch.inputs["values"]["server"]["env"] == [{"name": "QUEUE", "value": EXAMPLES[cloud]}]
    assert batch.inputs["values"]["replicas"] == {"min": 0, "max": 3}
    assert "accessKey" not in json.dumps(batch.inputs) and "connection" not in json.dumps(batch.inputs)


@pytest.mark.parametrize("cloud", EXAMPLES)
def test_a_queue_of_the_stacks_own_services_is_gone_by_once_it_is_made(up, cloud):
    recorded = up(cloud, address="queue:work", more="    services: {queues: {work: {}}}\n")
    model = recorded.all(RELEASE)["main-batch"].inputs["values"]
    assert queue(cloud, model["server"]["env"][0]["value"]).name == "queued-main-work"
    (trigger,) = model["autoscaling"]["keda"]["triggers"]
    assert "queued-main-work" in json.dumps(trigger["metadata"])


def test_on_aws_it_may_count_that_queue_and_do_nothing_else(up):
    recorded = up(Cloud.AWS)
    (association,) = [
        a for a in recorded.of("aws:eks/podIdentityAssociation:PodIdentityAssociation").values() if a["namespace"] == KEDA
    ]
    assert association["serviceAccount"] == "keda-operator"
    policies = {name: json.loads(p["policy"]) for name, p in recorded.of("aws:iam/rolePolicy:RolePolicy").items()}
    (statement,) = policies["main-queues-rights"]["Statement"]
    assert statement["Action"] == "sqs:GetQueueAttributes"
    assert statement["Resource"] == ["arn:aws:sqs:us-east-1:123456789012:jobs"]


def test_on_gcp_it_may_read_the_metrics_of_the_queues_project(up):
    grants = up(Cloud.GCP).of("gcp:projects/iAMMember:IAMMember")
    mine = grants["main-queues-my-project"]
    assert (mine["project"], mine["role"]) == ("my-project", "roles/monitoring.viewer")
    assert mine["member"].endswith("/subject/ns/keda/sa/keda-operator")


def test_on_azure_its_identity_owns_that_queue_and_kedas_chart_names_it(up):
    recorded = up(Cloud.AZURE)
    grants = recorded.of("azure-native:authorization:RoleAssignment")
    assert grants["main-queues-0"]["scope"] == EXAMPLES[Cloud.AZURE]
    assert grants["main-queues-0"]["roleDefinitionId"].endswith("090c5cfd-751d-490a-894a-3ce6f1109419")
    federated = recorded.of("azure-native:managedidentity:FederatedIdentityCredential")["main-queues"]
    assert federated["subject"] == "system:serviceaccount:keda:keda-operator"
    values_ = recorded.all(RELEASE)["main-keda"].inputs["values"]
    assert values_["podIdentity"]["azureWorkload"]["enabled"] is True
    assert values_["operator"] == {"replicaCount": 2}


def test_jobs_of_a_stack_file_are_the_charts(up):
    assert up(Cloud.AWS, jobs="true").all(RELEASE)["main-batch"].inputs["values"]["autoscaling"]["kind"] == "jobs"
