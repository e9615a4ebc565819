"""Model servers, told by the names of their images, as far as checks, charts and the sandbox treat them differently."""

from __future__ import annotations

from enum import StrEnum

# The name of our own image (`serving/Dockerfile`), whatever registry it is in.
OURS = "accelfleet-serving"


# Requests that wait, for which KEDA asks for a replica.
WAITING_PER_REPLICA = 4

# vLLM's series that anything here goes by, and what they count: the contract with a server of LLMs, and with our own.
# https://docs.vllm.ai/en/v0.11.0/design/metrics.html, read 2026-11-23. Each has the labels `model_name` and `engine`.
VLLM_SERIES = {
    "vllm:num_requests_running": "gauge",
    "vllm:num_requests_waiting": "gauge",
    "vllm:e2e_request_latency_seconds": "histogram",
    "vllm:request_queue_time_seconds": "histogram",
    "vllm:request_inference_time_seconds": "histogram",
    "vllm:generation_tokens_total": "counter",
}


class Server(StrEnum):
    """`OTHER` is taken to speak the Open Inference Protocol, and to tell no queue."""

    VLLM = "vllm"
    OURS = OURS
    OTHER = "other"

    @property
    def tells_queue(self) -> bool:
        """Whether its metrics say how many requests wait."""
        return self is not Server.OTHER


def server_in(image: str) -> Server:
    """The server in an image.

    >>> server_in("vllm/vllm-openai:v0.18.0"), server_in("registry.example/ml/accelfleet-serving:1.2")
    (<Server.VLLM: 'vllm'>, <Server.OURS: 'accelfleet-serving'>)
    """
    name = image.partition("@")[0]
    if name.rpartition("/")[2].partition(":")[0] == OURS:
        return Server.OURS
    return Server.VLLM if "vllm" in name else Server.OTHER
