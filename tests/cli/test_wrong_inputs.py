"""A board that was fed something else than the reference: said plainly, with what to do, and never laid on an op."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.consistency.compare import CompareSettings, compare
from harness.dumps.folders import read_dumps
from harness.records import Comparison
from harness.reference.open import Reference, open_reference, run_reference
from tests.records.kit import find
from tests.support.nets import Array, board_folder, float_model, inputs_of, quantized_model

Inputs = Mapping[str, Array]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Inputs]:
    """A quantized network of two inputs of one shape, its reference in `reference`, and what that was fed with."""
    folder = tmp_path_factory.mktemp("inputs")
    given = inputs_of(float_model("two_inputs"), 5)
    run_reference(quantized_model("two_inputs", folder), given, folder / "reference")
    return folder, given


def fed(made: tuple[Path, Inputs], tmp_path: Path, inputs: Inputs, without: tuple[str, ...] = ()) -> Comparison:
    """The comparison of a faultless board that was fed `inputs`."""
    board = run_reference(made[0] / "two_inputs_quantized.onnx", inputs, tmp_path / "board")
    folder = board_folder(tmp_path / "dumps", board, leave_out=without)
    return compare(open_reference(made[0] / "reference"), read_dumps(folder), CompareSettings())


def kinds(comparison: Comparison) -> dict[str, tuple[str, bool]]:
    return {o.tensor: (o.fingerprint.kind, o.fingerprint.certain) for o in comparison.origins if o.fingerprint}


def test_two_inputs_that_changed_places_are_recognised_though_each_has_its_scale(
    made: tuple[Path, Inputs], tmp_path: Path
) -> None:
    left, right = made[1].values()
    comparison = fed(made, tmp_path, {"left": right, "right": left})
    assert kinds(comparison) == {"left": ("input_order", True), "right": ("input_order", True)}
    assert comparison.verdict.detail == "the board's inputs left and right are swapped"
    assert comparison.origins[0].fingerprint and comparison.origins[0].fingerprint.evidence.endswith(
        "the reference's right"
    )


def test_one_input_that_was_given_twice_is_said_to_be_the_other(made: tuple[Path, Inputs], tmp_path: Path) -> None:
    comparison = fed(made, tmp_path, {**made[1], "left": made[1]["right"]})
    assert kinds(comparison) == {"left": ("input_order", True)}
    assert comparison.verdict.detail == "the board's input left differs from the reference's: input_order"


def test_another_picture_is_another_input_and_no_stale_memory(made: tuple[Path, Inputs], tmp_path: Path) -> None:
    other = inputs_of(float_model("two_inputs"), 9)
    comparison = fed(made, tmp_path, {**made[1], "left": other["left"]})
    assert kinds(comparison) == {"left": ("other_input", False)}
    assert comparison.verdict.detail == "the board's input left differs from the reference's"
    assert (comparison.verdict.word, comparison.verdict.exit_code) == ("diverges", 1)


def test_another_mean_is_preprocessing(made: tuple[Path, Inputs], tmp_path: Path) -> None:
    comparison = fed(made, tmp_path, {**made[1], "left": made[1]["left"] * np.float32(0.8)})
    assert kinds(comparison)["left"][0] == "preprocessing"


def test_the_command_says_what_to_do(made: tuple[Path, Inputs], tmp_path: Path) -> None:
    fed(made, tmp_path, inputs_of(float_model("two_inputs"), 9))
    result = CliRunner().invoke(cli, ["compare", str(made[0] / "reference"), str(tmp_path / "dumps")])
    assert result.exit_code == 1
    assert result.stdout.startswith(
        "diverges: the board's input left differs from the reference's; the board's input r"
    )
    assert "advice: use the same input on both sides" in result.stdout


def rules(comparison: Comparison, run: Mapping[str, Any] | None = None) -> list[str]:
    return [finding.rule for finding in find(run or {}, None, comparison)]


def test_a_wrong_input_is_a_finding_of_its_own_and_no_op_is_said_to_differ(
    made: tuple[Path, Inputs], tmp_path: Path
) -> None:
    comparison = fed(made, tmp_path, inputs_of(float_model("two_inputs"), 9))
    assert rules(comparison) == ["C-103", "C-103"]


@pytest.mark.parametrize(
    ("bytes_", "md5", "name", "is_stated"),
    [
        (0, "f" * 32, "reference", True),
        (0, "", "reference", False),  # the very input
        (1, "f" * 32, "reference", False),  # another format: NV12 for floats
        (0, "f" * 32, "model.onnx", False),  # was run with the board's own input
    ],
)
def test_an_input_that_was_not_dumped_is_told_by_its_hash(
    made: tuple[Path, Inputs], tmp_path: Path, bytes_: int, md5: str, name: str, is_stated: bool
) -> None:
    other = {**made[1], "left": inputs_of(float_model("two_inputs"), 9)["left"]}
    comparison = fed(made, tmp_path, other, without=("left", "right"))
    recorded = next(row for row in comparison.reference.provenance["inputs"] if row["name"] == "left")
    given = {"tensor": "left", "name": "a.bin", "bytes": recorded["bytes"] + bytes_, "md5": md5 or recorded["md5"]}
    run = {"case": {"reference": {"name": name, "kind": "onnx"}, "inputs": [given]}}
    assert ("C-103" in rules(comparison, run)) is is_stated


def test_a_wrong_op_is_not_laid_on_the_input(made: tuple[Path, Inputs], tmp_path: Path) -> None:
    reference: Reference = open_reference(made[0] / "reference")
    folder = board_folder(tmp_path / "dumps", reference, {"relu1_out": lambda x: x >> 1})
    comparison = compare(reference, read_dumps(folder), CompareSettings())
    assert "C-103" not in rules(comparison) and "C-100" in rules(comparison)
