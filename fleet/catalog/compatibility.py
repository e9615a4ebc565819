"""What runs on what: Kubernetes minors, drivers, CUDA and Neuron, device plugins, engine images. Rows, and one rule.

data/compatibility.csv: a part (an image's name, CUDA, an accelerator) of a version `needs` another from one version on
and below another, or `brings` it. An empty version is any. data/kubernetes.csv: the minors that a new cluster can have.
What no row speaks of is unknown, and the unknown is never refused: a tag that tells no version hides none.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fleet.catalog.accelerators import Accelerator
from fleet.catalog.clouds import Cloud
from fleet.catalog.drivers import driver

_DATA = Path(__file__).parent / "data"
# How tags say it themselves: v0.18.0-cu130, 2.8-cuda12.6, 0.9.1-neuronx-py311-sdk2.26.0-ubuntu22.04.
_IN_TAG = (
    ("cuda", re.compile(r"(?:^|[^a-z])cu(\d\d)(\d)(?![\d.])")),
    ("cuda", re.compile(r"(?:^|[^a-z])cuda-?(\d\d)\.(\d+)")),
    ("neuron-sdk", re.compile(r"(?:^|[^a-z])sdk(\d+)\.(\d+)")),
)
_LEADING = re.compile(r"^v?(\d+(?:\.\d+)*)")

Parts = dict[str, str | None]  # a part's name -> its version; None: there, but nobody says in which version


@dataclass(frozen=True, kw_only=True)
class Row:
    part: str
    version: str
    cloud: str
    relation: str
    other: str
    at_least: str
    below: str
    source: str
    as_of: str

    def speaks_of(self, part: str, version: str | None, cloud: Cloud) -> bool:
        mine = _number(self.version) if self.version else ()
        within = not mine or (version is not None and _number(version)[: len(mine)] == mine)
        return self.part == part and self.cloud in ("", cloud) and within

    def suits(self, version: str | None) -> bool:
        """Whether that version of `other` does; one that nobody knows does."""
        if version is None:
            return True
        high = not self.below or _number(version) < _number(self.below)
        return high and (not self.at_least or _number(version) >= _number(self.at_least))


@dataclass(frozen=True, kw_only=True)
class Misfit:
    """The first part of a set that does not fit.

    Attributes:
        part: it, with its version. needs: what it would run on. has: what there is instead.
        nearest: what would fit: the part's newest version that does, or the needed part's nearest; None where none does.
    """

    part: str
    needs: str
    has: str
    nearest: str | None


@cache
def rows() -> tuple[Row, ...]:
    with (_DATA / "compatibility.csv").open(newline="") as file:
        return tuple(Row(**row) for row in csv.DictReader(file))


@cache
def kubernetes_minors(cloud: Cloud) -> tuple[str, ...]:
    """Minors that a new cluster can have there, oldest first."""
    with (_DATA / "kubernetes.csv").open(newline="") as file:
        minors = [row["minor"] for row in csv.DictReader(file) if row["cloud"] == cloud]
    return tuple(sorted(minors, key=_number))


def of_nodes(cloud: Cloud, accelerator: Accelerator, kubernetes: str | None) -> Parts:
    """What a pool's nodes are made of; `kubernetes` None: of any minor."""
    parts: Parts = {"kubernetes": kubernetes, accelerator.name: None}
    if (found := driver(cloud, accelerator, kubernetes)) is not None:
        parts[found.name] = found.version
    return parts


def of_image(image: str) -> Parts:
    """What an image's name and tag tell: the server that a row knows, and CUDA or Neuron where the tag says which.

    >>> of_image("docker.io/vllm/vllm-openai:v0.18.0-cu130")
    {'vllm/vllm-openai': '0.18.0', 'cuda': '13.0'}
    """
    name, _, tag = image.partition("@")[0].rpartition(":")
    if not name or "/" in tag:
        name, tag = image.partition("@")[0], ""
    known = {row.part for row in rows() if name == row.part or name.endswith(f"/{row.part}")}
    leading = _LEADING.match(tag)
    parts: Parts = dict.fromkeys(sorted(known), leading[1] if leading else None)
    for part, pattern in _IN_TAG:
        if told := pattern.search(tag):
            parts[part] = f"{told[1]}.{told[2]}"
    return parts


def misfit(parts: Mapping[str, str | None], cloud: Cloud) -> Misfit | None:
    """The first part of the set that does not run on the others; None where all do, as far as anybody knows."""
    whole = dict(parts)
    for part, version in parts.items():
        for row in _about("brings", part, version, cloud):
            if whole.get(row.other) is None:
                whole[row.other] = row.at_least or None
    for part, version in whole.items():
        for row in _about("needs", part, version, cloud):
            if row.other not in whole or not row.suits(whole[row.other]):
                return _said(row, version, whole, cloud)
    return None


def _about(relation: str, part: str, version: str | None, cloud: Cloud) -> list[Row]:
    """Rows on a part, those of any version first: that something is missing comes before which version of it."""
    found = [row for row in rows() if row.relation == relation and row.speaks_of(part, version, cloud)]
    return sorted(found, key=lambda row: len(row.version))


def _said(row: Row, version: str | None, whole: Parts, cloud: Cloud) -> Misfit:
    has = whole.get(row.other, "") if row.other in whole else ""
    bounds = [row.at_least and f"{row.at_least} or later", row.below and f"below {row.below}"]
    return Misfit(
        part=" ".join(filter(None, (row.part, version))),
        needs=" ".join([row.other, " and ".join(filter(None, bounds))]).strip(),
        has=f"{row.other} {has}" if has else f"no {row.other}",
        nearest=_nearest(row, whole) if row.other in whole else None,
    )


def _nearest(row: Row, whole: Parts) -> str | None:
    alike = [o for o in rows() if (o.part, o.relation, o.other) == (row.part, row.relation, row.other) and o.version]
    fine = [o.version for o in alike if o.suits(whole[row.other])]
    if fine:
        return f"{row.part} {max(fine, key=_number)}"
    chosen = not row.other.endswith("-driver")  # a node's driver comes with its image: nobody can ask for another
    return f"{row.other} {row.at_least}" if chosen and row.at_least else None


def _number(version: str) -> tuple[int, ...]:
    """`580.159` -> (580, 159), to compare by."""
    return tuple(int(part) for part in version.split("."))
