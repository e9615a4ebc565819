"""The model servers we know: how each is told where its weights are, and where it says that it lives and that it can.

One row a server. An image that no row knows is taken to speak the Open Inference Protocol and to read the variables
WEIGHTS_URL, MODEL_NAME and PORT, which the chart sets in every replica.
"""

from __future__ import annotations

from dataclasses import dataclass

from fleet.catalog.servers import Server, server_in

GRPC_PORT = 8001


@dataclass(frozen=True, kw_only=True)
class ModelServer:
    """How one server is started and asked.

    Attributes:
        command, args: for a model with weights; Kubernetes fills in `$(WEIGHTS_URL)` and the like.
        parallel: argument that takes the number of accelerators of a replica; None where the server finds out itself.
        memory_share: argument that takes the part of a GPU's memory it may use; None where it takes what it needs.
        cache: argument that takes the folder for what it fetches; None where it keeps nothing on a disk.
        alive, ready: paths of the liveness and the readiness probe.
        waiting: Prometheus metric of requests in the queue, by which KEDA scales; None where there is none.
        grpc: whether it speaks gRPC, too, at `GRPC_PORT`.
    """

    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    parallel: str | None = None
    memory_share: str | None = None
    cache: str | None = None
    alive: str
    ready: str
    waiting: str | None = None
    grpc: bool = False


# https://docs.vllm.ai/en/v0.11.0/models/extensions/runai_model_streamer.html: weights go from the store to the
# accelerator without a copy on disk. https://docs.vllm.ai/en/v0.11.0/design/metrics.html
VLLM = ModelServer(
    command=("vllm", "serve"),
    args=(
        "$(WEIGHTS_URL)",
        "--served-model-name=$(MODEL_NAME)",
        "--port=$(PORT)",
        "--load-format=runai_streamer",
    ),
    parallel="--tensor-parallel-size",
    memory_share="--gpu-memory-utilization",
    alive="/health",
    ready="/health",
    waiting='vllm:num_requests_waiting{model_name="$MODEL"}',
)

_ALIVE, _READY = "/v2/health/live", "/v2/health/ready"

# Our own, `docs/serving.md`: a folder with a model.yaml, fetched to where the pod may write.
SERVING = ModelServer(
    args=(
        "--model=$(WEIGHTS_URL)",
        "--name=$(MODEL_NAME)",
        "--port=$(PORT)",
        f"--grpc-port={GRPC_PORT}",
    ),
    cache="--cache",
    alive=_ALIVE,
    ready=_READY,
    waiting='vllm:num_requests_waiting{model_name="$MODEL"}',
    grpc=True,
)

# https://github.com/kserve/open-inference-protocol
OPEN_INFERENCE = ModelServer(alive=_ALIVE, ready=_READY)

_SERVERS = {Server.VLLM: VLLM, Server.OURS: SERVING, Server.OTHER: OPEN_INFERENCE}


def server_of(image: str) -> ModelServer:
    """The server in an image, told by the image's name."""
    return _SERVERS[server_in(image)]


def arguments(server: ModelServer, accelerators: int, folder: str) -> list[str]:
    """What a server with weights is told of them and of its replica; `folder` is where it may keep what it fetches."""
    parallel = [f"{server.parallel}={accelerators}"] if server.parallel and accelerators > 1 else []
    return [*server.args, *([f"{server.cache}={folder}"] if server.cache else []), *parallel]
