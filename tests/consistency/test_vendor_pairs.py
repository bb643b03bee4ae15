"""Real pairs: a vendor's compiled network in the vendor's own simulator against the vendor's PC reference."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.consistency.compare import CompareSettings, compare
from harness.consistency.reading.readings import choose
from harness.dumps.folders import is_float_side
from harness.records import Comparison
from harness.reference.open import open_reference
from tests.support.builds import build
from tests.support.toolchain_samples import simulator_sample


@dataclass(frozen=True)
class VendorPair:
    """Names of samples, and what is right of them."""

    reference: str
    board: str
    words: tuple[str, ...]
    tensors: tuple[str, ...] = ()  # of the origins
    kind: str = ""  # of the one origin
    evidence: tuple[str, ...] = ()  # words in its text
    model: str = "digits"


CASES = "harness-cases"
INT8 = f"{CASES}/sophgo_int8"
RAW = f"{CASES}/digits_cv181x_int8_sym"
PAIRS = {
    "clean": VendorPair(f"{INT8}_reference.npz", f"{INT8}_board_clean.npz", ("consistent",)),
    "one weight bit": VendorPair(
        f"{INT8}_reference.npz",
        f"{INT8}_board_one_weight_bit.npz",
        ("diverges",),
        ("conv2_relu_out",),
        "channel",
        ("C 11 of 24",),
    ),
    "another threshold": VendorPair(
        f"{INT8}_reference.npz",
        f"{INT8}_board_wrong_threshold.npz",
        ("diverges",),
        ("conv1_relu_out",),
        "scale",
        ("another scale", "0.9"),
    ),
    "half the input": VendorPair(
        f"{INT8}_reference.npz",
        f"{INT8}_board_input_halved.npz",
        ("diverges",),
        ("image",),
        "preprocessing",
        ("reference x 2^-1",),
    ),
    "half precision": VendorPair(
        f"{CASES}/sophgo_f16_reference.npz",
        f"{CASES}/sophgo_f16_board_clean.npz",
        ("consistent_within", "consistent_accumulated"),
    ),
    "weight bytes zero": VendorPair(
        f"{CASES}/sophgo_mobilenet_int8_reference_part.npz",
        f"{CASES}/sophgo_mobilenet_int8_board_64_weight_bytes_zero_part.npz",
        ("diverges",),
        ("block2_1_project_out",),
        "channel",
        ("C 8 of 16",),
        "mobilenet",
    ),
    "few tensors kept": VendorPair(f"{RAW}_tpu_outputs.npz", f"{RAW}_model_outputs.npz", ("consistent",)),
    "float graph, simulated": VendorPair(
        "rknn/digits_snapshot/golden", "rknn/digits_snapshot/simulator", ("consistent_within",)
    ),
    "float graph, bad calibration": VendorPair(
        "rknn/digits_snapshot/golden",
        "rknn/f_cali_simulator_npy",
        ("diverges",),
        ("image_int8",),
        "saturation",
        ("clipped",),
    ),
    "bad weights": VendorPair(
        "rknn/digits_snapshot/simulator",
        "rknn/f_badw_simulator_npy",
        ("diverges",),
        ("conv2_out",),
        "channel",
        ("C 5 of 24",),
    ),
    "bad calibration": VendorPair(
        "rknn/digits_snapshot/simulator",
        "rknn/f_cali_simulator_npy",
        ("diverges",),
        ("image_int8",),
        "saturation",
        ("clipped to 0 to 0.199",),
    ),
}


def judged(reference: str | Path, board: str | Path, model: Path) -> Comparison:
    known = open_reference(Path(reference), graph=model)
    choice = choose(known, Path(board))
    side = is_float_side(Path(reference))
    settings = CompareSettings(storages=choice.candidate.storages, reading=choice.reading, float_side=side)
    return compare(known, choice.candidate.dumps, settings)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIRS)
def test_a_pair_of_a_vendors_own_simulator(name: str, shared_folder: Path) -> None:
    pair = PAIRS[name]
    reference, board = simulator_sample(pair.reference), simulator_sample(pair.board)
    comparison = judged(reference, board, build(shared_folder, pair.model).onnx)
    assert comparison.verdict.word in pair.words, comparison.verdict
    assert tuple(origin.tensor for origin in comparison.origins) == pair.tensors
    marks = [origin.fingerprint for origin in comparison.origins]
    assert [mark.kind for mark in marks if mark is not None] == [pair.kind] * len(marks)
    assert all(word in mark.evidence for mark in marks if mark is not None for word in pair.evidence)


@pytest.mark.slow
def test_raw_integers_beside_the_models_description(tmp_path: Path, shared_folder: Path) -> None:
    board = simulator_sample(f"{CASES}/cv181x_board_style_raw_int8_and_bf16_as_uint16.npz")
    onnx = build(shared_folder, "digits").onnx
    reference = simulator_sample(f"{RAW}_tpu_outputs.npz")
    shutil.copy(board, tmp_path / "board.npz")
    without = judged(reference, tmp_path / "board.npz", onnx)
    assert without.verdict.exit_code == 3 and any("without a scale" in row.note for row in without.layers)
    shutil.copy(simulator_sample("sophgo/model_tool_info_cv181x.txt"), tmp_path / "info.txt")
    assert judged(reference, tmp_path / "board.npz", onnx).verdict.word == "consistent"
