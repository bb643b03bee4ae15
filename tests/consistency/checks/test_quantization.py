"""Quantization itself, without a board: what it loses is named at the op where it happens, and nothing else is."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import pytest

from benchmarks.truth_parts.truth_models import MODELS, inputs_of
from harness.consistency.checks.quantization import check_quantization, gated, in_db
from harness.records import QuantizationCheck
from harness.reference.open import run_reference
from tests.consistency.checks.quantization_nets import attention, built, joined
from tests.support.nets import float_model, quantized_reference

CHIPS = ("x5", "j6e", "t40")


def checked(model: onnx.ModelProto, soc: str, folder: Path, calibrated_for: float = 1.0) -> QuantizationCheck:
    quantized, floats = built(model, soc, folder, calibrated_for)
    check = check_quantization(quantized, floats, quantized.graph)
    assert check is not None
    return check


@pytest.mark.parametrize("soc", CHIPS)
def test_joined_boxes_and_scores_lose_the_scores(soc: str, tmp_path: Path) -> None:
    check = checked(joined(), soc, tmp_path)
    (loss,) = [loss for loss in check.losses if loss.is_harmful]
    assert (loss.tensor, loss.op, loss.kind, loss.lost_channels, loss.channels) == (
        "cat",
        "join",
        "channels",
        (4, 5),
        6,
    )
    cat = next(one for one in check.outputs if one.name == "cat")
    assert cat.sqnr_db is not None and cat.sqnr_db > 30, "a figure of the whole tensor hides it"
    assert "`cat`: 2 of 6 channels are" in check.detail and "larger than their whole range" in check.detail


@pytest.mark.parametrize("soc", CHIPS)
def test_outputs_of_their_own_keep_their_scores(soc: str, tmp_path: Path) -> None:
    check = checked(joined(separate=True), soc, tmp_path)
    assert not [loss for loss in check.losses if loss.is_harmful], check.detail


@pytest.mark.parametrize("soc", CHIPS)
def test_a_mask_swallows_the_scores(soc: str, tmp_path: Path) -> None:
    check = checked(attention(-10000.0), soc, tmp_path)
    loss = check.losses[0]
    assert (loss.tensor, loss.op, loss.kind, loss.constant) == ("masked", "mask_add", "swallowed", -10000.0)
    assert check.detail.startswith("y ") and "the mask of -10000 makes a step of" in check.detail


@pytest.mark.parametrize("soc", CHIPS)
def test_a_mask_near_the_scores_costs_nothing(soc: str, tmp_path: Path) -> None:
    check = checked(attention(-20.0), soc, tmp_path)
    assert not [loss for loss in check.losses if loss.is_harmful], check.detail


def test_calibration_on_other_inputs_is_told(tmp_path: Path) -> None:
    narrow = checked(attention(-20.0), "x5", tmp_path / "narrow", calibrated_for=0.02)
    wide = checked(attention(-20.0), "x5", tmp_path / "wide", calibrated_for=300.0)
    assert "saturated" in {loss.kind for loss in narrow.losses}, narrow.detail
    assert wide.losses[0].tensor == "x", "it begins with what is fed"
    assert "coarse" in {loss.kind for loss in wide.losses}, wide.detail


@pytest.mark.parametrize("name", sorted(MODELS))
def test_networks_that_quantize_well_have_no_harmful_loss(name: str, tmp_path: Path) -> None:
    quantized = quantized_reference(name, tmp_path)
    onnx.save(float_model(name), str(tmp_path / "float.onnx"))
    floats = run_reference(tmp_path / "float.onnx", inputs_of(float_model(name), 5), tmp_path / "float")
    check = check_quantization(quantized, floats, quantized.graph)
    assert check is not None and not [loss for loss in check.losses if loss.is_harmful], check


def test_a_float_reference_is_not_judged(tmp_path: Path) -> None:
    _, floats = built(attention(-20.0), "x5", tmp_path)
    assert check_quantization(floats, floats, floats.graph) is None


def test_the_gate_holds_every_output_against_its_level(tmp_path: Path) -> None:
    check = checked(joined(separate=True), "x5", tmp_path)
    levels = [one.sqnr_db or 0.0 for one in check.outputs]
    assert gated(check, min(levels) - 0.1).gate == "met"
    assert gated(check, min(levels) + 0.1).gate == "missed"
    assert gated(None, 0.0).gate == "not_judged"
    assert np.isfinite(levels).all()


def test_levels_in_words() -> None:
    assert [in_db(level) for level in (46.04, 3.14, -2.0, math.inf, None)] == [
        "46 dB", "3.1 dB", "-2.0 dB", "no loss", "not judged",
    ]  # fmt: skip
