"""A wrong tensor from near: the worst plane, the axes, the worst elements, and the op on both sides."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from harness.consistency.origins import closer
from harness.consistency.origins.closer import from_near
from harness.consistency.origins.sides import op_sides
from harness.consistency.reading.pairs import Pair
from harness.records import Graph, Op, Origin, Picture, Quantization, TensorSpec
from harness.records.codec import from_json, to_json

HALF = Quantization((0.5,), (3,))


def pair(board: Any, reference: Any, layout: str = "NCHW", quantization: Quantization | None = HALF) -> Pair:
    dtype = {"int8": "s8", "float32": "f32"}[str(reference.dtype)]
    spec = TensorSpec("t", dtype, reference.shape, layout, quantization=quantization if dtype == "s8" else None)
    return Pair(board, reference, spec, spec, "integer" if dtype == "s8" else "float", spec)


def wrong_channel() -> Pair:
    reference = np.arange(2 * 6 * 40 * 50).reshape(2, 6, 40, 50).astype(np.int8)
    board = reference.copy()
    board[1, 4, :, :25] = 0
    board[0, 2, 3, 7] = -100 if reference[0, 2, 3, 7] > 0 else 100
    return pair(board, reference)


def test_the_plane_that_holds_most_of_what_is_wrong_is_shown_signed() -> None:
    both = wrong_channel()
    near, _, _ = from_near(both)
    assert near is not None and near.where == "N 1, C 4" and near.axes == ("H", "W") and near.unit == "steps"
    assert (near.rows, near.columns, near.low, near.high) == (40, 50, -128.0, 127.0)
    cells = np.array(near.difference)
    assert cells.shape == (32, 32) and not cells[:, 17:].any() and (np.abs(cells[:, :16]) > 0).any()
    top, _, _, right = 0, 0, 0, 50 // 32
    first = both.reference[1, 4, : 40 // 32, :right].astype(float)
    assert cells[top, 0] == -first.flat[int(np.argmax(np.abs(first)))]


def test_each_axis_has_its_shares_and_its_worst_slices() -> None:
    _, axes, _ = from_near(wrong_channel())
    assert [(axis.axis, axis.length) for axis in axes] == [("N", 2), ("C", 6), ("H", 40), ("W", 50)]
    channels = axes[1]
    assert channels.worst[0].index == 4 and channels.worst[1].index == 2 and len(channels.worst) == 2
    assert channels.worst[0].elements == 4000 and channels.shares[0] == 0


def test_the_worst_elements_are_as_stored_and_as_values() -> None:
    both = wrong_channel()
    _, _, worst = from_near(both)
    assert len(worst) == closer.MOST_WORST
    sizes = [abs(one.board - one.reference) for one in worst]
    assert sizes == sorted(sizes, reverse=True)
    for one in worst:
        assert one.board == both.board[one.at] and one.reference_value == (one.reference - 3) * 0.5


def test_scales_per_channel_are_those_of_the_elements_own() -> None:
    reference = np.zeros((1, 3, 4, 4), np.int8)
    board = reference.copy()
    board[0, 2, 1, 1] = 10
    _, _, worst = from_near(pair(board, reference, quantization=Quantization((1.0, 2.0, 4.0), (0, 0, 1), axis=1)))
    assert [(one.at, one.board_value, one.reference_value) for one in worst] == [((0, 2, 1, 1), 36.0, -4.0)]


def test_nan_is_farthest_and_its_cell_has_no_figure() -> None:
    reference = np.ones((1, 1, 8, 8), np.float32)
    board = reference.copy()
    board[0, 0, 2, 3], board[0, 0, 5, 5] = np.nan, 1000.0
    near, axes, worst = from_near(pair(board, reference))
    assert near is not None and near.difference[2][3] is None and near.difference[5][5] == 999.0
    assert math.isnan(worst[0].board) and worst[1].board == 1000.0 and len(worst) == 2
    assert axes[0].worst[0].max_abs is None
    picture = Picture(None, near, axes, worst)
    stored = json.loads(json.dumps(to_json(picture), allow_nan=False))
    assert from_json(Picture, stored).value.axes == axes


@pytest.mark.parametrize("shape", [(), (1,), (5,), (3, 1), (0, 4), (2, 3, 4, 5, 6)])
def test_any_shape(shape: tuple[int, ...]) -> None:
    reference = np.zeros(shape, np.int8)
    near, axes, worst = from_near(pair(reference + np.int8(1), reference, layout=""))
    assert len(worst) == min(reference.size, closer.MOST_WORST)
    assert len(axes) == (sum(size > 1 for size in shape) if reference.size else 0)
    assert near is None or len(near.difference) <= closer.MOST_CELLS


@pytest.mark.parametrize("shape", [(1, 700_000), (3, 7, 301, 97), (600_000, 1)])
def test_a_tensor_of_several_slabs_is_looked_at_whole(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(len(shape))
    reference = rng.normal(size=shape).astype(np.float32)
    board = reference.copy()
    at = rng.permutation(board.size)[:1000]
    board.reshape(-1)[at] += rng.normal(size=1000).astype(np.float32)
    near, axes, worst = from_near(pair(board, reference, layout=""))
    away = np.abs(board.astype(float) - reference)
    farthest = np.argsort(-away.reshape(-1), kind="stable")[: closer.MOST_WORST]
    assert [one.at for one in worst] == [np.unravel_index(n, shape) for n in farthest]
    for axis, one in zip([n for n, size in enumerate(shape) if size > 1], axes, strict=True):
        others = tuple(n for n in range(len(shape)) if n != axis)
        counts = (board != reference).sum(axis=others)
        assert one.worst[0].mismatched == counts.max() == counts[one.worst[0].index]
    assert near is None or (near.low, near.high) == (float(reference.min()), float(reference.max()))


def test_a_plane_of_several_slabs_is_put_together() -> None:
    reference = np.zeros((2, 1100, 600), np.float32)
    board = reference.copy()
    board[1, ::100, 300] = np.arange(1, 12)
    near, _, _ = from_near(pair(board, reference, layout=""))
    assert near is not None and (near.rows, near.columns) == (1100, 600)
    cells = np.array(near.difference)
    assert cells.shape == (32, 32) and sorted(cells[cells > 0]) == list(range(1, 12)) and cells[-3:].max() == 11


def test_a_side_that_does_not_tell_is_empty() -> None:
    rows = op_sides(Origin("conv1", "Conv", "t"), None, (None, None), (), lambda name: wrong_channel())
    known = {row.name: (row.reference, row.board) for row in rows}
    assert known["kind"] == ("Conv", "") and known["makes: scale"] == ("0.5, zero point 3", "0.5, zero point 3")
    assert "runs on" not in known


def test_attributes_of_the_file_that_the_board_executed_stand_beside_the_references(tmp_path: Path) -> None:
    models = tuple(one_conv(tmp_path / f"{pads}.onnx", pads) for pads in (0, 1))
    op = Op("conv1", "Conv", ("x",), ("t",))
    graph = Graph(ops=(op,), inputs=("x",), outputs=("t",))
    rows = op_sides(Origin("conv1", "Conv", "t"), graph, models, (), lambda name: wrong_channel())
    known = {row.name: (row.reference, row.board) for row in rows}
    assert known["kind"] == ("Conv", "Conv")
    assert known["pads"] == ("0, 0, 0, 0", "1, 1, 1, 1") and known["strides"] == ("2, 2", "2, 2")


def one_conv(path: Path, pads: int) -> Path:
    node = onnx.helper.make_node("Conv", ["x", "w"], ["t"], name="conv1", pads=[pads] * 4, strides=[2, 2])
    weight = onnx.numpy_helper.from_array(np.zeros((1, 1, 3, 3), np.float32), "w")
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ("x", "t")]
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], "g", ends[:1], ends[1:], [weight])), str(path))
    return path


@pytest.mark.parametrize(
    "quantization",
    [
        Quantization((0.5, 0.25), (), 1),  # fewer scales than channels
        Quantization((0.5,) * 6, (3, 4), 1),  # zero points that fit nothing
        Quantization((0.5,) * 6, (), 7),  # an axis that is not there
        Quantization((0.5,) * 6, (), -3),
        Quantization((0.5, 0.25), (0,)),  # two scales, no axis
        Quantization((math.inf,), (0,)),
    ],
)
def test_scales_that_do_not_fit_give_no_real_value_and_no_end(quantization: Quantization) -> None:
    """What a board's or a reference's metadata says is not trusted; the integers are shown all the same."""
    both = wrong_channel()
    _, axes, worst = from_near(pair(both.board, both.reference, quantization=quantization))
    assert len(worst) == closer.MOST_WORST and len(axes) == 4
    assert all(one.board_value is None and one.reference_value is None for one in worst)


def test_a_scale_of_another_layout_is_not_taken_for_this_one() -> None:
    """Stored NHWC and turned: six channels at axis 3, where the values now have six columns."""
    reference = np.arange(6**3).reshape(1, 6, 6, 6).astype(np.int8)
    board = reference.copy()
    board[0, 2] = 0
    scales = Quantization(tuple(0.1 * (n + 1) for n in range(6)), (0,), 3)
    turned = TensorSpec("t", "s8", (1, 6, 6, 6), "NHWC", quantization=scales)
    own = TensorSpec("t", "s8", (1, 6, 6, 6), "NCHW", quantization=Quantization(scales.scales, (0,), 1))
    _, _, worst = from_near(Pair(board, reference, turned, own, "integer", own))
    assert worst and all(one.board_value is None for one in worst)
    assert all(one.reference_value == pytest.approx(one.reference * 0.1 * (one.at[1] + 1)) for one in worst)


def test_a_large_tensor_with_a_scale_a_channel_is_cut_along_another_axis() -> None:
    reference = np.zeros((400_000, 3), np.int8)
    board = reference.copy()
    board[5] = 9
    for axis in (0, -2):
        many = Quantization((0.5,) * reference.shape[0], (0,), axis)
        spec = TensorSpec("t", "s8", reference.shape, "", quantization=many)
        _, _, worst = from_near(Pair(board, reference, spec, spec, "integer", spec))
        assert worst and worst[0].at[0] == 5 and (axis < 0 or worst[0].board_value == 4.5)
