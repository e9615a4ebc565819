"""MLServer with adaptive batching, without further processes, which one model does not need: `mlserver_ort.py MODEL PORT`.

https://mlserver.readthedocs.io/en/latest/user-guide/adaptive-batching.html
"""

import asyncio
import os
import sys

import numpy as np
import onnxruntime as ort
from mlserver import MLModel, MLServer
from mlserver.codecs import NumpyCodec
from mlserver.settings import ModelParameters, ModelSettings, Settings

MODEL, PORT = sys.argv[1:3]


class Model(MLModel):
    async def load(self):
        options = ort.SessionOptions()
        options.intra_op_num_threads = int(os.environ["BENCH_CORES"])
        self.session = ort.InferenceSession(MODEL, options)
        return True

    async def predict(self, payload):
        from mlserver.types import InferenceResponse

        x = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32, copy=False)
        y = self.session.run(None, {"x": x})[0]
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("y", y)])


async def main():
    port = int(PORT)
    settings = Settings(
        host="127.0.0.1",
        http_port=port,
        grpc_port=port + 1,
        metrics_port=port + 2,
        parallel_workers=0,
        debug=False,
        load_models_at_startup=False,
    )
    server = MLServer(settings)
    model = ModelSettings(
        name="model", implementation=Model, max_batch_size=16, max_batch_time=0.002, parameters=ModelParameters(uri=MODEL)
    )
    await server.start([model])


asyncio.run(main())
