"""Everything aws-dev loads, down to the classes it names (`BENCH_CLASSES`), and no resource."""

import os
from operator import attrgetter

import pulumi_aws
import pulumi_kubernetes

import infra.platform
from fleet.catalog.clouds import Cloud

infra.platform.kit(Cloud.AWS)
for name in os.environ["BENCH_CLASSES"].split():
    package, _, path = name.partition(".")
    attrgetter(path)({"aws": pulumi_aws, "kubernetes": pulumi_kubernetes}[package])
