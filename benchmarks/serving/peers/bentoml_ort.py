"""BentoML with adaptive batching, as its documentation has it. https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html"""

import os

import bentoml
import numpy as np
import onnxruntime as ort


@bentoml.service(
    workers=int(os.environ["BENCH_CORES"]),
    traffic={"timeout": 60, "max_concurrency": 1000},
    logging={"access": {"enabled": False}},
)
class Model:
    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(os.environ["BENCH_MODEL"], options)

    @bentoml.api(batchable=True, max_batch_size=16, max_latency_ms=10_000)
    def predict(self, data: np.ndarray) -> np.ndarray:
        return self.session.run(None, {"x": data.astype(np.float32, copy=False)})[0]
