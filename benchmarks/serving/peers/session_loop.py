"""The limit: the session called in a loop, at the best batch up to 16: `session_loop.py MODEL SECONDS SHAPE…`."""

import json
import os
import sys
from time import perf_counter

import numpy as np
import onnxruntime as ort

options = ort.SessionOptions()
options.intra_op_num_threads = int(os.environ["BENCH_CORES"])
session = ort.InferenceSession(sys.argv[1], options)
best = 0.0
BATCHES = (4, 8, 16)
for rows in BATCHES:
    x = np.random.default_rng(0).standard_normal((rows, *map(int, sys.argv[3:]))).astype(np.float32)
    session.run(None, {"x": x})
    begun, done = perf_counter(), 0
    while (took := perf_counter() - begun) < float(sys.argv[2]) / len(BATCHES):
        session.run(None, {"x": x})
        done += rows
    best = max(best, done / took)
print(json.dumps({"per_second": best, "p99_ms": 0.0, "failed": 0}))
