"""LitServe with batching, as its documentation has it: `litserve_ort.py MODEL PORT`. https://lightning.ai/docs/litserve/features/batching"""

import os
import sys

import litserve as ls
import numpy as np
import onnxruntime as ort

MODEL, PORT = sys.argv[1:3]


class Api(ls.LitAPI):
    def setup(self, device):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(MODEL, options)

    def decode_request(self, request):
        return np.array(request["data"], np.float32)

    def predict(self, x):
        return self.session.run(None, {"x": x})[0]

    def encode_response(self, output):
        return {"y": output.tolist()}


if __name__ == "__main__":
    server = ls.LitServer(
        Api(max_batch_size=16, batch_timeout=0.002),
        accelerator="cpu",
        workers_per_device=int(os.environ["BENCH_CORES"]),
    )
    server.run(host="127.0.0.1", port=int(PORT), log_level="warning", access_log=False, generate_client_file=False)
