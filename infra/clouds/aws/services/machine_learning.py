"""SageMaker: what a training job of a workflow is, and a model behind an endpoint. Both without a way to any network.

A training owns its role and the words of the job; the workflow that names it starts the job, and nothing stands until then.
"""

from __future__ import annotations

import hashlib
from typing import Any

import pulumi
import pulumi_aws as aws

from fleet.spec_services import AlarmWhen, EndpointSpec, ServicePurchase, TrainingSpec
from infra.clouds.aws.network import AwsNetwork
from infra.clouds.aws.services.rights import Metric, Statement, account, allow, on_stores, pass_role, service_role
from infra.clouds.services import ServiceArgs

_SERVICE = "sagemaker.amazonaws.com"
# By which Step Functions hears of a job's end: https://docs.aws.amazon.com/step-functions/latest/dg/sagemaker-iam.html
_RULE = "StepFunctionsGetEventsForSageMakerTrainingJobsRule"
_VARIANT = "AllTraffic"
# An image of ECR needs a token, which knows no resource, and its layers.
_IMAGES = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"]


def _to_run(parent: pulumi.Resource, region: str, logs: str) -> list[Statement]:
    """What every SageMaker container needs: its image, its log lines, its metrics."""
    here = pulumi.Output.concat(region, ":", account(parent))
    return [
        allow("ecr:GetAuthorizationToken", "*"),
        allow(_IMAGES, pulumi.Output.concat("arn:aws:ecr:", here, ":repository/*")),
        allow(
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
            pulumi.Output.concat("arn:aws:logs:", here, f":log-group:/aws/sagemaker/{logs}*"),
        ),
        allow(
            "cloudwatch:PutMetricData",
            "*",
            Condition={"StringLike": {"cloudwatch:namespace": ["/aws/sagemaker/*", "aws/sagemaker/*"]}},
        ),
    ]


