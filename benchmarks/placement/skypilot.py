"""SkyPilot's optimizer on a price list of ours, offline, in its own environment: a request a line in, an answer a line out.

Its home is a scratch directory with the catalogue in place, so that it fetches nothing; that AWS is enabled is said in
the place of credentials. Answers have the USD an hour and the CPU seconds of the call to the optimizer alone.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import sky
from sky import check
from sky.catalog import aws_catalog
from sky.clouds import AWS
from sky.optimizer import Optimizer
from sky.utils.common import OptimizeTarget

check.get_cached_enabled_clouds_or_refresh = lambda *_, **__: [AWS()]
aws_catalog._get_df = lambda: aws_catalog._default_df


def answer(request: dict[str, Any]) -> dict[str, float]:
    with sky.Dag() as dag:
        task = sky.Task(num_nodes=request["nodes"])
        task.set_resources(
            sky.Resources(
                cloud=AWS(),
                accelerators={request["accelerator"]: request["count"]},
                use_spot=request["spot"],
                region=request["region"],
            )
        )
    started = time.process_time()
    Optimizer.optimize(dag, minimize=OptimizeTarget.COST, quiet=True)
    seconds = time.process_time() - started
    return {"usd": task.best_resources.get_cost(3600) * request["nodes"], "seconds": seconds}


# A request as an argument is a cold command's.
for line in sys.argv[1:] or sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
