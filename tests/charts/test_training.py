"""The training chart: rendered by helm and read as YAML, its Job made by a real API server and Job controller."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.accelerator_pools import L4, ON_OFFER, pool_of, tolerates
from tests.charts.rendering import TRAINING, Refused, merged, minimal, objects_in, restricted

CHART = TRAINING
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
MINIMAL = minimal(CHART)
LAUNCHERS = {"torchrun": "training.ddp", "accelerate": "training.accelerated", "lightning": "training.lightning_fit"}
RAY = {"module": "training.ray_ddp"}
DISRUPTED = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


def with_(**changes):
    return merged(MINIMAL, changes)


def refuse(values):
    """The schema's words on values, as helm gives them: merged over the defaults; empty where it takes them."""
    return [error.message for error in jsonschema.Draft7Validator(SCHEMA).iter_errors(merged(VALUES, values))]


@pytest.fixture(scope="module")
def render(helm):
    """`render(values) -> objects by kind`."""

    def call(values):
        text = helm("template", "fit", str(CHART), "--namespace", "training", "--kube-version", "1.34.0", values=values)
        return {thing["kind"]: thing for thing in objects_in(text)}

    return call


def trainer(spec):
    (container,) = spec["containers"]
    return container


# What needs no helm


def test_the_schema_takes_the_least():
    assert refuse(MINIMAL) == []


@pytest.mark.parametrize(
    "values",
    [
        {"engine": "slurm"},
        {"launcher": "mpirun"},
        {"image": {"name": ""}},
        {"image": {"name": "trainer"}, "workers": 0},
        {"script": {"module": "training; rm"}},
        {"script": {"module": "train.py --x"}},
        {"script": {"hopelessExitCode": 0}},
        {"accelerator": {"resource": "gpu"}},
        {"checkpoint": {"url": "http://somewhere"}},
        {"launcher": "deepspeed"},
        {"deepspeed": {"zero_optimization": {"stage": 2}}},
        {"runAsUser": 0},
        {"queueName": "Team A"},
        {"unknown": 1},
    ],
    ids=json.dumps,
)
def test_the_schema_refuses_what_the_chart_does_not_know(values):
    assert refuse(with_(**values))


def test_the_launchers_modules_are_there():
    root = CHART.parents[1]
    for module in (*LAUNCHERS.values(), "training.deepspeed_zero", RAY["module"]):
        assert (root / Path(*module.split("."))).with_suffix(".py").exists(), module
    assert VALUES["script"]["module"] == LAUNCHERS["torchrun"]


# Rendered


@pytest.mark.sandbox
def test_a_job_is_indexed_and_forgives_what_spot_takes(render):
    made = render(with_(workers=4, backoffLimit=5))
    assert set(made) == {"Job", "Service", "ServiceAccount", "NetworkPolicy"}
    job = made["Job"]["spec"]
    assert (job["completionMode"], job["completions"], job["parallelism"], job["backoffLimit"]) == ("Indexed", 4, 4, 5)
    first, hopeless = job["podFailurePolicy"]["rules"]
    assert first == DISRUPTED
    assert hopeless["onExitCodes"] == {"containerName": "trainer", "operator": "In", "values": [2]}
    assert trainer(job["template"]["spec"])["name"] == "trainer"
    assert job["podReplacementPolicy"] == "Failed"
    assert "suspend" not in job
    service = made["Service"]["spec"]
    assert (service["clusterIP"], service["publishNotReadyAddresses"]) == ("None", True)
    assert service["selector"].items() <= job["template"]["metadata"]["labels"].items()
    assert job["template"]["spec"]["subdomain"] == made["Service"]["metadata"]["name"]


