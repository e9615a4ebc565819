"""Everything aws-dev loads, down to the classes it names (`BENCH_CLASSES`), and no resource."""

import os
from importlib import import_module
from operator import attrgetter

import infra.platform
from fleet.catalog.clouds import Cloud

infra.platform.kit(Cloud.AWS)
for name in os.environ["BENCH_CLASSES"].split():
    package, _, path = name.partition(".")
    # Imported here and not above: `infra` says how the SDKs load, and comes first.
    attrgetter(path)(import_module(f"pulumi_{package}"))
