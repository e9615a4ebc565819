"""From zero by a queue: messages in SQS, counted by the real KEDA, make replicas and nodes; and none of them stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from sandbox import toolchain
from sandbox.addons import TOOLS
from sandbox.cloud.client import Client
from sandbox.cluster.api import is_ready
from tests.e2e.conftest import Fork
from tests.waiting import until

pytestmark = pytest.mark.sandbox
BEFORE = """
owner: ml-platform
environment: dev
clusters:
  main:
    cloud: aws
    region: us-east-1
    api: {allowed_cidrs: [203.0.113.0/24]}
    stores:
      work: {}
    pools:
      l4:
        accelerator: nvidia-l4
        nodes: {min: 0, max: 3}
"""
MODEL = """
    models:
      batch:
        pool: l4
        autoscaler: keda
        replicas: {{min: 0, max: 3}}
        scaling:
          queue: {{address: "https://sqs.us-east-1.amazonaws.com/123456789012/jobs", messages: 5}}
"""
CLUSTER = "aws/backlog-main"
SCALED = "/apis/keda.sh/v1alpha1/namespaces/models/scaledobjects/batch"


class Queue:
    """SQS in the sandbox: moto, in the process that holds S3's bytes, too."""

    def __init__(self, fork: Fork) -> None:
        endpoint = Client(fork.home).call("status")["stores"]["aws"]
        keys = {"aws_access_key_id": "sandbox", "aws_secret_access_key": "sandbox", "region_name": "us-east-1"}
        self._sqs = boto3.client("sqs", endpoint_url=endpoint, **keys)
        self._url = self._sqs.create_queue(QueueName="jobs")["QueueUrl"]

    def put(self, count: int) -> None:
        for number in range(count):
            self._sqs.send_message(QueueUrl=self._url, MessageBody=json.dumps({"job": number}))

    def lose(self) -> None:
        """Its owner deletes it by mistake."""
        self._sqs.delete_queue(QueueUrl=self._url)

    def make_again(self) -> None:
        self._sqs.create_queue(QueueName="jobs")


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fork]:
    toolchain.ensure(TOOLS["keda"])
    made = Fork(tmp_path_factory.mktemp("fork"), "backlog", BEFORE, ACCELFLEET_IDLE_S="5")
    try:
        made.fleet("up")
        yield made
    finally:
        made.close()


def replicas(fork: Fork) -> tuple[int, int]:
    """Of the model: those that are there and those that are Ready."""
    found = fork.api(CLUSTER).call("GET", "/api/v1/namespaces/models/pods")["items"]
    there = [p for p in found if p["metadata"].get("deletionTimestamp") is None]
    return len(there), sum(is_ready(p) for p in there)


def nodes(fork: Fork) -> int:
    return len(fork.api(CLUSTER).items("/api/v1/nodes", labelSelector="accelfleet.io/pool=l4"))


def scaled(fork: Fork) -> dict[str, Any]:
    return fork.api(CLUSTER).call("GET", SCALED)["status"]


def conditions(fork: Fork) -> dict[str, str]:
    return {c["type"]: c["status"] for c in scaled(fork)["conditions"]}


def test_from_zero_to_as_many_as_the_messages_need_through_a_lost_queue_and_back(fork: Fork) -> None:
    queue = Queue(fork)
    fork.write(BEFORE + MODEL.format())
    fork.fleet("up")
    assert replicas(fork) == (0, 0), "nothing waits, so nothing is made: no replica, and no node for it"
    assert nodes(fork) == 0
    assert until(lambda: conditions(fork).get("Ready") == "True", 60), scaled(fork)
    queue.put(12)
    assert until(lambda: replicas(fork) == (3, 3), 120), (replicas(fork), scaled(fork))
    assert nodes(fork) == 3
    assert "no changes" in fork.fleet("up", "--expect-no-changes"), "an `up` leaves the replicas alone"
    assert replicas(fork)[0] == 3
    # As if it were idle_s: long past when three looks have failed, so that what holds is work to KEDA and begins it anew.
    fork.api(CLUSTER).patch(SCALED, {"spec": {"cooldownPeriod": 20}})
    looked = scaled(fork)["lastActiveTime"]
    assert until(lambda: scaled(fork)["lastActiveTime"] > looked, 20), "KEDA begins anew after a change, with a look"
    queue.lose()
    assert until(lambda: conditions(fork).get("Fallback") == "True" or replicas(fork)[0] != 3, 60), scaled(fork)
    assert not until(lambda: replicas(fork)[0] != 3, 30), "what nobody can count takes no replica away"
    assert conditions(fork)["Fallback"] == "True"
    queue.make_again()
    assert until(lambda: replicas(fork) == (0, 0) and nodes(fork) == 0, 240), (replicas(fork), nodes(fork), scaled(fork))
    queue.lose()
    assert until(lambda: replicas(fork)[0] == 1, 60), "nobody knows that there is no work, and one looks"
    fork.fleet("destroy")
