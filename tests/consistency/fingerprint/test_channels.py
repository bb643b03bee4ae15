"""Faults that are born before anything is rounded: of one channel, of each channel, of all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from harness.consistency.compare import CompareSettings, compare
from harness.consistency.fingerprint.classify import FingerprintContext, classify
from harness.consistency.metrics.pointwise import measure
from harness.dumps.folders import read_dumps
from harness.records import Fingerprint, Quantization, TensorSpec
from harness.reference.open import run_reference
from tests.support.nets import Array, board_folder, float_model, inputs_of, quantized_reference

STEP = 0.05
WEIGHTED = FingerprintContext(weighted=True, in_memory=False)
RNG = np.random.default_rng(4)
REAL = (RNG.standard_normal((1, 16, 14, 14)) * RNG.uniform(0.5, 1.5, (1, 16, 1, 1))).astype(np.float32)
FACTORS = RNG.uniform(0.6, 1.4, (1, 16, 1, 1)).astype(np.float32)
OFFSETS = RNG.uniform(-0.6, 0.6, (1, 16, 1, 1)).astype(np.float32)


def quantized(real: Array) -> Array:
    return np.clip(np.rint(real / STEP), -128, 127).astype(np.int8)


def named(board: Array, reference: Array, context: FingerprintContext = WEIGHTED) -> Fingerprint:
    scale = Quantization((STEP,), (0,)) if reference.dtype == np.int8 else None
    spec = TensorSpec("t", "s8" if scale else "f32", reference.shape, "NCHW", quantization=scale)
    return classify(board, reference, spec, measure(board, reference, spec, spec), context)


def relu(real: Array) -> Array:
    return np.maximum(real, 0)


def noisy(real: Array) -> Array:
    """As another runtime computes it: the last digits differ."""
    return (real * (1 + RNG.standard_normal(real.shape) * 1e-7)).astype(np.float32)


FAULTS = {
    "channel_offset": REAL - OFFSETS,
    "channel_scale": REAL * FACTORS,
    "channel_affine": REAL * FACTORS + OFFSETS,
}


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("end", ["int8", "int8 relu", "float", "float relu"])
def test_a_law_of_each_channel_is_named_whatever_was_done_to_it_afterwards(kind: str, end: str) -> None:
    board, reference = FAULTS[kind], REAL
    if end.endswith("relu"):
        board, reference = relu(board), relu(reference)
    ended = (quantized(board), quantized(reference)) if end.startswith("int8") else (noisy(board), reference)
    fingerprint = named(*ended)
    assert (fingerprint.kind, fingerprint.certain) == (kind, False)


@pytest.mark.parametrize("as_integers", [True, False])
@pytest.mark.parametrize("how", ["scaled", "other weights"])
def test_one_output_channel_is_named_with_its_number_and_is_no_tile_and_no_line(as_integers: bool, how: str) -> None:
    board = REAL.copy()
    board[:, 5] = board[:, 5] * 0.5 if how == "scaled" else RNG.standard_normal((1, 14, 14)) * 0.8
    ended = (quantized(board), quantized(REAL)) if as_integers else (board, REAL)
    fingerprint = named(*ended)
    assert fingerprint.kind == "channel" and " 5 " in fingerprint.evidence


def test_without_weights_a_channel_is_a_block_like_any_other() -> None:
    board = REAL.copy()
    board[:, 5] = RNG.standard_normal((1, 14, 14))
    assert named(board, REAL, FingerprintContext(in_memory=False)).kind == "tile"


def test_a_file_that_is_not_the_boards_memory_has_no_lines_of_it() -> None:
    board = REAL.copy()
    flat = board.reshape(-1)
    flat[64:80] = 9.0 + np.arange(16)  # 64 bytes
    assert named(board, REAL, FingerprintContext(in_memory=True)).kind == "cache_line"
    assert named(board, REAL, FingerprintContext(in_memory=False)).kind not in ("cache_line", "page")


@pytest.mark.parametrize("factor", [0.7, 1.3, 0.5, 2.0])
def test_a_scale_that_is_wrong_before_the_rounding_is_a_scale(factor: float) -> None:
    assert named(quantized(REAL * factor), quantized(REAL)).kind in ("scale", "shift")


def test_values_that_are_always_cut_down_are_truncated_and_not_rounded() -> None:
    down = np.clip(np.floor(REAL / STEP), -128, 127).astype(np.int8)
    towards_zero = np.clip(np.trunc(REAL / STEP), -128, 127).astype(np.int8)
    assert named(down, quantized(REAL)).kind == "truncation" and "down" in named(down, quantized(REAL)).evidence
    assert "towards zero" in named(towards_zero, quantized(REAL)).evidence


@pytest.mark.parametrize("clip_is_on", ["the board", "the reference"])
def test_a_clip_too_many_and_a_clip_left_out_are_found_under_noise(clip_is_on: str) -> None:
    cut = np.clip(REAL, 0, 1.5)
    fingerprint = named(noisy(cut), REAL) if clip_is_on == "the board" else named(noisy(REAL), cut)
    assert fingerprint.kind == "saturation"
    assert ("the board is not" in fingerprint.evidence) == (clip_is_on == "the reference")


def test_a_flipped_bit_of_a_weight_in_the_compiled_model_is_the_channel_of_its_op(tmp_path: Path) -> None:
    reference = quantized_reference("cnn", tmp_path)
    assert reference.model is not None
    model = onnx.load(reference.model)
    weights = [t for t in model.graph.initializer if t.data_type == onnx.TensorProto.INT8 and len(t.dims) == 4]
    weight = numpy_helper.to_array(weights[1]).copy()
    weight[3, 1, 1, 1] ^= -128
    weights[1].CopyFrom(numpy_helper.from_array(weight, weights[1].name))
    onnx.save(model, tmp_path / "flipped.onnx")
    flipped = run_reference(tmp_path / "flipped.onnx", inputs_of(float_model("cnn"), 5), tmp_path / "flipped")
    comparison = compare(reference, read_dumps(board_folder(tmp_path / "board", flipped)), CompareSettings())
    assert [o.fingerprint and o.fingerprint.kind for o in comparison.origins] == ["channel"]
    assert comparison.origins[0].fingerprint and " 3 " in comparison.origins[0].fingerprint.evidence


WIDE = RNG.standard_normal((1, 64, 14, 14)).astype(np.float32)


def test_all_wrong_channels_are_counted_not_only_those_that_are_listed() -> None:
    board = WIDE.copy()
    board[:, :32:2] *= 0.5
    mark = named(board, WIDE)
    assert mark.kind == "channel" and mark.figures["channels"] == list(range(0, 32, 2))
    assert "6 (x 0.5 " in mark.evidence and "and 12 more of 64 differ: " in mark.evidence
    assert mark.evidence.startswith("only channels 0 (") and "those output channels" in mark.evidence


def test_a_wrong_channel_that_has_no_law_is_named_too() -> None:
    reference = WIDE.copy()
    reference[:, 9] = 0.3  # one value: no factor can be told
    board = reference.copy()
    board[:, 5] *= 0.5
    board[:, 9] += 0.5
    mark = named(board, reference)
    assert mark.kind == "channel" and mark.figures["channels"] == [5, 9]
    assert "9 (too few different values for a factor) of 64 differ" in mark.evidence


def test_one_wrong_channel_is_told_in_the_singular() -> None:
    board = WIDE.copy()
    board[:, 5] *= 0.5
    assert named(board, WIDE).evidence.startswith("only channel 5 (x 0.5 ")
    assert "of 64 differs: weights, bias or scale of that output channel" in named(board, WIDE).evidence
