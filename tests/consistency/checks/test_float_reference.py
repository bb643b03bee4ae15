"""The float model as reference of a board that computes in integers: said, not blamed on an op."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from harness.consistency.checks.float_reference import of_integers
from harness.consistency.compare import CompareSettings, compare
from harness.consistency.policy import load_policy
from harness.consistency.reading.pairs import Pair
from harness.consistency.reading.tensor_files import dequantize
from harness.dumps.folders import gaps, read_dumps
from harness.records import Comparison, Layer, Quantization, TensorSpec
from harness.reference.open import Reference, open_reference, run_reference
from tests.consistency.reading.test_size_mismatch import HBDNN, dumped
from tests.support.nets import board_folder, float_model, inputs_of, quantized_reference


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return quantized_reference("cnn", tmp_path_factory.mktemp("quantized"))


@pytest.fixture(scope="module")
def floats(quantized: Reference) -> Reference:
    """The float model of the same network and input, beside the quantized one."""
    assert quantized.model is not None
    model = float_model("cnn")
    path = quantized.model.parent / "cnn.onnx"
    onnx.save(model, str(path))
    return run_reference(path, inputs_of(model, 5), quantized.model.parent / "float")


def against(reference: Reference, folder: Path, policy: str = "") -> Comparison:
    dumps = read_dumps(folder)
    return compare(reference, dumps, CompareSettings(policy=load_policy(policy)))


def raw(reference: Reference, folder: Path, policy: str = "") -> Comparison:
    """Dumps as an X5 keeps them: nothing tells a dtype or a scale."""
    dumps = read_dumps(folder, "hbdnn")
    settings = CompareSettings(storages=HBDNN.storages, gaps=gaps(dumps, "hbdnn"), policy=load_policy(policy))
    return compare(reference, dumps, settings)


def in_floats(folder: Path, quantized: Reference) -> Path:
    """What tools leave that dequantize all they dump."""
    folder.mkdir()
    for tensor in quantized.tensors.values():
        assert tensor.spec is not None
        side = tensor.alternate or tensor
        values = np.asarray(side.load())
        if side is tensor:
            values = dequantize(values, tensor.spec.quantization).astype(np.float32)
        np.save(folder / f"{tensor.name}.npy", values)
    return folder


def test_raw_integers_against_a_float_model_are_recognised(
    floats: Reference, quantized: Reference, tmp_path: Path
) -> None:
    dumped(tmp_path / "dumps", quantized)
    comparison = raw(floats, tmp_path / "dumps")
    assert (comparison.verdict.word, comparison.verdict.exit_code, comparison.origins) == ("not_comparable", 3, ())
    assert "the reference is the float model" in comparison.verdict.detail
    assert "give the quantized model (cnn_quantized.onnx)" in comparison.verdict.detail


def test_integers_with_scales_against_a_float_model_are_recognised(
    floats: Reference, quantized: Reference, tmp_path: Path
) -> None:
    comparison = against(floats, board_folder(tmp_path / "dumps", quantized))
    if comparison.verdict.exit_code:
        assert comparison.verdict.word == "not_comparable"
    assert any("compared with the float model" in note for note in comparison.notes)


def test_floats_that_are_whole_steps_are_recognised(floats: Reference, quantized: Reference, tmp_path: Path) -> None:
    comparison = against(floats, in_floats(tmp_path / "dumps", quantized))
    assert (comparison.verdict.word, comparison.verdict.exit_code, comparison.origins) == ("not_comparable", 3, ())
    assert "holds only multiples of" in comparison.verdict.detail


def test_a_policy_for_noise_compares_and_says_what_it_judges(
    floats: Reference, quantized: Reference, tmp_path: Path
) -> None:
    comparison = against(floats, in_floats(tmp_path / "dumps", quantized), "float-reference")
    assert (comparison.verdict.word, comparison.verdict.exit_code) == ("consistent_within", 0)
    assert "compared with the float model: differences include quantization" in comparison.notes


def test_a_policy_for_noise_still_finds_a_wrong_op(floats: Reference, quantized: Reference, tmp_path: Path) -> None:
    folder = in_floats(tmp_path / "dumps", quantized)
    path = folder / "relu3_out.npy"
    np.save(path, np.load(path) / 2)
    comparison = against(floats, folder, "float-reference")
    assert comparison.verdict.exit_code == 1 and "relu3_out" in {origin.tensor for origin in comparison.origins}


def test_raw_integers_without_a_scale_are_left_out_of_a_comparison_of_noise(
    floats: Reference, quantized: Reference, tmp_path: Path
) -> None:
    dumped(tmp_path / "dumps", quantized)
    comparison = raw(floats, tmp_path / "dumps", "float-reference")
    assert comparison.verdict.exit_code == 3
    assert any("integers without a scale cannot be compared with floats" in note for note in comparison.notes)


def test_a_board_of_floats_is_held_against_the_float_model_as_ever(floats: Reference, tmp_path: Path) -> None:
    assert floats.model is not None
    good = against(floats, board_folder(tmp_path / "good", floats))
    assert good.verdict.word == "consistent" and good.notes == ()
    bad = against(floats, board_folder(tmp_path / "bad", floats, {"relu3_out": lambda x: x * np.float32(1.01)}))
    assert (bad.verdict.word, bad.verdict.exit_code) == ("diverges", 1)


def test_a_quantized_reference_of_floats_on_the_board_is_no_float_model(quantized: Reference, tmp_path: Path) -> None:
    comparison = against(open_reference(quantized.model.parent / "reference"), in_floats(tmp_path / "d", quantized))  # type: ignore[union-attr]
    assert comparison.verdict.word == "consistent"


def rows_of(pairs: dict[str, Pair], kinds: dict[str, str]) -> list[Layer]:
    return [
        Layer(index=i, name=name, op=name, op_kind=kinds.get(name, "Conv"), verdict="differs", dtype=pair.stored.dtype)
        for i, (name, pair) in enumerate(pairs.items())
    ]


def int_pair(form: str, reference: np.ndarray) -> Pair:
    spec = TensorSpec("t", "u8", reference.shape, quantization=Quantization((1 / 255,), (0,), None))
    return Pair(reference, reference, spec, spec, form, spec)


@pytest.mark.parametrize("first", ["input", "Constant"])
def test_inputs_and_constants_on_the_grid_do_not_make_a_reference_quantized(first: str) -> None:
    steps = np.arange(100, dtype=np.uint8)
    on_grid = int_pair("integer", steps if first == "input" else np.zeros(100, np.uint8))
    pairs = {"image": on_grid, **{f"conv{i}": int_pair("mixed", np.sin(steps)) for i in range(5)}}
    layers = rows_of(pairs, {"image": first})
    assert "of the board's layers are integers (u8)" in of_integers(layers, {}, pairs.__getitem__)
    one = {**pairs, "mask": int_pair("integer", steps)}  # a single tensor may be on a grid by chance
    assert of_integers(rows_of(one, {"image": first}), {}, one.__getitem__)
    quantized = {**pairs, **{f"more{i}": int_pair("integer", steps) for i in range(3)}}
    assert of_integers(rows_of(quantized, {"image": first}), {}, quantized.__getitem__) == ""


def test_an_integer_input_alone_does_not_make_a_board_of_floats_quantized() -> None:
    pairs = {"image": int_pair("mixed", np.sin(np.arange(100)))}
    assert of_integers(rows_of(pairs, {"image": "input"}), {"image": "u8"}, pairs.__getitem__) == ""