class SageMakerTraining(pulumi.ComponentResource):
    """A training job as a workflow starts it, after "Managed Spot Training in Amazon SageMaker AI".

    Attributes:
        address: the role that its jobs have.
    """

    address: pulumi.Output[str]

    def __init__(
        self, name: str, args: ServiceArgs[TrainingSpec, AwsNetwork], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("accelfleet:aws:SageMakerTraining", name, {}, opts)
        self._args = args
        role, self._granted = service_role(
            self,
            name,
            role_name=args.named(limit=64),
            service=_SERVICE,
            statements=[*_to_run(self, args.region, "TrainingJobs"), *on_stores(args.reads, args.writes)],
        )
        self._account = account(self)
        self.address = role.arn
        self.register_outputs({"address": self.address})

    def state(self) -> dict[str, Any]:
        """The step of a workflow that runs the job to its end.

        https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html
        """
        args, spec = self._args, self._args.spec
        assert args.machine is not None, "a training runs on a machine"
        spot, out = spec.purchase is ServicePurchase.SPOT, args.stores[spec.model].url
        longest = spec.hours * 3600
        job: dict[str, Any] = {
            # A name is of one job for ever.
            "TrainingJobName.$": f"States.Format('{args.named(limit=26)}-{{}}', States.UUID())",
            "RoleArn": self.address,
            "AlgorithmSpecification": {"TrainingImage": spec.image, "TrainingInputMode": "File"},
            "OutputDataConfig": {"S3OutputPath": pulumi.Output.concat(out, "/", args.named())},
            "CheckpointConfig": {"S3Uri": pulumi.Output.concat(out, "/", args.named(), "/checkpoints")},
            "ResourceConfig": {
                "InstanceType": f"ml.{args.machine.name}",
                "InstanceCount": spec.nodes,
                "VolumeSizeInGB": spec.disk_gib,
            },
            # Spot may wait as long again as it runs.
            "StoppingCondition": {"MaxRuntimeInSeconds": longest} | ({"MaxWaitTimeInSeconds": 2 * longest} if spot else {}),
            "EnableManagedSpotTraining": spot,
            "EnableNetworkIsolation": True,
            "EnableInterContainerTrafficEncryption": spec.nodes > 1,
            "Tags": [{"Key": key, "Value": value} for key, value in args.tags.items()],
        }
        if spec.data:
            source = {"S3DataType": "S3Prefix", "S3Uri": args.stores[spec.data].url}
            job["InputDataConfig"] = [{"ChannelName": "training", "DataSource": {"S3DataSource": source}}]
        return {"Type": "Task", "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync", "Parameters": job}

    def rights(self) -> list[Statement]:
        """What starts its jobs needs, and hears of their end."""
        here = pulumi.Output.concat(self._args.region, ":", self._account)
        jobs = pulumi.Output.concat("arn:aws:sagemaker:", here, ":training-job/", self._args.named(limit=26), "-*")
        return [
            allow(["sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob", "sagemaker:StopTrainingJob"], jobs),
            allow("sagemaker:AddTags", jobs),
            pass_role(self.address, _SERVICE),
            allow(
                ["events:PutTargets", "events:PutRule", "events:DescribeRule"],
                pulumi.Output.concat("arn:aws:events:", here, f":rule/{_RULE}"),
            ),
        ]


class SageMakerEndpoint(pulumi.ComponentResource):
    """A model of a store behind an endpoint, after "Real-time inference"; only IAM lets callers in.

    Model and configuration cannot change: another spec is another name, so that the endpoint moves over without a gap.

    Attributes:
        address: the endpoint's name, as `invoke_endpoint` asks for it.
    """

    address: pulumi.Output[str]

    def __init__(
        self, name: str, args: ServiceArgs[EndpointSpec, AwsNetwork], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("accelfleet:aws:SageMakerEndpoint", name, {}, opts)
        child, spec = pulumi.ResourceOptions(parent=self), args.spec
        assert args.machine is not None, "an endpoint runs on machines"
        told = hashlib.sha256(f"{spec.model_dump_json()}/{args.machine.name}".encode()).hexdigest()[:8]
        role, granted = service_role(
            self,
            name,
            role_name=args.named(limit=64),
            service=_SERVICE,
            statements=[*_to_run(self, args.region, "Endpoints/"), *on_stores(args.reads, ())],
        )
        prefix = f"{spec.path.strip('/')}/" if spec.path else ""
        source = aws.sagemaker.ModelPrimaryContainerModelDataSourceS3DataSourceArgs(
            s3_uri=pulumi.Output.concat(args.stores[spec.model].url, "/", prefix),
            s3_data_type="S3Prefix",
            compression_type="None",
        )
        model = aws.sagemaker.Model(
            f"{name}-model",
            name=args.named(told),
            execution_role_arn=role.arn,
            enable_network_isolation=True,
            primary_container=aws.sagemaker.ModelPrimaryContainerArgs(
                image=spec.image,
                model_data_source=aws.sagemaker.ModelPrimaryContainerModelDataSourceArgs(s3_data_sources=[source]),
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=granted),
        )
        variant = aws.sagemaker.EndpointConfigurationProductionVariantArgs(
            variant_name=_VARIANT,
            model_name=model.name,
            instance_type=f"ml.{args.machine.name}",
            initial_instance_count=spec.machines,
        )
        config = aws.sagemaker.EndpointConfiguration(
            f"{name}-config", name=args.named(told), production_variants=[variant], opts=child
        )
        endpoint = aws.sagemaker.Endpoint(
            f"{name}-endpoint",
            name=args.named(),
            endpoint_config_name=config.name,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self.address = endpoint.name
        of = {"EndpointName": endpoint.name, "VariantName": _VARIANT}
        self.metrics = {AlarmWhen.ERRORS: Metric("AWS/SageMaker", "Invocation5XXErrors", "Sum", of)}
        self.register_outputs({"address": self.address})
