"""Charts by helm, and a real API server's word on what they render: what the tests of every chart share."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import machine
from fleet.spec import Autoscaler
from infra.kubernetes.model_serving import ModelServingArgs, chart_values
from infra.kubernetes.namespaces import pod_security
from tests.accelerator_pools import L4, pool_of

ROOT = Path(__file__).parents[2]
MODEL_SERVING, TRAINING = ROOT / "charts" / "model-serving", ROOT / "charts" / "training"
STAND_INS = ROOT / "sandbox" / "charts"
TRIGGER = {"type": "cron", "metadata": {"timezone": "UTC", "start": "0 8 * * *", "end": "0 18 * * *", "desiredReplicas": "2"}}
QUEUE = {"type": "aws-sqs-queue", "metadata": {"queueURL": "https://sqs.us-east-1.amazonaws.com/123456789012/jobs"}}
QUEUED = {"triggers": [{**QUEUE, "authenticationRef": {"name": "chat"}}], "identity": {"provider": "aws"}}


class Refused(Exception):
    """A program's own words."""


def run(*command, stdin=None):
    said = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if said.returncode:
        raise Refused(said.stderr)
    return said.stdout


def merged(base, changes):
    both = {**base, **changes}
    return {k: merged(base[k], v) if isinstance(v, dict) and isinstance(base.get(k), dict) else v for k, v in both.items()}


def minimal(chart):
    return yaml.safe_load((chart / "ci" / "minimal-values.yaml").read_text())


def objects_in(text):
    return [thing for thing in yaml.safe_load_all(text) if thing]


def restricted(name):
    labels = pod_security("restricted")
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def pod_templates(thing):
    """Every pod's template of an object, however deep: those of a ScaledJob, a JobSet or a RayJob, too."""
    if isinstance(thing, list):
        for inner in thing:
            yield from pod_templates(inner)
    elif isinstance(thing, dict):
        if "containers" in thing.get("spec", {}):
            yield thing
        else:
            yield from pod_templates(list(thing.values()))


def model(pool, **changes):
    args = {"name": "chat", "pool": pool, "count": 1, "image": "vllm/vllm-openai:v0.11.0", "replicas": (1, 1)}
    given = {"autoscaler": Autoscaler.NONE, "weights_url": "s3://weights/chat", "weights_gib": 16}
    return ModelServingArgs(**{**args, **given, **changes})


_GATEWAY = {"gateway": {"name": "public", "namespace": "gateways"}, "hostnames": ["chat.example"]}
_ZERO = {"min": 0, "max": 4}
_OF_MODEL_SERVING = {
    "minimal": {},
    "hpa": {"autoscaling": {"kind": "hpa", "scaleDown": {"stabilizationSeconds": 820}}, "replicas": {"min": 2, "max": 4}},
    "keda": {"autoscaling": {"kind": "keda", "keda": {**QUEUED, "initialCooldownPeriod": 220}}, "replicas": _ZERO},
    "formula": {
        "autoscaling": {
            "kind": "keda",
            "keda": {"triggers": [{"name": "grid", **TRIGGER}], "formula": "grid ?? 0.0", "fallback": {"replicas": 1}},
        },
        "replicas": {"min": 1, "max": 4},
    },
    "jobs": {"autoscaling": {"kind": "jobs", "keda": QUEUED}, "replicas": _ZERO},
    "weights in a claim": {"weights": {"sizeGiB": 16, "cache": {"kind": "pvc", "claim": {"storageClass": "efs"}}}},
    "weights as an image": {"weights": {"cache": {"kind": "image", "image": "registry.example/weights:1"}}},
    "weights on the node": {"weights": {"cache": {"kind": "node", "node": {"path": "/mnt/disks/weights"}}}},
    "route": {"route": _GATEWAY},
    "canary": {"route": {**_GATEWAY, "canary": {"service": "chat-v2", "port": 9000, "percent": 10}}},
    "pod monitor": {"podMonitor": {"enabled": True, "intervalSeconds": 30, "labels": {"release": "prometheus"}}},
}
_OF_TRAINING = {
    "job": {"workers": 4, "checkpoint": {"claim": "runs"}, "extraResources": {"vpc.amazonaws.com/efa": 1}},
    "queued": {"queueName": "search", "activeDeadlineSeconds": 3600},
    "deepspeed": {"launcher": "deepspeed", "deepspeed": {"zero_optimization": {"stage": 2}}},
    "accelerate": {"launcher": "accelerate", "script": {"env": {"LEVEL": "debug"}}, "runtimeClassName": "nvidia"},
    "jobset": {"engine": "jobset", "queueName": "search", "activeDeadlineSeconds": 3600},
    "rayjob": {
        "engine": "rayjob",
        "queueName": "search",
        "activeDeadlineSeconds": 3600,
        "script": {"module": "training.ray_ddp", "args": ["it's"]},
    },
}
_T4 = machine(Cloud.GCP, "n1-standard-4", "nvidia-t4")
# By chart and name, the values of one render each: all kinds and branches of a chart that the platform uses.
RENDERS = {
    **{f"model-serving, {name}": (MODEL_SERVING, merged(minimal(MODEL_SERVING), v)) for name, v in _OF_MODEL_SERVING.items()},
    "model-serving, of a pool": (MODEL_SERVING, chart_values(model(pool_of(_T4, spot=True)))),
    "model-serving, by claims": (MODEL_SERVING, chart_values(model(pool_of(L4, dra=True)))),
    **{f"training, {name}": (TRAINING, merged(minimal(TRAINING), values)) for name, values in _OF_TRAINING.items()},
}
