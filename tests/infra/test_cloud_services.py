"""Cloud services against mocks: every kind on every cloud, closed, encrypted and with rights on what it names alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pulumi
import pytest

from fleet.catalog.accelerators import Family
from fleet.catalog.clouds import PUBLIC, Cloud
from fleet.catalog.machines import machines
from fleet.load import load_stack
from fleet.spec import Environment
from fleet.spec_services import Kind
from fleet.workspace import STACKS
from infra.clouds import CLOUDS
from infra.clouds.azure.roles import Role
from infra.clouds.gcp.services.machine_learning import machine_spec
from infra.platform import deploy as platform
from infra.stack import Stack
from sandbox.providers.validation import validate
from tests.mocked_engine import Recorder, Resource, deploy, set_accounts

KINDS = [(cloud, kind) for cloud in PUBLIC for kind in Kind]


@cache
def made(cloud: Cloud, environment: Environment = Environment.DEV) -> Recorder:
    """The stack with every kind of that cloud."""
    name = f"{cloud}-pipeline"
    spec = load_stack(STACKS / f"{name}.yaml").model_copy(update={"environment": environment})

    def program() -> None:
        set_accounts()
        pulumi.export("clusters", platform(Stack(name, spec))["clusters"])

    return deploy(program, stack=name)


def services(cloud: Cloud) -> Iterator[tuple[Kind, str]]:
    for kind, name, _ in load_stack(STACKS / f"{cloud}-pipeline.yaml").clusters["main"].services.all():
        yield kind, name


def below(found: Recorder, service: str) -> list[Resource]:
    """A service's component and its children."""
    (component,) = [r for r in found.resources if r.name == f"main-service-{service}" and r.type.startswith("accelfleet:")]
    return [component, *found.children(component)]


def policies(found: Recorder) -> Iterator[tuple[str, dict[str, Any]]]:
    """Statements of the services' inline policies, by the resource's name."""
    for name, inputs in found.of("aws:iam/rolePolicy:RolePolicy").items():
        if "-service-" in name:
            yield from ((name, statement) for statement in json.loads(inputs["policy"])["Statement"])


@pytest.mark.parametrize(("cloud", "kind"), KINDS)
def test_every_kind_has_a_component_on_every_cloud(cloud: Cloud, kind: Kind) -> None:
    kinds = import_module(f"{CLOUDS[cloud]}.services").KINDS
    assert list(kinds) == list(Kind)
    of_kind = [name for found, name in services(cloud) if found is kind]
    assert of_kind, f"stacks/{cloud}-pipeline.yaml has none of {kind}"
    # A queue that takes a topic's messages to a function is that topic's and that function's on Pub/Sub.
    assert [child for name in of_kind for child in below(made(cloud), name)[1:]], "components without a resource"
    for name in of_kind:
        component = below(made(cloud), name)[0]
        assert component.type == f"accelfleet:{cloud}:{kinds[kind].__name__}"
        assert component.outputs["address"] == made(cloud).exports["clusters"]["main"]["services"][name]
        assert component.outputs["address"]


@pytest.mark.parametrize("cloud", PUBLIC)
def test_the_clouds_own_models_take_every_input(cloud: Cloud) -> None:
    said = [
        (r.type, r.name, fault.path, fault.reason)
        for r in made(cloud).resources
        if r.custom and "-service-" in r.name
        for fault in validate(r.type.partition(":")[0], r.type, dict(r.inputs))
    ]
    assert said == []


@pytest.mark.parametrize("cloud", PUBLIC)
def test_names_follow_from_the_file_alone(cloud: Cloud) -> None:
    names = ("name", "accountName", "workspaceName", "namespaceName", "jobName", "endpointName", "accountId", "datasetId")

    def physical(environment: Environment) -> dict[str, list[Any]]:
        mine = [r for r in made(cloud, environment).resources if "-service-" in r.name]
        return {r.urn: [r.inputs.get(key) for key in names] for r in mine}

    assert physical(Environment.DEV) == physical(Environment.PROD)


@pytest.mark.parametrize("cloud", PUBLIC)
def test_what_holds_state_is_protected_in_prod_and_only_there(cloud: Cloud) -> None:
    def kept(environment: Environment) -> set[str]:
        return {r.type for r in made(cloud, environment).resources if r.protect and "-service-" in r.name}

    assert kept(Environment.DEV) == set()
    stateful = {
        Cloud.AWS: {"aws:athena/workgroup:Workgroup", "aws:glue/catalogDatabase:CatalogDatabase", "aws:ec2/instance:Instance"},
        Cloud.GCP: {"gcp:bigquery/dataset:Dataset", "gcp:compute/instance:Instance", "gcp:vertex/aiEndpoint:AiEndpoint"},
        Cloud.AZURE: {"azure-native:synapse:Workspace", "azure-native:compute:VirtualMachine"},
    }[cloud]
    assert kept(Environment.PROD) >= stateful


