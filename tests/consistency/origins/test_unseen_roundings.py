"""Quantized convolutions, of which only both ends are dumped: roundings left out are right, faults are not."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import NodeProto, helper

from harness.consistency.compare import compare
from harness.consistency.origins.played_moves import goes_along, is_one_of, within_moves
from harness.dumps.folders import read_dumps
from harness.reference.open import Reference, open_session, run_reference
from tests.support.nets import tiny_model

Array = npt.NDArray[Any]
OPS, CHANNELS, SIZE = 6, 8, 16
X = np.random.default_rng(0).normal(0, 1, (1, CHANNELS, SIZE, SIZE)).astype(np.float32)


def chain(unrounded: Collection[int] = ()) -> list[NodeProto]:
    """QDQ convolutions from x to y; behind those named nothing is rounded, and the range stays."""
    made = [
        helper.make_node("QuantizeLinear", ["x", "s", "zero"], ["xq"], "x_quantize"),
        helper.make_node("DequantizeLinear", ["xq", "s", "zero"], ["d0"], "x_dequantize"),
    ]
    for i in range(OPS):
        q, d = ("y", "yd") if i == OPS - 1 else (f"q{i}", f"d{i + 1}")
        c = f"c{i}"
        made += [
            helper.make_node("DequantizeLinear", [f"w{i}", "ws", "zero"], [f"w{i}d"], f"w{i}_dequantize"),
            helper.make_node("Conv", [f"d{i}", f"w{i}d"], [c], f"conv{i}", pads=[1] * 4),
        ]
        if i in unrounded:
            made.append(helper.make_node("Clip", [c, "low", "high"], [d]))
        else:
            made += [
                helper.make_node("QuantizeLinear", [c, "s", "zero"], [q], f"q{i}_quantize"),
                helper.make_node("DequantizeLinear", [q, "s", "zero"], [d], f"q{i}_dequantize"),
            ]
    return made


def weights() -> dict[str, Array]:
    rng = np.random.default_rng(1)
    return {f"w{i}": rng.integers(-127, 128, (CHANNELS, CHANNELS, 3, 3)).astype(np.int8) for i in range(OPS)}


def constants(**changed: Array) -> dict[str, Any]:
    scale = np.float32(1 / (73 * (9 * CHANNELS) ** 0.5))
    ends = {"low": np.float32(-4), "high": np.float32(127 / 32)}
    return {**ends, "s": np.float32(1 / 32), "ws": scale, "zero": np.int8(0), **weights(), **changed}


def computed(folder: Path, unrounded: Collection[int] = (), **changed: Array) -> Array:
    model = tiny_model(chain(unrounded), {"x": list(X.shape)}, ["yd"], **constants(**changed))
    value: Array = open_session(model, folder / "board.onnx", "disabled").run(["yd"], {"x": X})[0]
    return np.rint(value * 32).astype(np.int8)


def with_flipped_bit(name: str) -> dict[str, Array]:
    changed = weights()[name].copy()
    changed[3, 4, 1, 1] ^= 64
    return {name: changed}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    folder = tmp_path_factory.mktemp("chain")
    onnx.save(tiny_model(chain(), {"x": list(X.shape)}, ["yd"], **constants()), folder / "m.onnx")
    return run_reference(folder / "m.onnx", {"x": X}, folder / "reference")


def exit_code(folder: Path, reference: Reference, board: Array) -> int:
    folder.mkdir()
    assert (board != reference.tensors["yd"].load()).any()
    np.save(folder / "x.npy", reference.tensors["x"].load())
    np.save(folder / "yd.npy", board)
    return compare(reference, read_dumps(folder)).verdict.exit_code


@pytest.mark.parametrize("unrounded", [range(OPS - 1), (0,), (1, 3), (2,)])
def test_roundings_that_a_fused_runtime_leaves_out_are_no_fault(
    unrounded: Collection[int], reference: Reference, tmp_path: Path
) -> None:
    assert exit_code(tmp_path / "board", reference, computed(tmp_path, unrounded)) == 0


def one_channel(values: Array) -> Array:
    changed = values.copy()
    changed[:, 3] = np.rint(changed[:, 3] * 1.05)
    return changed


FAULTS: dict[str, Callable[[Array], Array]] = {
    "a step up": lambda y: y + 1.0,
    "a step down": lambda y: y - 1.0,
    "a factor": lambda y: np.rint(y * 1.02),
    "a channel's factor": one_channel,
    "random": lambda y: y + np.random.default_rng(2).integers(-1, 2, y.shape),
}


@pytest.mark.parametrize("unrounded", [(), range(OPS - 1)], ids=["rounding", "fused"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_step_behind_unseen_ops_is_a_fault(
    fault: str, unrounded: Collection[int], reference: Reference, tmp_path: Path
) -> None:
    board = FAULTS[fault](computed(tmp_path, unrounded).astype(np.float64)).clip(-128, 127).astype(np.int8)
    assert exit_code(tmp_path / "board", reference, board) == 1


@pytest.mark.parametrize("name", ["w0", "w2", "w4"])
def test_one_wrong_bit_in_a_weight_of_an_unseen_op_is_a_fault(name: str, reference: Reference, tmp_path: Path) -> None:
    assert exit_code(tmp_path / "board", reference, computed(tmp_path, **with_flipped_bit(name))) == 1


# --------------------------------------------------------------------------- ties

HALVES = np.random.default_rng(3).integers(-2, 3, (OPS, CHANNELS, CHANNELS, 1, 1)).astype(np.int8)


def on_a_grid(half_up: bool, flipped: bool = False) -> list[NodeProto]:
    """Convolutions of which every fourth result lies on the edge between two steps; the board rounds these up."""
    made = []
    given = "x"
    for i in range(OPS):
        c, q, d = f"c{i}", "y" if i == OPS - 1 else f"q{i}", "yd" if i == OPS - 1 else f"d{i + 1}"
        weight = f"w{i}x" if flipped and i == 2 else f"w{i}"
        made.append(helper.make_node("Conv", [given, weight], [c], f"conv{i}"))
        if half_up:
            steps = [("Div", (c, "s"), "a"), ("Add", (f"{c}a", "half"), "b"), ("Floor", (f"{c}b",), "c")]
            steps += [("Clip", (f"{c}c", "lowest", "highest"), "d"), ("Mul", (f"{c}d", "s"), "")]
            made += [helper.make_node(op, given_, [f"{c}{end}" if end else d]) for op, given_, end in steps]
        else:
            made.append(helper.make_node("QuantizeLinear", [c, "s", "zero"], [q], f"q{i}_quantize"))
            made.append(helper.make_node("DequantizeLinear", [q, "s", "zero"], [d], f"q{i}_dequantize"))
        given = d
    return made


def grid_constants() -> dict[str, Any]:
    quarter = {f"w{i}": w.astype(np.float32) / 4 for i, w in enumerate(HALVES)}
    wrong = quarter["w2"].copy()
    wrong[5, 3] += 2
    steps = {"s": np.float32(1 / 32), "zero": np.int8(0), "half": np.float32(0.5)}
    return {**steps, "lowest": np.float32(-128), "highest": np.float32(127), **quarter, "w2x": wrong}


@pytest.mark.parametrize("flipped", [False, True], ids=["ties", "a wrong weight"])
def test_ties_of_unseen_quantizers_that_go_to_the_other_step_are_no_fault(flipped: bool, tmp_path: Path) -> None:
    x = np.rint(X * 32).clip(-128, 127).astype(np.float32) / 32
    board = tiny_model(on_a_grid(True, flipped), {"x": list(X.shape)}, ["yd"], **grid_constants())
    onnx.save(tiny_model(on_a_grid(False), {"x": list(X.shape)}, ["yd"], **grid_constants()), tmp_path / "m.onnx")
    made = run_reference(tmp_path / "m.onnx", {"x": x}, tmp_path / "reference")
    value = open_session(board, tmp_path / "board.onnx", "disabled").run(["yd"], {"x": x})[0]
    moved = np.rint(value * 32).astype(np.int8) - made.tensors["yd"].load().astype(np.int64)
    assert np.mean(moved != 0) > 0.02
    assert exit_code(tmp_path / "board", made, np.rint(value * 32).astype(np.int8)) == int(flipped)


def test_a_tie_of_a_scalar_moves_one_channel() -> None:
    plain = np.zeros((1, 3, 4, 4), np.int8)
    up, down, board = plain.copy(), plain.copy(), plain.copy()
    up[:, 0], down[:, 1], board[:, 1] = 1, -1, -1
    assert is_one_of(board, (plain, up, down), 1) and not is_one_of(board, (plain, up), 1)
    board[0, 2, 0, 0] = 1
    assert not is_one_of(board, (plain, up, down), 1)
    assert is_one_of(up, (plain, up), None) and not is_one_of(board, (plain, up), None)


def test_more_than_the_ties_move_or_a_mean_that_they_have_not_is_a_fault() -> None:
    plain = np.zeros((1, 4, 32, 32), np.int8)
    rng = np.random.default_rng(5)
    up, down = (rng.integers(0, 2, plain.shape).astype(np.int8) * side for side in (np.int8(1), np.int8(-1)))
    some = (up * rng.integers(0, 2, plain.shape)).astype(np.int8) + (down * rng.integers(0, 2, plain.shape)).astype(
        np.int8
    )
    assert within_moves(some, plain, (up, down), 1)
    assert not within_moves(some * np.int8(3), plain, (up, down), 1)
    offset = np.zeros_like(plain)
    offset[:, 2] = 2
    assert not within_moves(offset, plain, (up, down), 1)
    assert not within_moves(some, plain, (plain, plain), 1)


def test_too_few_elements_show_no_direction() -> None:
    plain = np.zeros((1, 2, 2, 2), np.int8)
    played = plain + np.int8(1)
    assert not goes_along(played, plain, played, 1)
    wide = np.random.default_rng(0).integers(-2, 3, (1, 2, 32, 32)).astype(np.int8)
    assert goes_along(wide, np.zeros_like(wide), wide, 1) and not goes_along(-wide, np.zeros_like(wide), wide, 1)
