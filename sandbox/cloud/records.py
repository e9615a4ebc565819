"""What exists in the local clouds: one SQLite file, written before any side effect, and a log of every change.

The log is the ground truth of the crash tests: it counts creates and deletes as the cloud saw them, whatever the
engine's state says.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_SCHEMA = """
create table if not exists resources (
  cloud text, type text, id text, urn text, config text, inputs text, outputs text, created real,
  primary key (cloud, type, id)
);
create table if not exists log (at real, action text, cloud text, type text, id text, urn text);
create table if not exists settings (key text primary key, value text);
"""


@dataclass
class Record:
    """One resource as the cloud knows it. `config` is the provider's (region, project, subscription)."""

    cloud: str
    type: str
    id: str
    urn: str
    config: dict[str, Any]
    inputs: dict[str, Any]
    outputs: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name people know it by: its Name tag or name input, else its id."""
        tags = self.tags
        for value in (tags.get("Name"), self.inputs.get("name"), self.inputs.get("bucket")):
            if isinstance(value, str):
                return value
        return self.id

    @property
    def tags(self) -> dict[str, str]:
        for key in ("tagsAll", "tags", "effectiveLabels", "labels", "resourceLabels"):
            tags = self.outputs.get(key) or self.inputs.get(key)
            if isinstance(tags, dict):
                return tags
        return {}


class Records:
    """Thread-safe store of records."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        # Losing the last write to a power cut is fine for a sandbox; losing it to kill -9 is not, and WAL keeps it.
        self._db.executescript("pragma journal_mode=wal; pragma synchronous=normal;" + _SCHEMA)

    def get(self, cloud: str, type_: str, id_: str) -> Record | None:
        return next(self._select("cloud = ? and type = ? and id = ?", cloud, type_, id_), None)

    def all(self, cloud: str | None = None, type_: str | None = None) -> list[Record]:
        """Records, oldest first; of one cloud and type if given."""
        return list(self._select("(? is null or cloud = ?) and (? is null or type = ?)", cloud, cloud, type_, type_))

    def _select(self, where: str, *args: object) -> Iterator[Record]:
        with self._lock:
            rows = self._db.execute(
                f"select cloud, type, id, urn, config, inputs, outputs from resources where {where} order by created",  # noqa: S608
                args,
            ).fetchall()
        for cloud, type_, id_, urn, config, inputs, outputs in rows:
            yield Record(cloud, type_, id_, urn, json.loads(config), json.loads(inputs), json.loads(outputs))

    def add(self, record: Record) -> bool:
        """Store a new record; False when that id is taken."""
        with self._lock:
            try:
                self._write("insert", record)
            except sqlite3.IntegrityError:
                return False
            self._note("create", record)
            return True

    def save(self, record: Record, action: str = "update") -> None:
        with self._lock:
            self._write("insert or replace", record)
            self._note(action, record)

    def remove(self, record: Record) -> None:
        with self._lock:
            self._db.execute(
                "delete from resources where cloud = ? and type = ? and id = ?", (record.cloud, record.type, record.id)
            )
            self._note("delete", record)

    def _write(self, verb: str, r: Record) -> None:
        kept = self._db.execute(
            "select created from resources where cloud = ? and type = ? and id = ?", (r.cloud, r.type, r.id)
        ).fetchone()
        created = kept[0] if kept and verb != "insert" else time.time()
        self._db.execute(
            f"{verb} into resources values (?, ?, ?, ?, ?, ?, ?, ?)",
            (r.cloud, r.type, r.id, r.urn, json.dumps(r.config), json.dumps(r.inputs), json.dumps(r.outputs), created),
        )

    def _note(self, action: str, r: Record) -> None:
        self._db.execute("insert into log values (?, ?, ?, ?, ?, ?)", (time.time(), action, r.cloud, r.type, r.id, r.urn))

    def log(self) -> list[dict[str, Any]]:
        """Every change, oldest first."""
        with self._lock:
            rows = self._db.execute("select at, action, cloud, type, id, urn from log order by rowid").fetchall()
        keys = ("at", "action", "cloud", "type", "id", "urn")
        return [dict(zip(keys, row, strict=True)) for row in rows]

    def setting(self, key: str) -> Any:
        with self._lock:
            row = self._db.execute("select value from settings where key = ?", (key,)).fetchone()
        return json.loads(row[0]) if row else None

    def set(self, key: str, value: Any) -> None:
        with self._lock:
            self._db.execute("insert or replace into settings values (?, ?)", (key, json.dumps(value)))

    def forget(self, prefix: str) -> None:
        """Drop the settings whose keys begin so."""
        with self._lock:
            self._db.execute("delete from settings where substr(key, 1, ?) = ?", (len(prefix), prefix))

    def close(self) -> None:
        with self._lock:
            self._db.close()
