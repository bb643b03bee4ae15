"""Whole comparisons of folders: words, origins, coverage, what could not be matched and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.reference.open import Reference
from tests.support.nets import (
    Array,
    board_folder,
    float_model,
    halve,
    inputs_of,
    judged,
    row,
    run_with,
    spread,
)


def test_equal_folders_are_consistent_layer_by_layer(cnn: Reference, tmp_path: Path) -> None:
    comparison = judged(cnn, board_folder(tmp_path, cnn))
    assert (comparison.verdict.word, comparison.verdict.exit_code) == ("consistent", 0)
    assert comparison.coverage.layers_compared == comparison.coverage.layers_total == len(cnn.tensors) - 1
    assert comparison.coverage.bytes_compared == comparison.coverage.bytes_total > 0
    assert all(
        layer.verdict == "exact" and layer.valid_md5_board == layer.valid_md5_reference for layer in comparison.layers
    )
    assert comparison.graph_source == "cnn_quantized.onnx" and comparison.first_difference == ""


@pytest.mark.parametrize("without, certain", [((), True), (("images",), False)])
def test_what_the_first_op_did_is_certain_only_where_the_network_input_was_dumped(
    cnn: Reference, tmp_path: Path, without: tuple[str, ...], certain: bool
) -> None:
    """Halved values behind a picture that nobody saw: the picture may have been halved."""
    dumps = board_folder(tmp_path, cnn, spread("relu1_out", cnn, halve), without)
    (origin,) = judged(cnn, dumps, hypotheses=False).origins
    assert origin.fingerprint is not None and origin.tensor == "relu1_out"
    assert (origin.fingerprint.kind, origin.fingerprint.certain) == ("shift", certain)
    assert ("what the op read was not compared" in origin.fingerprint.evidence) != certain


def test_a_wrong_op_is_the_origin_and_what_follows_is_propagated(cnn: Reference, tmp_path: Path) -> None:
    comparison = judged(cnn, board_folder(tmp_path, cnn, spread("relu3_out", cnn, halve)))
    assert comparison.verdict.exit_code == 1 and comparison.verdict.detail.startswith("conv2 (Conv)")
    assert [(o.op, o.certain, o.how) for o in comparison.origins] == [("conv2", True, "graph")]
    assert comparison.first_difference == "relu3_out"
    assert row(comparison, "relu1_out").verdict == "exact"
    later = [layer for layer in comparison.layers if layer.role == "propagated"]
    assert later and all(layer.single is not None and layer.single.mismatched == 0 for layer in later)
    assert comparison.origins[0].fingerprint is not None and comparison.origins[0].fingerprint.kind == "shift"
    assert comparison.pictures["relu3_out"].map.values


def test_two_wrong_ops_in_a_row_are_both_found(cnn: Reference, tmp_path: Path) -> None:
    changed = spread("relu3_out", cnn, halve)
    values = {t.name: np.array(t.load()) for t in cnn.tensors.values()}
    first = {n: f(values[n]) for n, f in changed.items()}
    dead = first["relu8_out"].copy()
    dead[:, 5] = -128
    second = run_with(cnn, {"relu3_out": first["relu3_out"], "relu8_out": dead})
    comparison = judged(cnn, board_folder(tmp_path, cnn, {n: (lambda _, v=v: v) for n, v in second.items()}))
    assert [(o.op, o.how) for o in comparison.origins] == [("conv2", "graph"), ("conv7", "isolated")]
    kinds = [o.fingerprint.kind for o in comparison.origins if o.fingerprint is not None]
    assert kinds == ["shift", "dead_channel"]  # of the second: against what its op gives alone


def test_a_layer_that_was_not_dumped_makes_an_interval_and_is_never_a_pass(cnn: Reference, tmp_path: Path) -> None:
    folder = board_folder(tmp_path, cnn, spread("relu3_out", cnn, halve), leave_out=("relu3_out",))
    comparison = judged(cnn, folder)
    assert [(o.op, o.first, o.unseen) for o in comparison.origins] == [("maxpool4", "relu1_out", ("conv2",))]
    assert row(comparison, "relu3_out").verdict == "not_compared" and row(comparison, "relu3_out").reason == "no_dump"
    assert comparison.coverage.layers_compared == comparison.coverage.layers_total - 1
    assert "between relu1_out and maxpool4_out" in comparison.verdict.detail


def grown(reference: Reference) -> dict[str, Callable[[Array], Array]]:
    """One step here and there in a softmax, carried through the network: no op is wrong."""
    rng = np.random.default_rng(0)

    def ties(x: Array) -> Array:
        hit = rng.random(x.shape) < 0.005
        return np.clip(x.astype(np.int16) + hit * rng.choice([-1, 1], x.shape), -128, 127).astype(np.int8)

    return spread("softmax12_out", reference, ties)


def test_ties_that_grow_blame_no_op(transformer: Reference, tmp_path: Path) -> None:
    comparison = judged(transformer, board_folder(tmp_path, transformer, grown(transformer)))
    assert (comparison.verdict.word, comparison.verdict.exit_code) == ("consistent_accumulated", 0)
    assert comparison.origins == ()
    assert {layer.role for layer in comparison.layers if layer.verdict == "differs"} == {"cleared"}
    assert row(comparison, "softmax12_out").verdict == "within"
    points = comparison.extras.error_propagation
    assert max(p.max_step or 0 for p in points) >= 1 and any(p.single_max_step == 0 for p in points)
    assert comparison.extras.outputs[0].relative_l2 > 0


def test_without_isolation_the_same_run_has_a_suspect_and_says_so(transformer: Reference, tmp_path: Path) -> None:
    comparison = judged(transformer, board_folder(tmp_path, transformer, grown(transformer)), isolate=False)
    assert comparison.verdict.word == "diverges" and "suspect" in comparison.verdict.detail
    assert not comparison.origins[0].certain


def test_a_wrong_op_amid_growing_ties_is_found(transformer: Reference, tmp_path: Path) -> None:
    values = {n: f(np.array(transformer.tensors[n].load())) for n, f in grown(transformer).items()}
    wrong = values["matmul38_out"].copy()
    wrong.reshape(-1)[::500] += 3
    after = run_with(transformer, {**{n: values[n] for n in ("softmax12_out",)}, "matmul38_out": wrong})
    comparison = judged(
        transformer, board_folder(tmp_path, transformer, {n: (lambda _, v=v: v) for n, v in after.items()})
    )
    assert [o.op for o in comparison.origins] == ["matmul38"]
    assert comparison.verdict.word == "diverges"


def test_a_wrong_input_is_found_where_the_board_dumped_it(cnn: Reference, tmp_path: Path) -> None:
    feed = {n: v * np.float32(0.7) for n, v in inputs_of(float_model("cnn"), 5).items()}
    values = run_with(cnn, {}, feed)
    changes = {n: (lambda _, v=v: v) for n, v in values.items()}
    comparison = judged(cnn, board_folder(tmp_path / "with", cnn, changes))
    assert [(o.op_kind, o.tensor) for o in comparison.origins] == [("input", "images")]
    assert comparison.origins[0].fingerprint is not None and comparison.origins[0].fingerprint.kind == "preprocessing"
    without = judged(cnn, board_folder(tmp_path / "without", cnn, changes, leave_out=("images",)))
    assert without.origins[0].op == "conv0" and any("did not dump its input" in note for note in without.notes)


def test_without_a_graph_the_first_difference_in_order_is_all_that_is_said(cnn: Reference, tmp_path: Path) -> None:
    folder = board_folder(tmp_path, cnn, spread("relu3_out", cnn, halve))
    comparison = judged(replace(cnn, graph=None), folder)
    assert (
        comparison.graph_source == "" and comparison.origins[0].how == "sequence" and not comparison.origins[0].certain
    )
    assert "first in file order" in comparison.verdict.detail and any("no graph" in note for note in comparison.notes)
