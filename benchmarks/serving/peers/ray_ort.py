"""Ray Serve with dynamic batching and its throughput flags, as its documentation has it: `ray_ort.py MODEL PORT`.

https://docs.ray.io/en/latest/serve/advanced-guides/dyn-req-batch.html
https://docs.ray.io/en/latest/serve/advanced-guides/performance.html
"""

import os
import sys
import threading

import numpy as np
import onnxruntime as ort
import ray
from ray import serve
from starlette.requests import Request

MODEL, PORT = sys.argv[1:3]


# Its default of 5 requests at a time would leave most clients in the proxy's queue.
@serve.deployment(
    num_replicas=int(os.environ["BENCH_CORES"]),
    max_ongoing_requests=1000,
    ray_actor_options={"num_cpus": 1},
    logging_config={"enable_access_log": False},
)
class Model:
    def __init__(self, path: str) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(path, options)

    @serve.batch(max_batch_size=16, batch_wait_timeout_s=0.002)
    async def predict(self, rows: list) -> list:
        return self.session.run(None, {"x": np.stack(rows)})[0].tolist()

    async def __call__(self, request: Request) -> dict:
        return {"y": await self.predict(np.array((await request.json())["data"], np.float32))}


ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 << 20)
serve.start(http_options={"host": "127.0.0.1", "port": int(PORT)}, logging_config={"enable_access_log": False})
serve.run(Model.bind(MODEL), name="model", route_prefix="/predict")
threading.Event().wait()
