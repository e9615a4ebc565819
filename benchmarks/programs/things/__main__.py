"""As many things as `BENCH_THINGS` says, half a kilobyte each, none needing another."""

import os

import pulumi

for number in range(int(os.environ["BENCH_THINGS"])):
    pulumi.CustomResource("bench:index:Thing", f"thing-{number}", {"payload": f"{number:04}" * 128})