def test_aws_a_role_a_service_with_no_wildcard_of_rights() -> None:
    found = made(Cloud.AWS)
    roles = [r for r in found.all("aws:iam/role:Role").values() if "-service-" in r.name]
    assert len({r.inputs["name"] for r in roles}) == len(roles)
    # Calls that IAM knows no resource for.
    anything = {"ecr:GetAuthorizationToken", "cloudwatch:PutMetricData"}
    for name, statement in policies(found):
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert not [a for a in actions if a.endswith("*")], name
        if "*" in statement["Resource"]:
            assert all(a in anything or a.startswith(("logs:", "ssm")) for a in actions), (name, actions)
    for role in roles:
        (trust,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
        service = trust["Principal"]["Service"]
        if service not in ("ec2.amazonaws.com", "lambda.amazonaws.com", "glue.amazonaws.com"):
            assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "111122223333"}}, role.name


def test_aws_a_function_reaches_its_stores_and_no_other() -> None:
    found = made(Cloud.AWS)
    arns = {r.name: r.outputs["arn"] for r in found.all("aws:s3/bucket:Bucket").values()}
    rights = {a: s["Resource"] for n, s in policies(found) if "prepare" in n for a in _list(s["Action"])}
    assert rights["s3:PutObject"] == [f"{arns['main-models-bucket']}/*"]
    assert rights["s3:GetObject"] == [f"{arns['main-data-bucket']}/*", f"{arns['main-models-bucket']}/*"]
    assert not [a for n, s in policies(found) if "review" in n for a in _list(s["Action"]) if a.startswith("s3:")]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_aws_messages_are_encrypted_and_come_from_who_is_named() -> None:
    found = made(Cloud.AWS)
    for queue in found.of("aws:sqs/queue:Queue").values():
        assert queue["sqsManagedSseEnabled"] is True
    for topic in found.of("aws:sns/topic:Topic").values():
        assert topic["kmsMasterKeyId"]
    arrivals = found.of("aws:sqs/queue:Queue")["main-service-arrivals-queue"]
    assert json.loads(arrivals["redrivePolicy"])["maxReceiveCount"] == 5
    statements = json.loads(found.of("aws:sqs/queuePolicy:QueuePolicy")["main-service-arrivals-policy"]["policy"])["Statement"]
    deny, allow = statements
    assert deny["Effect"] == "Deny"
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert allow["Principal"] == {"Service": "s3.amazonaws.com"}
    assert allow["Condition"]["ArnEquals"]["aws:SourceArn"].endswith("main-data-bucket")
    notified = found.all("aws:s3/bucketNotification:BucketNotification")["main-service-arrivals-events"]
    assert any(r.type == "aws:sqs/queuePolicy:QueuePolicy" for r in found.depends_on(notified))


def test_aws_a_machine_has_no_way_in() -> None:
    (machine,) = made(Cloud.AWS).of("aws:ec2/instance:Instance").values()
    assert machine["associatePublicIpAddress"] is False
    assert machine["metadataOptions"]["httpTokens"] == "required"
    assert machine["rootBlockDevice"]["encrypted"] is True
    assert machine["instanceMarketOptions"] == {"marketType": "spot"}
    assert "keyName" not in machine
    assert "ingress" not in made(Cloud.AWS).of("aws:ec2/securityGroup:SecurityGroup")["main-service-workbench-group"]


def test_aws_a_workflow_runs_its_steps_in_order_with_what_began_it() -> None:
    inputs = made(Cloud.AWS).one("aws:sfn/stateMachine:StateMachine").inputs
    machine = json.loads(inputs["definition"])
    assert machine["StartAt"] == "prepare"
    assert machine["States"]["prepare"]["Next"] == "tune"
    tune = machine["States"]["tune"]
    assert tune["End"] is True
    assert [state["ResultPath"] for state in machine["States"].values()] == [None, None]
    job = tune["Parameters"]
    assert job["EnableManagedSpotTraining"] is True
    assert job["EnableNetworkIsolation"] is True
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 28800, "MaxWaitTimeInSeconds": 57600}
    assert job["OutputDataConfig"]["S3OutputPath"].endswith("/aws-pipeline-main-tune")
    name = re.sub(r"States.Format\('(.*)\{\}', States.UUID\(\)\)", r"\g<1>" + "0" * 36, job["TrainingJobName.$"])
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", name)


