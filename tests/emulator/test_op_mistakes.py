"""Mistakes inside an op: what comes out is what the changed op gives, rounded after that."""

from __future__ import annotations

import numpy as np
import pytest

from harness.emulator.model.execute import Executor
from harness.emulator.model.fault_kinds import FaultContext
from harness.emulator.model.faults import Fault, apply_fault, parse_faults
from harness.errors import UserError
from harness.records import TensorSpec
from tests.support import emulator_kit as kit


def value(faults: str, tensor: str) -> np.ndarray:
    file, model = kit.opened(kit.branched())
    return Executor(file, model, parse_faults(faults, model)).run({"x": kit.feed()}, [tensor])[tensor]


def steps(faults: str, tensor: str = "c2") -> np.ndarray:
    return value(faults, tensor).astype(int) - value("", tensor)


def test_a_factor_acts_before_the_rounding() -> None:
    clean, board = (value(faults, "c2").astype(int) for faults in ("", "scale@conv2:by=0.83"))
    after = np.rint(clean * 0.83)
    off = np.abs(board - after)
    assert off.max() == 1 and 0.05 < (off == 1).mean() < 0.95


def test_an_offset_need_not_be_whole_steps() -> None:
    moved = steps("zero_point@conv2:by=2.6")
    assert {2, 3} <= set(np.unique(moved)) <= {0, 1, 2, 3}
    assert moved[value("", "c2") < 100].mean() == pytest.approx(2.6, abs=0.1)


def test_without_bias_every_channel_is_off_by_a_constant_of_its_own() -> None:
    off = steps("bias_dropped@conv2")[0].reshape(12, -1)
    inside = np.abs(value("", "c2")[0].reshape(12, -1).astype(int)) < 60
    spread = [np.ptp(off[c][inside[c]]) for c in range(12)]
    assert max(spread) <= 1 and len(np.unique(np.rint(off.mean(axis=1)))) > 4


def test_a_channel_has_its_neighbours_weights_and_all_others_are_untouched() -> None:
    wrong = np.flatnonzero(steps("channel_weights@conv2:index=7")[0].reshape(12, -1).any(axis=1))
    assert wrong.tolist() == [7]


def test_cut_results_are_one_step_low_about_half_of_the_time() -> None:
    off = steps("truncation@conv2")
    assert set(np.unique(off)) == {-1, 0} and 0.4 < (off == -1).mean() < 0.6


def test_padding_at_the_other_end_moves_the_result() -> None:
    clean, board = value("", "c2"), value("wrong_pads@conv2", "c2")
    assert np.array_equal(board[..., :-1, :-1], clean[..., 1:, 1:])


def test_a_softmax_along_another_axis_still_sums_to_one() -> None:
    board = value("wrong_axis@attention", "s3")
    real = board if board.dtype.kind == "f" else board.astype(float)
    assert not np.array_equal(board, value("", "s3")) and np.isfinite(real).all()


def test_two_mistakes_of_one_op_act_together_whatever_their_order() -> None:
    first = value("bias_dropped@conv2;halved@conv2", "c2")
    assert np.array_equal(first, value("halved@conv2;bias_dropped@conv2", "c2"))
    assert np.array_equal(first, value("bias_dropped@conv2", "c2") >> 1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("bias_dropped@pool", "no Conv or ConvTranspose or Gemm makes it"),
        ("wrong_pads@conv3", "it has no padding"),
        ("resize_mode@conv2", "no Resize makes it"),
        ("stale_item@conv2", "it is a batch of one"),
        ("channel_weights@conv2:index=99", "channel 99 is outside the 12 channels"),
    ],
)
def test_what_an_op_does_not_have_cannot_be_wrong(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        value(text, "c2")


def test_one_item_of_a_batch_is_stale() -> None:
    spec = TensorSpec("t", "s8", (3, 2, 4, 4), "NCHW")
    now, before = np.zeros(spec.shape, np.int8), np.ones(spec.shape, np.int8)
    board = apply_fault(Fault("f", "stale_item", "op", {}), now, FaultContext(spec, spec, before))
    assert board[:2].sum() == 0 and (board[2] == 1).all()


def test_pictures_of_limited_range_and_of_other_planes() -> None:
    spec = TensorSpec("x", "u8", (1, 3, 4, 4), "NCHW")
    chroma = np.arange(8, dtype=np.uint8).reshape(1, 2, 2, 2).repeat(2, axis=2).repeat(2, axis=3)
    picture = np.concatenate([np.full((1, 1, 4, 4), 255, np.uint8), chroma], axis=1)
    scene = FaultContext(spec, spec)
    limited = apply_fault(Fault("f", "limited_range", "x", {}), picture, scene)
    planes = apply_fault(Fault("f", "i420", "x", {}), picture, scene)
    assert (limited[:, 0] == 235).all() and limited[0, 1, 0, 0] == 16
    assert planes[0, 1:, ::2, ::2].reshape(2, -1).tolist() == [[0, 2, 4, 6], [1, 3, 5, 7]]
