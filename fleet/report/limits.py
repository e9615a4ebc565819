"""What accounts have of each quota, as somebody wrote it down with a date: `quotas.yaml`. Asks no cloud.

Who has not written a limit down is told `unknown`, never that there is enough.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, StrictInt, TypeAdapter, ValidationError

from fleet.catalog.clouds import Cloud
from fleet.spec_base import Spec


class LimitsError(Exception):
    """The limits file is wrong; the message says where and how to mend it."""


class Limit(Spec):
    """One row of `quotas.yaml`."""

    cloud: Cloud
    region: Annotated[str, Field(min_length=1, description="The cloud's region; `all regions` for GCP's GPUs everywhere.")]
    quota: Annotated[str, Field(min_length=1, description="The cloud's name of it, as `fleet quota` prints it.")]
    limit: Annotated[StrictInt, Field(ge=0)]
    used: Annotated[StrictInt | None, Field(ge=0, description="Of the whole account, in use on that day.")] = None
    as_of: date


def limits(file: Path) -> dict[tuple[str, str, str], Limit]:
    """By cloud, region and quota.

    Raises:
        LimitsError: the file is not as it should be.
    """
    try:
        rows = TypeAdapter(list[Limit]).validate_python(yaml.safe_load(file.read_text(encoding="utf-8")) or [])
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as wrong:
        raise LimitsError(f"{file}: cannot be read: {wrong}") from None
    except ValidationError as wrong:
        faults = (f"{file}: row {'.'.join(str(p) for p in e['loc']) or '-'}: {e['msg']}" for e in wrong.errors())
        raise LimitsError("\n".join(faults) + "\nmend: a list of cloud, region, quota, limit, as_of (docs/report.md)") from None
    return {(row.cloud, row.region, row.quota): row for row in rows}
