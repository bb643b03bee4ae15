"""How outputs leave: by the chip's family, what rounding them would cost, and which are read on or come back."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.emulator.rooms import soc_named
from harness.precision.output_tails import OutputTail, output_tails
from harness.precision.prepared import prepare
from harness.runs.folder import load_run
from harness.toolchains.fed_back import fed_back
from tests.precision import nets
from tests.support.builds import harness


def tails(folder: Path, soc: str) -> dict[str, OutputTail]:
    path, samples = nets.tailed(folder)
    return {one.output: one for one in output_tails(prepare(path, soc_named(soc), samples, {}))}


@pytest.mark.parametrize(("soc", "high"), [("j6e", "int32"), ("j6p", "float32"), ("x5", "int32")])
def test_convolutions_leave_unrounded_and_others_do_not(tmp_path: Path, soc: str, high: str) -> None:
    by_output = tails(tmp_path, soc)
    assert {name: one.leaves_as for name, one in by_output.items()} == {
        "state_out": high, "boxes": high, "scores": "int8",
    }  # fmt: skip
    boxes, state, scores = by_output["boxes"], by_output["state_out"], by_output["scores"]
    assert boxes.sqnr_db[high] >= boxes.sqnr_db["int16"] - 0.1 > boxes.sqnr_db["int8"]
    assert boxes.is_high and not scores.is_high and set(scores.sqnr_db) == {"int8"}
    assert boxes.dequantize_us is not None and (boxes.dequantize_us > 0) == (high == "int32")
    assert (state.readers, state.feeds) == (("box_head",), "state_in") and (boxes.readers, boxes.feeds) == ((), "")
    word = "one rescale" if high == "int32" else "vector unit"
    assert word in state.sentence and "state_in again" in state.sentence and "rescale" not in boxes.sentence


@pytest.mark.slow
def test_a_run_on_the_emulated_board_tells_it(tmp_path: Path) -> None:
    nets.tailed(tmp_path)
    argv = ("emulator", "build", "net.onnx", "--soc", "j6e", "--calibration", "cal")
    harness(*argv, "-o", "own.hbm", cwd=tmp_path, check=True)
    inputs = [f"--input={name}=cal/{name}/0.npy" for name in ("images", "state_in")]
    reference = ("--reference", "own_quantized_model.onnx", "--mode", "debug")
    run = harness("run", "own.hbm", "--board", "emu-j6e", *inputs, *reference, cwd=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    findings = load_run(tmp_path / "runs").findings
    assert {one.rule for one in findings if one.rule.startswith("B-")} == {"B-509", "B-510"}
    assert all(one.severity == "note" for one in findings)
    assert "box_head" in next(one.evidence for one in findings if one.rule == "B-509")


@pytest.mark.parametrize(
    ("outputs", "inputs", "pairs"),
    [
        ([("h_out", (1, 8))], [("h_in", (1, 8)), ("x", (1, 8))], [("h_out", "h_in")]),
        ([("present.key", (1, 4))], [("past.key", (1, 4))], [("present.key", "past.key")]),
        ([("h_out", (1, 8))], [("h_in", (1, 4))], []),  # another shape
        ([("h_out", (1, 8))], [("c_in", (1, 8))], []),  # another name
        ([("output", (1, 8))], [("input", (1, 8))], []),  # nothing but the ends
        ([("h", (1, 8))], [("h_in", (1, 8))], []),  # one of them tells no end
    ],
)
def test_a_state_is_known_by_its_name_and_shape(
    outputs: list[tuple[str, tuple[int, ...]]],
    inputs: list[tuple[str, tuple[int, ...]]],
    pairs: list[tuple[str, str]],
) -> None:
    assert list(fed_back(outputs, inputs)) == pairs
