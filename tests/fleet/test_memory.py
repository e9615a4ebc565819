"""Memory of models: sums by hand and by the papers' own numbers, and where `fleet fit` puts a model."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from fleet.catalog.accelerators import ACCELERATORS
from fleet.catalog.machines import machine, offers
from fleet.cli import app
from fleet.fit import Fit, ranked
from fleet.memory import Precision, Training, activations_gib, known, kv_cache_gib, states_gib, weights_gib

GIB = 1024**3
SMALL, LARGE = known()["llama-3.1-8b"], known()["llama-3.1-70b"]


def row(fits: list[Fit], name: str) -> Fit:
    return next(one for one in fits if one.accelerator == name)


def test_weights_by_hand() -> None:
    assert weights_gib(GIB, Precision.BF16) == 2
    assert weights_gib(GIB, Precision.INT4) == 0.5
    assert [weights_gib(GIB, precision) for precision in Precision] == [4, 2, 2, 1, 1, 0.5]


def test_a_token_of_llama_8b_keeps_128_kib() -> None:
    # 2 x 32 layers x 8 heads x 128 numbers x 2 bytes.
    assert kv_cache_gib(SMALL, 1) * GIB == 131072
    assert kv_cache_gib(LARGE, 8192) == 2.5
    assert kv_cache_gib(SMALL, 8192, Precision.FP8) == 0.5


def test_what_training_takes_by_hand() -> None:
    """Zero Redundancy Optimizer, figure 1: 7.5 billion parameters on 64 devices take 120, 31.4, 16.6 and 1.9 GB."""
    paper = type(SMALL)(name="paper", params=7_500_000_000, layers=1, hidden=1, intermediate=1, heads=1, kv_heads=1)
    gb = [states_gib(paper, Training.FULL, stage=stage, devices=64) * GIB / 1e9 for stage in range(4)]
    assert [round(figure, 1) for figure in gb] == [120.0, 31.4, 16.6, 1.9]


def test_adapters_are_those_that_are_counted_in_the_field() -> None:
    # Rank 16 on all linear layers of Llama 3.1 8B has 41,943,040 trainable parameters in everybody's logs.
    assert SMALL.adapters(16) == 41_943_040
    lora, qlora = (states_gib(SMALL, how) for how in (Training.LORA, Training.QLORA))
    assert lora * GIB == 2 * SMALL.params + 16 * 41_943_040
    assert qlora * GIB == pytest.approx(4.127 / 8 * SMALL.params + 16 * 41_943_040)


def test_activations_by_hand() -> None:
    tokens = 4096
    assert activations_gib(SMALL, tokens, checkpointing=False) * GIB == 34 * tokens * 4096 * 32
    assert activations_gib(SMALL, tokens, checkpointing=True) * GIB == (2 * 32 + 34) * tokens * 4096


@given(st.sampled_from(list(Training)), st.integers(0, 2), st.integers(2, 512))
def test_a_higher_stage_or_more_devices_never_take_more(how: Training, stage: int, devices: int) -> None:
    here = states_gib(LARGE, how, stage=stage, devices=devices)
    assert states_gib(LARGE, how, stage=stage + 1, devices=devices) < here
    assert states_gib(LARGE, how, stage=stage, devices=devices + 1) <= here


def test_a_stage_that_zero_has_not_is_refused() -> None:
    with pytest.raises(ValueError, match="0 to 3, not 4"):
        states_gib(SMALL, Training.FULL, stage=4)


def test_llama_70b_in_bf16_is_not_for_one_h100_and_is_for_one_b200_machine() -> None:
    fits = ranked(LARGE, Precision.BF16, 8192, None)
    assert row(fits, "nvidia-h100-80gb").needed == 2
    b200 = row(fits, "nvidia-b200")
    assert (b200.needed, b200.machine) == (1, "p6-b200.48xlarge")
    listed = [o.on_demand for o in offers() if o.machine == machine(*_key(b200)) and o.on_demand]
    assert b200.usd_hour == min(listed)


def _key(one: Fit) -> tuple[object, str]:
    assert one.cloud is not None
    assert one.machine is not None
    return one.cloud, one.machine


def test_an_accelerator_that_has_not_the_numbers_is_left_out() -> None:
    names = {one.accelerator for one in ranked(SMALL, Precision.BF16, 0, None)}
    assert "nvidia-t4" not in names, "Turing has no BF16"
    assert "nvidia-t4" in {one.accelerator for one in ranked(SMALL, Precision.FP16, 0, None)}
    assert {"nvidia-a100-80gb", "tpu-v5e"}.isdisjoint(one.accelerator for one in ranked(SMALL, Precision.FP8, 0, None))


def test_nothing_is_trained_on_inferentia() -> None:
    assert "inferentia2" not in {one.accelerator for one in ranked(SMALL, Precision.BF16, 4096, Training.LORA)}
    assert "inferentia2" in {one.accelerator for one in ranked(SMALL, Precision.BF16, 4096, None)}


def test_what_no_cloud_or_no_single_machine_has_is_said_and_not_priced() -> None:
    fits = ranked(LARGE, Precision.BF16, 4096, Training.FULL)
    consumer, h100 = row(fits, "nvidia-rtx-4090"), row(fits, "nvidia-h100-80gb")
    assert (consumer.cloud, consumer.machine, consumer.usd_hour) == (None, None, None)
    assert h100.needed > 8
    assert (h100.cloud, h100.machine, h100.usd_hour) == ("aws", None, None)


def test_cheapest_first_and_unpriced_last() -> None:
    prices = [one.usd_hour for one in ranked(SMALL, Precision.BF16, 8192, None)]
    known_ = [price for price in prices if price is not None]
    assert known_ == sorted(known_)
    assert prices == known_ + [None] * (len(prices) - len(known_))


def test_the_command_tells_all_of_it_as_one_document() -> None:
    said = CliRunner().invoke(app, ["fit", "llama-3.1-70b", "--precision", "int4", "--tokens", "0", "--format", "json"])
    document = json.loads(said.output)
    assert document["gib"] == pytest.approx(70.56e9 / 2 / GIB, abs=0.01)
    first = document["fits"][0]
    assert set(first) == {"accelerator", "needed", "cloud", "machine", "region", "usd_hour", "as_of"}
    assert first["accelerator"] in ACCELERATORS
    assert Decimal(first["usd_hour"]) > 0


@pytest.mark.parametrize(
    "arguments", [["llama-9"], ["llama-3.1-8b", "--precision", "bf61"], ["llama-3.1-8b", "--train", "some"]]
)
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, ["fit", *arguments]).exit_code == 2


def test_the_table_says_several_machines_and_ones_own() -> None:
    said = CliRunner().invoke(app, ["fit", "llama-3.1-70b", "--train", "full"]).output
    assert "several machines" in said
    assert "of your own (cloud: existing)" in said
