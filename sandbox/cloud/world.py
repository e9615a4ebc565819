"""The world the behaviours act on: the records, the clusters, the object stores and the account's quotas.

Owns the order of a change: the record is written first, then what it sets in motion runs, as a cloud does it. A plugin
that dies in the middle therefore leaves a real resource behind, which is what recovery has to find.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

from fleet.carbon import source
from sandbox.cloud import (
    aws,
    aws_node_groups,
    aws_services,
    azure,
    azure_storage,
    electricity_maps,
    gcp,
    gcp_storage,
    gcp_tpu,
)
from sandbox.cloud.behaviour import Behaviour, serial
from sandbox.cloud.buckets import ObjectStores
from sandbox.cloud.clusters import Clusters
from sandbox.cloud.errors import CloudError, already_exists, not_found
from sandbox.cloud.events import Queues
from sandbox.cloud.quotas import affordable
from sandbox.cloud.records import Record, Records

BEHAVIOURS: dict[str, dict[str, Behaviour]] = {
    "aws": {**aws.TYPES, **aws_node_groups.TYPES, **aws_services.TYPES},
    "gcp": {**gcp.TYPES, **gcp_storage.TYPES, **gcp_tpu.TYPES},
    "azure-native": {**azure.TYPES, **azure_storage.TYPES},
}
_UNMODELLED: dict[str, Behaviour] = {"aws": aws.UNMODELLED, "gcp": gcp.UNMODELLED, "azure-native": azure.UNMODELLED}


class World:
    """Three clouds in one directory.

    Args:
        url: where they answer; programs beside clusters are told of it. Empty where nobody has to reach them.
    """

    def __init__(self, home: Path, url: str = "") -> None:
        self.home = home
        self.records = Records(home / "cloud.db")
        self.buckets = ObjectStores(home)
        self.clusters = Clusters(home, self.records, partial(affordable, self), url, self._environment)
        self.queues = Queues()
        self.url = url
        self._serials = itertools.count(int(self.records.setting("serial") or 0))
        self._serial_lock = threading.Lock()
        # Two creates of the same thing at once must not both win; different things go ahead together.
        self._locks: dict[tuple[str, str, str], threading.Lock] = defaultdict(threading.Lock)

    def _environment(self, url: str) -> dict[str, str]:
        """What leads a pod's program from an address in the world to what stands for it here."""
        if url == source.URL:
            return electricity_maps.environment(self.home, self.url)
        return self.buckets.environment(url)

    def next_serial(self, seed: str) -> str:
        with self._serial_lock:
            number = next(self._serials)
            self.records.set("serial", number + 1)
        return serial(seed, str(number))

    def behaviour(self, cloud: str, type_: str) -> Behaviour:
        """The type's behaviour; a versioned azure-native token (`…/v20250901:Subnet`) behaves as the plain one."""
        return BEHAVIOURS[cloud].get(plain_type(type_), _UNMODELLED[cloud])

    def modelled(self, cloud: str, type_: str) -> bool:
        return plain_type(type_) in BEHAVIOURS[cloud]

    def create(
        self, cloud: str, type_: str, urn: str, config: dict[str, Any], inputs: dict[str, Any], defaults: dict[str, Any]
    ) -> Record:
        """Make a resource.

        Args:
            defaults: outputs made from the SDK's types, for what no behaviour computes.

        Raises:
            CloudError: the cloud refuses (409 when the name is taken).
        """
        behaviour = self.behaviour(cloud, type_)
        record = Record(cloud, type_, "", urn, config, inputs)
        behaviour.refuse(self, record)
        record.id = behaviour.identify(self, record)
        record.outputs = {**defaults, **inputs}
        record.outputs |= behaviour.outputs(self, record)
        if not self.records.add(record):
            raise already_exists(f"{type_} {record.id}")
        self._take_time()
        with self._locks[cloud, type_, record.id]:
            try:
                record.outputs |= behaviour.created(self, record)
            except Exception:
                # What could not be set in motion does not exist; the clouds roll a failed create back the same way.
                self.records.remove(record)
                raise
            self.records.save(record, "created")
        return record

    def read(self, cloud: str, type_: str, id_: str) -> Record:
        record = self.records.get(cloud, type_, id_)
        if record is None:
            raise not_found(f"{type_} {id_}")
        record.outputs |= self.behaviour(cloud, type_).observed(self, record)
        return record

    def update(self, cloud: str, type_: str, id_: str, inputs: dict[str, Any]) -> Record:
        """Change a resource in place."""
        with self._locks[cloud, type_, id_]:
            record = self.read(cloud, type_, id_)
            behaviour = self.behaviour(cloud, type_)
            old, record.inputs = record.inputs, inputs
            behaviour.refuse(self, record)
            record.outputs |= {**inputs, **behaviour.outputs(self, record)}
            record.outputs |= behaviour.updated(self, record, old)
            self.records.save(record)
        self._take_time()
        return record

    def delete(self, cloud: str, type_: str, id_: str) -> None:
        """Delete a resource; one that is gone already is fine, as in the clouds' own idempotent deletes."""
        with self._locks[cloud, type_, id_]:
            record = self.records.get(cloud, type_, id_)
            if record is None:
                return
            behaviour = self.behaviour(cloud, type_)
            behaviour.check_unused(self, record)
            behaviour.deleting(self, record)
            self.records.remove(record)
        self._take_time()

    def _take_time(self) -> None:
        """A cloud answers some time after the thing is there; crashes in between are what recovery is for."""
        time.sleep(float(self.records.setting("latency_s") or 0))

    def find(self, cloud: str, type_: str, inputs: dict[str, Any], stack: str | None = None) -> list[Record]:
        """Resources that carry the same identity as these inputs: the same name, the same Name tag, or the same content.

        Stands for what each cloud's tag and describe calls answer; recovery uses it to find what no state mentions.
        What carries another stack's tag is another's, whatever it looks like.
        """
        behaviour = self.behaviour(cloud, type_)
        wanted = Record(cloud, type_, "", "", {}, inputs)
        if behaviour.prefix is None:
            wanted.id = behaviour.identify(self, wanted)
            found = self.records.get(cloud, type_, wanted.id)
            same = [found] if found else []
        elif name := wanted.tags.get("Name"):
            same = [r for r in self.records.all(cloud, type_) if r.tags.get("Name") == name]
        else:
            same = [r for r in self.records.all(cloud, type_) if _content(r.inputs) == _content(inputs)]
        return [r for r in same if stack is None or r.tags.get("accelfleet-stack") in (None, stack)]

    def close(self) -> None:
        self.clusters.close()
        self.buckets.close()
        self.records.close()


def plain_type(type_: str) -> str:
    """`azure-native:network/v20240501:Subnet` -> `azure-native:network:Subnet`."""
    package, _, rest = type_.partition(":")
    module, _, kind = rest.partition(":")
    return f"{package}:{module.split('/')[0]}:{kind}" if package == "azure-native" else type_


def _content(inputs: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in inputs.items() if not k.startswith("__") and k not in ("tags", "tagsAll")}


__all__ = ["BEHAVIOURS", "CloudError", "World", "plain_type"]
