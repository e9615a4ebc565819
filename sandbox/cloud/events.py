"""EventBridge and SQS as far as machines are announced by them: rules that a program made send what they match to its queue.

Messages are in memory and end with the daemon, as an SQS queue forgets them after some minutes.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sandbox.cloud.aws import region as region_of
from sandbox.cloud.behaviour import AWS_ACCOUNT
from sandbox.cloud.errors import CloudError

if TYPE_CHECKING:
    from sandbox.cloud.world import World

SPOT_WARNING = "EC2 Spot Instance Interruption Warning"
_QUEUE, _RULE = "aws:sqs/queue:Queue", "aws:cloudwatch/eventRule:EventRule"
_TARGET = "aws:cloudwatch/eventTarget:EventTarget"
# Until a message that was received and not deleted is given out again.
_HIDDEN_S = 30
# The longest that a receiver is kept waiting: SQS allows 20 seconds, and a daemon that stops waits for its last answers.
_LONGEST_S = 2.0


class Queues:
    """Messages of SQS queues, by the queue's URL."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        # URL -> message id -> its body, and from when on it may be received.
        self._held: dict[str, dict[str, tuple[str, float]]] = defaultdict(dict)

    def send(self, url: str, body: str) -> None:
        with self._changed:
            self._held[url][str(uuid.uuid4())] = (body, 0.0)
            self._changed.notify_all()

    def receive(self, url: str, most: int, wait_s: float) -> list[tuple[str, str]]:
        """Ids and bodies of messages, once there are some or the wait is over; they are hidden for half a minute."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._visible(url)), timeout=min(wait_s, _LONGEST_S))
            found = self._visible(url)[:most]
            for id_, body in found:
                self._held[url][id_] = (body, time.monotonic() + _HIDDEN_S)
            return found

    def delete(self, url: str, id_: str) -> None:
        with self._changed:
            self._held[url].pop(id_, None)

    def _visible(self, url: str) -> list[tuple[str, str]]:
        now = time.monotonic()
        return [(id_, body) for id_, (body, since) in self._held[url].items() if since <= now]


def queue_url(world: World, region: str, name: str) -> str:
    """The URL of a queue.

    Raises:
        CloudError: there is none of that name in the region.
    """
    for record in world.records.all("aws", _QUEUE):
        if record.inputs.get("name") == name and region_of(record) == region:
            return record.id
    raise CloudError("QueueDoesNotExist", "The specified queue does not exist.")


def announce(world: World, region: str, kind: str, instance: str, detail: dict[str, Any]) -> int:
    """Tell of a machine whoever has a rule for it; returns how many queues were told."""
    arn = f"arn:aws:ec2:{region}:{AWS_ACCOUNT}:instance/{instance}"
    body = json.dumps(
        {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": kind,
            "source": "aws.ec2",
            "account": AWS_ACCOUNT,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "region": region,
            "resources": [arn],
            "detail": {"instance-id": instance, **detail},
        }
    )
    rules = {r.id for r in world.records.all("aws", _RULE) if region_of(r) == region and _matches(r.inputs, kind)}
    arns = {t.inputs["arn"] for t in world.records.all("aws", _TARGET) if t.inputs.get("rule") in rules}
    urls = [q.id for q in world.records.all("aws", _QUEUE) if q.outputs.get("arn") in arns]
    for url in urls:
        world.queues.send(url, body)
    return len(urls)


def _matches(rule: dict[str, Any], kind: str) -> bool:
    pattern = json.loads(rule.get("eventPattern") or "{}")
    return "aws.ec2" in pattern.get("source", []) and kind in pattern.get("detail-type", [])