def test_aws_the_training_step_is_a_call_that_sagemaker_takes() -> None:
    from botocore.session import get_session
    from botocore.validate import ParamValidator

    job = json.loads(made(Cloud.AWS).one("aws:sfn/stateMachine:StateMachine").inputs["definition"])["States"]["tune"][
        "Parameters"
    ]
    call = {key.removesuffix(".$"): "tune-0" if key.endswith(".$") else value for key, value in job.items()}
    sagemaker = get_session().get_service_model("sagemaker")
    shape = sagemaker.operation_model("CreateTrainingJob").input_shape
    assert not ParamValidator().validate(call, shape).generate_report()
    kinds = sagemaker.shape_for("TrainingInstanceType").enum
    lacking = {row.name for row in machines() if row.cloud is Cloud.AWS and f"ml.{row.name}" not in kinds}
    # `fleet.checks.service_machines` refuses Inferentia, and Gaudi 1 is withdrawn.
    assert {name.partition(".")[0] for name in lacking} == {"inf1", "inf2", "dl1"}
    serves = sagemaker.shape_for("ProductionVariantInstanceType").enum
    assert all(f"ml.{row.name}" in serves for row in machines() if row.cloud is Cloud.AWS)


def test_aws_spark_is_bounded_stops_itself_and_has_no_way_in() -> None:
    found = made(Cloud.AWS)
    application = found.one("aws:emrserverless/application:Application").inputs
    assert (application["type"], application["maximumCapacity"]["cpu"]) == ("spark", "16 vCPU")
    assert application["autoStopConfiguration"]["enabled"] is True
    network = application["networkConfiguration"]
    assert all("private" in subnet for subnet in network["subnetIds"])
    groups = found.all("aws:ec2/securityGroup:SecurityGroup")
    (group,) = [one for name, one in groups.items() if name.startswith("main-service-features")]
    assert [rule["self"] for rule in group.inputs["ingress"]] == [True], "workers among themselves alone"


def test_gcp_dataflow_is_private_bounded_and_runs_as_its_own_account() -> None:
    found = made(Cloud.GCP)
    flows = found.all("gcp:workflows/workflow:Workflow").values()
    (launch,) = [flow for flow in flows if "flexTemplates.launch" in flow.inputs["sourceContents"]]
    (step,) = [one["launch"] for one in json.loads(launch.inputs["sourceContents"])["main"]["steps"] if "launch" in one]
    environment = step["args"]["body"]["launchParameter"]["environment"]
    assert environment["ipConfiguration"] == "WORKER_IP_PRIVATE"
    assert environment["maxWorkers"] == 4, "16 vCPUs, four a worker"
    assert environment["serviceAccountEmail"] != launch.inputs["serviceAccount"], "who launches is not who works"


def test_gcp_bigquery_reads_the_stores_it_names_by_an_account_of_its_own() -> None:
    found = made(Cloud.GCP)
    readers = {n: r.inputs for n, r in found.all("gcp:storage/bucketIAMMember:BucketIAMMember").items() if "-lake-reads-" in n}
    assert [inputs["role"] for inputs in readers.values()] == ["roles/storage.objectViewer"]
    assert found.one("gcp:bigquery/connection:Connection").inputs["cloudResource"] == {}
    assert found.one("gcp:bigquery/dataset:Dataset").inputs["location"] == "us-west1"


def test_azure_synapse_has_no_pool_that_stands() -> None:
    found = made(Cloud.AZURE)
    pool = found.one("azure-native:synapse:BigDataPool").inputs
    assert pool["autoPause"]["enabled"] is True
    assert (pool["autoScale"]["minNodeCount"], pool["autoScale"]["maxNodeCount"]) == (3, 4)
    assert not [r.type for r in found.resources if r.type == "azure-native:synapse:SqlPool"], "SQL is paid by what it reads"


