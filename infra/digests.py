"""`python -m infra.digests`: the digests of the images of `infra/versions.py`, from their registries into the catalogue.

Read the difference, compare it with a second source, commit. 1 where an image's could not be had, or its tag has moved.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from fleet import registry
from fleet.catalog import digests
from infra import versions


def images() -> list[str]:
    """Every image of `infra/versions.py` that has a tag."""
    named = [value for name, value in vars(versions).items() if name.endswith(("_IMAGE", "_IMAGES"))]
    found = [one for value in named for one in (value.values() if isinstance(value, dict) else [value])]
    tagged = {one.partition("@")[0] for one in found}
    return sorted(one for one in tagged if ":" in one.rpartition("/")[2])


def main() -> int:
    known, whole = digests.pins(), True
    rows = dict(known)
    with registry.client() as http:
        for pin, said in registry.look_up(http, known, images(), datetime.now(UTC).date().isoformat()):
            sys.stderr.write(f"{said}\n")
            whole = whole and pin is not None
            if pin:
                rows[pin.image] = pin
    digests.write(rows.values())
    return 0 if whole else 1


if __name__ == "__main__":
    raise SystemExit(main())
