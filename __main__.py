"""The Pulumi program: one stack file in, one platform out."""

import pulumi

from infra.platform import deploy
from infra.stack import this_stack

for key, value in deploy(this_stack()).items():
    pulumi.export(key, value)
