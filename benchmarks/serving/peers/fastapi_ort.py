"""FastAPI with a session in the thread pool, as its tutorials have it, on every core there is: `fastapi_ort.py MODEL PORT`."""

import sys

import numpy as np
import onnxruntime as ort
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

options = ort.SessionOptions()
options.intra_op_num_threads = 1
session = ort.InferenceSession(sys.argv[1], options)
app = FastAPI()


class Asked(BaseModel):
    data: list


@app.post("/predict")
def predict(asked: Asked) -> dict:
    return {"y": session.run(None, {"x": np.array([asked.data], np.float32)})[0][0].tolist()}


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", access_log=False)
