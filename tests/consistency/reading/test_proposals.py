"""Names that do not meet: a mapping is proposed by values, shapes and order, and nothing is compared by it unasked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from harness.cli import cli
from harness.consistency.compare import compare
from harness.consistency.reading.proposals import propose, template
from harness.dumps.folders import read_dumps
from harness.reference.open import Reference, open_reference

RANDOM = np.random.default_rng(9)
BOX, OBJ, CLS = (RANDOM.normal(size=(1, 16, 16, channels)).astype(np.float32) for channels in (4, 2, 2))


@pytest.fixture
def reference(tmp_path: Path) -> Reference:
    np.savez(tmp_path / "ref.npz", out_box=BOX, out_obj=OBJ, out_cls=CLS)
    return open_reference(tmp_path / "ref.npz")


def left(folder: Path, ending: str, values: dict[str, np.ndarray]) -> Path:
    folder.mkdir()
    for name, value in values.items():
        np.save(folder / f"{name}.npy", value) if ending == ".npy" else value.tofile(folder / f"{name}.bin")
    return folder


@pytest.mark.parametrize("ending", [".npy", ".bin"])
def test_numbered_outputs_are_proposed_by_their_values(reference: Reference, tmp_path: Path, ending: str) -> None:
    """Two of one shape have changed places, under a noise of 1e-6."""
    given = {f"output_{i}": value * np.float32(1 + 1e-6) for i, value in enumerate((BOX, CLS, OBJ))}
    dumps = read_dumps(left(tmp_path / "d", ending, given))
    proposals = propose(reference, dumps)
    assert [(one.board, one.tensor, one.basis) for one in proposals] == [
        ("output_0", "out_box", "equal values"),
        ("output_1", "out_cls", "equal values"),
        ("output_2", "out_obj", "equal values"),
    ]
    assert yaml.safe_load(template(proposals)) == {one.board: one.tensor for one in proposals}


def test_values_that_differ_leave_shape_and_order_and_that_is_said(reference: Reference, tmp_path: Path) -> None:
    given = {
        f"output_{i}": RANDOM.normal(size=value.shape).astype(np.float32) for i, value in enumerate((BOX, OBJ, CLS))
    }
    proposals = propose(reference, read_dumps(left(tmp_path / "d", ".npy", given)))
    assert [one.tensor for one in proposals] == ["out_box", "out_obj", "out_cls"]
    assert all("check it" in one.basis for one in proposals) and "out_cls" in proposals[1].basis


def test_nothing_is_compared_by_a_proposal_that_nobody_confirmed(reference: Reference, tmp_path: Path) -> None:
    comparison = compare(reference, read_dumps(left(tmp_path / "d", ".npy", {"output_0": BOX})))
    assert comparison.verdict.word == "not_comparable" and "--map FILE" in comparison.verdict.detail
    assert any("proposed names: output_0: out_box (equal values)" in note for note in comparison.notes)


def test_the_template_can_be_given_as_a_mapping(reference: Reference, tmp_path: Path) -> None:
    dumps = left(tmp_path / "d", ".npy", {"output_0": BOX, "output_1": CLS})
    words = ["compare", str(tmp_path / "ref.npz"), str(dumps)]
    names = str(tmp_path / "names.yaml")
    assert CliRunner().invoke(cli, [*words, "--map-template", names]).exit_code == 0
    again = CliRunner().invoke(cli, [*words, "--map-template", names])
    assert again.exit_code == 2 and "exists" in again.output
    result = CliRunner().invoke(cli, [*words, "--map", names])
    assert result.exit_code == 0 and result.stdout.startswith("consistent: 2 of 3 layers")