def test_gcp_accounts_have_no_broad_role_and_no_key() -> None:
    found = made(Cloud.GCP)
    assert not [t for t in found.types() if "serviceAccountKey" in t or t == "gcp:serviceaccount/key:Key"]
    roles = [i["role"] for t in found.types() if "iam" in t.lower() for i in found.of(t).values() if "role" in i]
    assert not set(roles) & {"roles/owner", "roles/editor", "roles/viewer"}
    assert not [
        i for t in found.types() for i in found.of(t).values() if i.get("member") in ("allUsers", "allAuthenticatedUsers")
    ]
    project = {i["role"] for n, i in found.of("gcp:projects/iAMMember:IAMMember").items() if "-service-" in n}
    assert project == {
        "roles/aiplatform.user",
        "roles/dataflow.developer",
        "roles/dataflow.worker",
        "roles/eventarc.eventReceiver",
        "roles/logging.logWriter",
        "roles/monitoring.metricWriter",
        "roles/workflows.invoker",
    }


def test_gcp_nothing_answers_the_internet() -> None:
    found = made(Cloud.GCP)
    assert {s["ingress"] for s in found.of("gcp:cloudrunv2/service:Service").values()} == {"INGRESS_TRAFFIC_INTERNAL_ONLY"}
    machine = found.one("gcp:compute/instance:Instance").inputs
    assert [set(card) for card in machine["networkInterfaces"]] == [{"subnetwork"}]
    assert machine["shieldedInstanceConfig"]["enableSecureBoot"] is True
    assert machine["scheduling"]["provisioningModel"] == "SPOT"
    assert found.of("gcp:compute/firewall:Firewall")["main-service-workbench-iap"]["sourceRanges"] == ["35.235.240.0/20"]


def test_gcp_a_queue_is_pushed_triggered_or_pulled_by_who_works_it_off() -> None:
    found = made(Cloud.GCP)
    pushed = found.of("gcp:pubsub/subscription:Subscription")["main-service-audit-subscription"]
    assert pushed["pushConfig"]["oidcToken"]["serviceAccountEmail"].startswith("gcp-pipeline-main-review")
    assert pushed["deadLetterPolicy"]["maxDeliveryAttempts"] == 5
    # Eventarc brings the subscription of a queue that starts a workflow.
    assert "main-service-arrivals-subscription" not in found.of("gcp:pubsub/subscription:Subscription")
    trigger = found.one("gcp:eventarc/trigger:Trigger").inputs
    assert trigger["transport"]["pubsub"]["topic"] == "main-service-arrivals-topic-id"
    assert found.one("gcp:storage/notification:Notification").inputs["eventTypes"] == ["OBJECT_FINALIZE"]


def test_gcp_a_workflow_waits_for_the_training_that_it_starts() -> None:
    source = json.loads(made(Cloud.GCP).of("gcp:workflows/workflow:Workflow")["main-service-learn-workflow"]["sourceContents"])
    steps = {name: step for entry in source["main"]["steps"] for name, step in entry.items()}
    assert list(steps) == ["prepare", "tune", "tune-wait", "tune-look", "tune-check"]
    assert steps["prepare"]["args"]["auth"] == {"type": "OIDC"}
    job = steps["tune"]["args"]["body"]
    assert job["jobSpec"]["scheduling"]["strategy"] == "SPOT"
    assert job["jobSpec"]["serviceAccount"].startswith("gcp-pipeline-main-tune@")
    assert [pool["replicaCount"] for pool in job["jobSpec"]["workerPoolSpecs"]] == [1, 1]
    assert steps["tune-check"]["switch"][-1]["next"] == "tune-wait"


def test_gcp_every_accelerator_has_vertex_ais_name() -> None:
    package = find_spec("googleapiclient")
    assert package
    assert package.origin
    file = Path(package.origin).parent / "discovery_cache" / "documents" / "aiplatform.v1.json"
    schemas = json.loads(file.read_text())["schemas"]
    known = schemas["GoogleCloudAiplatformV1MachineSpec"]["properties"]["acceleratorType"]["enum"]
    gpus = [r for r in machines() if r.cloud is Cloud.GCP and r.accelerator and r.accelerator.family is Family.NVIDIA]
    assert len(gpus) > 10
    for row in gpus:
        if row.part == 1:
            assert machine_spec(row)["acceleratorType"] in known, row.name


