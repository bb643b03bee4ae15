"""Layers that a vendor's compiler and simulator left of our own network, right and with real mistakes of the build."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.consistency.compare import CompareSettings, compare
from harness.consistency.reading.readings import choose
from harness.consistency.stages import with_stages
from harness.records import Comparison
from harness.reference.open import open_reference

DATA = Path(__file__).resolve().parents[1] / "data/sophgo"
REFERENCE = DATA / "digits_int8_reference.npz"


def judged(board: str) -> Comparison:
    reference = open_reference(REFERENCE)
    choice = choose(reference, DATA / f"digits_int8_{board}.npz")
    return compare(reference, choice.candidate.dumps, CompareSettings(reading=choice.reading))


def test_the_right_build_is_equal_layer_by_layer() -> None:
    comparison = judged("board")
    assert comparison.verdict.word == "consistent" and {row.verdict for row in comparison.layers} == {"exact"}


@pytest.mark.parametrize(
    ("board", "layer", "kinds", "words"),
    [
        ("board_another_threshold", "conv1_relu_out_Relu", ("scale", "saturation"), "1.8003"),
        ("board_layer_in_bf16", "conv2_relu_out_Relu", ("precision",), "not quantized here"),
        ("board_layer_in_int4", "conv2_relu_out_Relu", ("scale",), "multiples of 1"),
    ],
)
def test_a_mistake_of_the_build_is_at_its_layer(board: str, layer: str, kinds: tuple[str, ...], words: str) -> None:
    comparison = judged(board)
    (origin,) = comparison.origins
    assert (comparison.verdict.word, origin.tensor) == ("diverges", layer)
    assert origin.fingerprint is not None and origin.fingerprint.kind in kinds and words in origin.fingerprint.evidence


def test_the_compilers_stages_up_to_the_board() -> None:
    """Float, quantized (the reference itself), compiled on the PC's simulator, board."""
    reference, comparison = open_reference(REFERENCE), judged("board_layer_in_bf16")
    dumps = choose(reference, DATA / "digits_int8_board_layer_in_bf16.npz").candidate.dumps
    given = {
        "float": DATA / "digits_float.npz",
        "quantized": REFERENCE,
        "compiled": DATA / "digits_int8_compiled.npz",
    }
    stages = with_stages(comparison, given, REFERENCE, reference, dumps, CompareSettings()).extras.stages
    assert stages is not None and [one.name for one in stages.stages] == ["float", "quantized", "compiled", "board"]
    assert [step.word for step in stages.steps[:2]] == ["consistent_within", "consistent"]
