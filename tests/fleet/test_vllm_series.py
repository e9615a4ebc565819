"""The contract with a server of LLMs: whatever goes by a series of vLLM names one that vLLM has, and reads it off its page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from fleet.actual.account import queries
from fleet.catalog.servers import VLLM_SERIES
from fleet.monitoring import dashboards, rules
from fleet.monitoring.figures import Replica
from fleet.workspace import ROOT
from infra.kubernetes.model_servers import SERVING, VLLM

# A stand-in's page, in the form of vLLM 0.11's: two engines of one model, and series that nothing here reads.
PAGE = """
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="chat"} 3.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="chat"} 7.0
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="chat"} 0.25
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{engine="0",model_name="chat"} 4096.0
# TYPE vllm:e2e_request_latency_seconds histogram
vllm:e2e_request_latency_seconds_bucket{engine="0",le="+Inf",model_name="chat"} 12.0
vllm:e2e_request_latency_seconds_count{engine="0",model_name="chat"} 12.0
vllm:e2e_request_latency_seconds_sum{engine="0",model_name="chat"} 30.5
"""
SUFFIXES = {"histogram": ("_bucket", "_count", "_sum"), "gauge": ("",), "counter": ("",)}
ALLOWED = {f"{name}{suffix}" for name, kind in VLLM_SERIES.items() for suffix in SUFFIXES[kind]}


def named(text: str) -> set[str]:
    return set(re.findall(r"vllm:[a-z0-9_]+", text))


REPLICA = Replica(
    model="chat",
    namespace="models",
    pool="l4",
    accelerator="nvidia-l4",
    purchase="spot",
    least=1,
    most=2,
    usd_hour=None,
    watts=None,
    gco2_kwh=None,
    pue=None,
)
READERS = {
    "rules": json.dumps(rules.groups([REPLICA])),
    "dashboards": json.dumps(dashboards.dashboards()),
    "fleet actual": json.dumps(queries(24)),
    "KEDA": f"{VLLM.waiting} {SERVING.waiting}",
}


@pytest.mark.parametrize("reader", READERS)
def test_whoever_reads_a_series_of_vllms_reads_one_that_is_there(reader: str) -> None:
    found = named(READERS[reader])
    assert found, f"{reader} goes by nothing of vLLM's"
    assert found <= ALLOWED


@pytest.mark.parametrize("file", ["serving/metrics.py", "sandbox/cloud/network.py"])
def test_whoever_stands_in_for_it_has_no_name_of_its_own(file: str) -> None:
    found = named((ROOT / Path(file)).read_text())
    assert "vllm:num_requests_waiting" in found
    assert found <= set(VLLM_SERIES)


def test_kedas_selector_finds_its_figure_on_a_page_of_two_more_labels() -> None:
    """As KEDA reads it: the series of that name whose labels have the selector's, whatever else they have."""
    assert VLLM.waiting is not None
    name, _, rest = VLLM.waiting.replace("$MODEL", "chat").partition("{")
    wanted = set(rest.rstrip("}").split(","))
    lines = [line for line in PAGE.splitlines() if line.startswith(name + "{")]
    values = [line.rpartition(" ")[2] for line in lines if wanted <= set(line.partition("{")[2].partition("}")[0].split(","))]
    assert values == ["7.0"]


def test_the_stand_ins_page_is_of_the_contract() -> None:
    kinds = dict(re.findall(r"# TYPE (vllm:\S+) (\w+)", PAGE))
    assert {name: kinds[name] for name in set(kinds) & set(VLLM_SERIES)}.items() <= VLLM_SERIES.items()