def test_azure_no_key_opens_anything() -> None:
    found = made(Cloud.AZURE)
    assert found.one("azure-native:servicebus:Namespace").inputs["disableLocalAuth"] is True
    for account in found.of("azure-native:storage:StorageAccount").values():
        assert account["allowSharedKeyAccess"] is False
        assert account["networkRuleSet"]["defaultAction"] == "Deny"
    for workspace in found.of("azure-native:synapse:Workspace").values():
        assert workspace["azureADOnlyAuthentication"] is True
        assert workspace["publicNetworkAccess"] == "Disabled"
    assert found.one("azure-native:machinelearningservices:Workspace").inputs["publicNetworkAccess"] == "Disabled"
    endpoint = found.one("azure-native:machinelearningservices:OnlineEndpoint").inputs["properties"]
    assert endpoint == {"authMode": "AADToken", "publicNetworkAccess": "Disabled"}
    assert found.one("azure-native:app:ManagedEnvironment").inputs["vnetConfiguration"]["internal"] is True
    card = found.one("azure-native:network:NetworkInterface").inputs
    assert "publicIPAddress" not in card["ipConfigurations"][0]
    profile = found.one("azure-native:compute:VirtualMachine").inputs["osProfile"]
    assert profile["linuxConfiguration"]["disablePasswordAuthentication"] is True


def test_azure_every_grant_is_of_a_built_in_role_on_one_thing() -> None:
    known = {role.value for role in Role}
    grants = [i for n, i in made(Cloud.AZURE).of("azure-native:authorization:RoleAssignment").items() if "-service-" in n]
    assert len(grants) > 10
    for grant in grants:
        assert grant["roleDefinitionId"].rpartition("/")[2] in known
        assert not re.fullmatch(r"/subscriptions/[^/]*(/resourceGroups/[^/]*)?", grant["scope"])


def test_azure_functions_have_a_subnet_that_the_stores_let_in() -> None:
    found = made(Cloud.AZURE)
    subnets = found.of("azure-native:network:Subnet")
    assert subnets["main-functions"]["addressPrefix"] == "10.60.192.0/24"
    assert subnets["main-functions"]["delegations"][0]["serviceName"] == "Microsoft.App/environments"
    rules = found.of("azure-native:storage:StorageAccount")["main-data"]["networkRuleSet"]
    assert {rule["virtualNetworkResourceId"] for rule in rules["virtualNetworkRules"]} == {
        "main-nodes-1-id",
        "main-functions-id",
    }
    assert rules["resourceAccessRules"][0]["resourceId"].endswith("/providers/Microsoft.Synapse/workspaces/*")


def test_azure_a_workflow_starts_its_steps_and_waits() -> None:
    definition = made(Cloud.AZURE).one("azure-native:logic:Workflow").inputs["definition"]
    actions = definition["actions"]
    after = {next(iter(action["runAfter"]), None): name for name, action in actions.items()}
    order = [after[None]]
    while order[-1] in after:
        order.append(after[order[-1]])
    assert order == ["prepare", "prepare_until", "prepare_check", "tune_name", "tune", "tune_until", "tune_check"]
    trigger = definition["triggers"]["begin"]
    assert trigger["inputs"]["uri"].endswith("/azure-pipeline-main-arrivals/messages/head?timeout=5")
    job = actions["tune"]["inputs"]["body"]["properties"]
    assert job["inputs"]["data"]["uri"] == "azureml://datastores/data/paths/"
    compute = made(Cloud.AZURE).one("azure-native:machinelearningservices:Compute").inputs["properties"]["properties"]
    assert compute["vmPriority"] == "LowPriority"
    assert compute["enableNodePublicIp"] is False


@pytest.mark.parametrize("cloud", [Cloud.AZURE])
def test_a_stack_without_services_makes_none_of_them(cloud: Cloud) -> None:
    name = f"{cloud}-dev"
    spec = load_stack(STACKS / f"{name}.yaml")

    def program() -> None:
        set_accounts()
        pulumi.export("made", platform(Stack(name, spec))["clusters"]["main"]["services"])

    found = deploy(program, stack=name)
    assert found.exports["made"] == {}
    assert not [r.name for r in found.resources if "-service-" in r.name or "functions" in r.name]


@pytest.mark.parametrize("cloud", PUBLIC)
def test_an_alarm_looks_at_its_service(cloud: Cloud) -> None:
    found = made(cloud)
    kind = {
        Cloud.AWS: "aws:cloudwatch/metricAlarm:MetricAlarm",
        Cloud.GCP: "gcp:monitoring/alertPolicy:AlertPolicy",
        Cloud.AZURE: "azure-native:monitor:MetricAlert",
    }[cloud]
    late = next(i for n, i in found.of(kind).items() if n.startswith("main-service-late"))
    said = json.dumps(late)
    assert f"{cloud}-pipeline-main-arrivals" in said or "main-service-arrivals" in said
    assert "100" in said
