"""A mask's constant is clipped only where it masks, only as far as it still masks, and floats stay what they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from harness.emulator.rooms import soc_named
from harness.precision.changed import ChangedModel
from harness.precision.edited import SAME, edits_of, with_edits, write_edited
from harness.precision.figures import SQNR
from harness.precision.masks import LEAST_LEFT
from harness.precision.prepared import PreparedModel, prepare
from harness.precision.sensitivity import NO_TASK
from harness.precision.tune import TunePlan, Wanted, tune
from tests.cli.answers import answer_of
from tests.precision import nets
from tests.precision.test_tune import silent
from tests.support.builds import harness


def prepared(net: tuple[Path, Path]) -> PreparedModel:
    return prepare(net[0], soc_named("x5"), net[1], {})


@pytest.mark.parametrize("constant", [-10000.0, -65504.0, -1e9, float("-inf")])
def test_a_mask_is_clipped_to_just_below_the_scores(tmp_path: Path, constant: float) -> None:
    subject = prepared(nets.masked_attention(tmp_path, constant))
    (edit,) = edits_of(subject)
    low, high = subject.ranges["s"]
    assert (edit.op, edit.kind, edit.before) == ("mask_add", "Add", constant)
    assert -(high - low) - LEAST_LEFT - 1 <= edit.after <= -(high - low) - LEAST_LEFT
    edited = write_edited(subject, [edit], tmp_path / "edited.onnx")
    assert edited.is_same and edited.difference <= SAME
    value = {t.name: t for t in onnx.load(tmp_path / "edited.onnx").graph.initializer}["mask_clipped_for_mask_add"]
    assert float(numpy_helper.to_array(value).min()) == edit.after
    assert ChangedModel.exact_outputs(edited.subject)[0]["y"] is not None  # of the model as it was
    np.testing.assert_array_equal(
        ChangedModel.exact_outputs(edited.subject)[0]["y"], ChangedModel.exact_outputs(subject)[0]["y"]
    )


def test_a_constant_that_is_near_the_scores_is_left(tmp_path: Path) -> None:
    assert edits_of(prepared(nets.masked_attention(tmp_path, -60.0))) == ()


def test_one_mask_of_several_layers_is_clipped_once_and_not_where_something_else_reads_it(tmp_path: Path) -> None:
    for place, is_output in (("shared", False), ("seen", True)):
        (tmp_path / place).mkdir()
        subject = prepared(nets.layers_of_one_mask(tmp_path / place, is_output=is_output))
        edits = edits_of(subject)
        assert [edit.op for edit in edits] == ([] if is_output else ["mask_mul"])
        if edits:
            spans = [high - low for low, high in (subject.ranges["s0"], subject.ranges["s1"])]
            assert edits[0].after <= -max(spans) - LEAST_LEFT
            assert write_edited(subject, edits, tmp_path / "edited.onnx").is_same


def test_a_constant_that_another_op_reads_too_keeps_it_there(tmp_path: Path) -> None:
    path, folder = nets.masked_attention(tmp_path)
    model = onnx.load(path)
    model.graph.node.append(helper.make_node("ReduceSum", ["mask"], ["sum"], "other", keepdims=0))
    (edit,) = edits_of(prepared((path, folder)))
    changed = {node.name: list(node.input) for node in with_edits(model, [edit]).graph.node}
    assert changed["other"] == ["mask"] and changed["mask_add"] == ["s", "mask_clipped_for_mask_add"]


def test_where_takes_a_score_from_below_all_others(tmp_path: Path) -> None:
    path, folder = nets.masked_attention(tmp_path)
    model = onnx.load(path)
    add = next(node for node in model.graph.node if node.name == "mask_add")
    add.CopyFrom(helper.make_node("Where", ["keep", "s", "far"], ["masked"], "mask_add"))
    keep = np.tril(np.ones((1, 12, 12))).astype(bool)
    model.graph.initializer.extend(
        [numpy_helper.from_array(keep, "keep"), numpy_helper.from_array(np.float32(-1e9), "far")]
    )
    onnx.save(model, path)
    subject = prepared((path, folder))
    (edit,) = edits_of(subject)
    assert edit.kind == "Where" and edit.after <= subject.ranges["s"][0] - LEAST_LEFT
    assert write_edited(subject, [edit], tmp_path / "edited.onnx").is_same


def test_with_the_mask_clipped_a_third_of_the_ops_is_enough(tmp_path: Path) -> None:
    """31 dB took four of nine ops with the mask as it was; a mask alone may be edited where the user allows it."""
    net = nets.masked_attention(tmp_path)
    subject, wanted = prepared(net), Wanted(SQNR, 30.0, NO_TASK)
    plain = tune(subject, wanted, tmp_path / "plain", silent)
    edited = tune(subject, wanted, tmp_path / "edited", silent, TunePlan(allow_edits=True))
    assert plain.edited is None and [edit.op for edit in plain.edits] == ["mask_add"]
    assert edited.is_good and edited.changed <= edited.nodes / 3 and edited.changed <= plain.changed
    assert edited.edited is not None and edited.edited.difference <= SAME
    text = edited.files[0].read_text()
    assert "the mask's constant -10000" in text and "net_clipped_masks.onnx" in text
    assert [one for one in edited.findings if one.severity == "error"] == []


def test_a_model_is_edited_only_where_that_leaves_fewer_ops_to_change(tmp_path: Path) -> None:
    """On J6 int16 scores are offered: as many ops are enough with the mask as it is."""
    path, samples = nets.masked_attention(tmp_path)
    subject = prepare(path, soc_named("j6e"), samples, {})
    proposal = tune(subject, Wanted(SQNR, 30.0, NO_TASK), tmp_path / "out", silent, TunePlan(allow_edits=True))
    assert proposal.is_good and proposal.edited is None and proposal.changed <= proposal.nodes / 3
    assert proposal.why_not_edited == "as few ops are enough without clipping it"
    assert "# edited" not in proposal.files[0].read_text()


@pytest.mark.slow
def test_one_command_ends_in_a_run_on_the_emulated_board(tmp_path: Path) -> None:
    nets.masked_attention(tmp_path)
    argv = ("tune", "net.onnx", "--calibration", "cal", "--soc", "x5", "--reach", "30", "--allow-model-edits")
    result = harness(*argv, "--samples", "2", "--json", cwd=tmp_path)
    answer = answer_of(result.stdout, "tune")
    assert result.returncode == 0, result.stderr
    board = answer["board"]
    assert board["board"] == "emu-x5" and board["verdict"] == "consistent" and board["samples"] == 2
    assert board["value"] == pytest.approx(answer["verified"]["value"], abs=1e-3)
    assert answer["changed"] <= answer["nodes"] / 3
    run = json.loads((tmp_path / board["run"] / "run.json").read_text())
    assert run["samples"]["total"] == 2 and run["verdict"]["exit_code"] == 0