@pytest.mark.sandbox
@pytest.mark.parametrize("launcher", [*LAUNCHERS, "deepspeed"])
def test_every_worker_meets_at_the_first_with_a_process_an_accelerator(render, launcher):
    extra = {"deepspeed": {"zero_optimization": {"stage": 2}}} if launcher == "deepspeed" else {}
    module = LAUNCHERS.get(launcher, "training.deepspeed_zero")
    script = {"module": module, "args": ["--steps", "10"]}
    made = render(with_(launcher=launcher, workers=3, accelerator={"count": 8}, script=script, **extra))
    container = trainer(made["Job"]["spec"]["template"]["spec"])
    command = container["command"]
    at = command.index("-m")
    assert command[at + 1] == module
    assert command[-2:] == ["--steps", "10"]
    flags = dict(flag.removeprefix("--").split("=") for flag in command[:at] if "=" in flag)
    if launcher == "accelerate":
        assert command[:2] == ["accelerate", "launch"]
        assert "--multi_gpu" in command, "else each of several nodes with one GPU trains alone"
        assert (flags["num_machines"], flags["num_processes"], flags["machine_rank"]) == ("3", "24", "$(NODE_RANK)")
        assert (flags["main_process_ip"], flags["main_process_port"]) == ("fit-0.fit", "29500")
    else:
        assert command[0] == "torchrun"
        assert (flags["nnodes"], flags["nproc_per_node"]) == ("3", "8")
        assert (flags["rdzv_backend"], flags["rdzv_endpoint"]) == ("c10d", "fit-0.fit:29500")
    assert {"name": "TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "value": "1"} in container["env"], "else workers do not meet again"
    ranks = [one for one in container["env"] if one["name"] == "NODE_RANK"]
    assert ranks[0]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    if launcher == "deepspeed":
        assert json.loads(made["ConfigMap"]["data"]["deepspeed.json"]) == {"zero_optimization": {"stage": 2}}
        (path,) = [flag.partition("=")[2] for flag in command if flag.startswith("--deepspeed-config=")]
        assert Path(path).parent.as_posix() in {mount["mountPath"] for mount in container["volumeMounts"]}


@pytest.mark.sandbox
def test_accelerate_without_accelerators_is_started_by_torchrun_as_its_own_launcher_starts_no_group_there(render):
    script = {"module": LAUNCHERS["accelerate"]}
    made = render(with_(launcher="accelerate", workers=2, accelerator={"resource": ""}, script=script))
    container = trainer(made["Job"]["spec"]["template"]["spec"])
    assert container["command"][0] == "torchrun"
    assert {"name": "ACCELERATE_USE_CPU", "value": "true"} in container["env"]
    alone = render(with_(launcher="accelerate", workers=1, accelerator={"count": 1}, script=script))
    assert "--multi_gpu" not in trainer(alone["Job"]["spec"]["template"]["spec"])["command"], "Accelerate refuses it for one"


@pytest.mark.sandbox
def test_ray_is_not_given_a_script_that_waits_for_torchrun(render):
    with pytest.raises(Refused, match=r"training\.ddp waits for torchrun.*training\.ray_ddp"):
        render(with_(engine="rayjob"))


@pytest.mark.sandbox
def test_a_set_begins_anew_as_a_whole(render):
    made = render(with_(engine="jobset", workers=2, backoffLimit=7, queueName="search"))
    assert "Job" not in made
    assert "Service" not in made
    jobset = made["JobSet"]["spec"]
    assert jobset["failurePolicy"] == {"maxRestarts": 7}
    (workers,) = jobset["replicatedJobs"]
    job = workers["template"]["spec"]
    assert (job["backoffLimit"], job["completions"]) == (0, 2)
    endpoint = next(flag for flag in trainer(job["template"]["spec"])["command"] if flag.startswith("--rdzv_endpoint="))
    # JobSet's pods are <set>-<replicated job>-<replica>-<index>, in the network's subdomain.
    assert endpoint == f"--rdzv_endpoint=fit-{workers['name']}-0-0.{jobset['network']['subdomain']}:29500"


@pytest.mark.sandbox
def test_ray_has_its_head_apart_from_the_accelerators_and_goes_with_the_job(render):
    made = render(with_(engine="rayjob", workers=3, accelerator={"count": 4}, script={**RAY, "args": ["it's"]}))
    ray = made["RayJob"]["spec"]
    assert ray["shutdownAfterJobFinishes"] is True
    assert ray["entrypoint"].startswith("python -m training.ray_ddp ")
    head, (workers,) = ray["rayClusterSpec"]["headGroupSpec"], ray["rayClusterSpec"]["workerGroupSpecs"]
    assert head["rayStartParams"] == {"num-cpus": "0"}
    assert "nvidia.com/gpu" not in trainer(head["template"]["spec"])["resources"]["limits"]
    assert "tolerations" not in head["template"]["spec"]
    assert [workers[key] for key in ("replicas", "minReplicas", "maxReplicas")] == [3, 3, 3]
    assert trainer(workers["template"]["spec"])["resources"]["limits"]["nvidia.com/gpu"] == 4
    ports = [port["port"] for rule in made["NetworkPolicy"]["spec"]["ingress"] for port in rule.get("ports", [])]
    assert ports == [8265]


@pytest.mark.sandbox
@pytest.mark.parametrize(("engine", "kind"), [("job", "Job"), ("jobset", "JobSet"), ("rayjob", "RayJob")])
def test_a_queued_job_waits_for_kueue(render, engine, kind):
    script = RAY if engine == "rayjob" else {}
    made = render(with_(engine=engine, script=script, queueName="search"))[kind]
    assert made["spec"]["suspend"] is True
    assert made["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "search"


@pytest.mark.sandbox
def test_workers_go_to_their_pools_nodes_by_the_contract(render):
    for hardware in (L4, *ON_OFFER[::9]):
        pool = pool_of(hardware, spot=True)
        placed = pool.placement(pool.per_node)
        values = with_(
            accelerator={"resource": pool.resource, "count": pool.per_node},
            nodeSelector=dict(placed.node_selector),
            tolerations=[dict(one) for one in placed.tolerations],
        )
        spec = render(values)["Job"]["spec"]["template"]["spec"]
        labels = pool.node_labels | pool.cloud_labels
        assert all(labels.get(k) == v for k, v in spec["nodeSelector"].items())
        for taint in pool.all_taints:
            assert any(tolerates(one, taint) for one in spec["tolerations"]), f"{taint} keeps workers off {hardware.name}"
        assert trainer(spec)["resources"]["limits"][pool.resource] == pool.per_node


@pytest.mark.sandbox
def test_workers_speak_among_themselves_and_else_only_out(render):
    policy = render(MINIMAL)["NetworkPolicy"]["spec"]
    (among,) = policy["ingress"]
    assert among == {"from": [{"podSelector": policy["podSelector"]}]}
    to, dns, tls = policy["egress"]
    assert to == {"to": [{"podSelector": policy["podSelector"]}]}
    assert [[port["port"] for port in rule["ports"]] for rule in (dns, tls)] == [[53, 53], [443]]


@pytest.mark.sandbox
def test_the_job_controller_makes_restricted_workers_with_names_that_last(render, kubectl):
    """By a real API server: the pods are there only if admission let them pass, and are named as the command says."""
    kubectl("apply", "-f", "-", stdin=restricted("training"))
    for thing in render(with_(workers=2, checkpoint={"claim": "runs"})).values():
        kubectl("apply", "-f", "-", stdin=thing)
    pods, until = [], time.monotonic() + 60
    while len(pods) < 2 and time.monotonic() < until:
        pods = json.loads(kubectl("get", "pods", "-n", "training", "-o", "json"))["items"]
        time.sleep(0.5)
    assert sorted(f"{pod['spec']['hostname']}.{pod['spec']['subdomain']}" for pod in pods) == ["fit-0.fit", "fit-1.fit"]
    index = "batch.kubernetes.io/job-completion-index"
    assert {pod["metadata"]["annotations"][index] for pod in pods} == {"0", "1"}
    command = trainer(pods[0]["spec"])["command"]
    assert re.search(r"rdzv_endpoint=fit-0\.fit:", " ".join(command))
