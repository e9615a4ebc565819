"""What KEDA may do in AWS: count the messages of the queues that models go by, and take none."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pulumi

from fleet import naming
from fleet.catalog.clouds import Cloud
from fleet.queues import queue
from infra.clouds.aws.cluster import EksCluster
from infra.clouds.aws.identity import role_of_pods
from infra.clouds.base import QueueReaderArgs


class EksQueueReader(pulumi.ComponentResource):
    """A role for KEDA's operator, by Pod Identity.

    Attributes:
        chart_values: of KEDA's chart; none, as EKS knows the association.
    """

    chart_values: pulumi.Output[dict[str, object]]

    def __init__(self, name: str, args: QueueReaderArgs[EksCluster], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:aws:EksQueueReader", name, {}, opts)
        role_of_pods(
            self,
            name,
            cluster=args.cluster,
            namespace=args.namespace,
            service_account=args.service_account,
            role_name=naming.physical(args.cluster.physical_name, args.service_account, limit=64),
            rights=("count-messages", pulumi.Output.all(*args.addresses).apply(_policy)),
        )
        self.chart_values = pulumi.Output.from_input({})
        self.register_outputs({"chartValues": self.chart_values})


def _policy(addresses: Sequence[str]) -> str:
    """https://keda.sh/docs/2.21/scalers/aws-sqs/"""
    queues = [queue(Cloud.AWS, address) for address in addresses]
    arns = [f"arn:aws:sqs:{q.place}:{q.account}:{q.name}" for q in queues]
    statement = {"Effect": "Allow", "Action": "sqs:GetQueueAttributes", "Resource": arns}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
