"""Integers that right arithmetic leaves otherwise: quantized inputs, kernels of integers, ops that are fused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto, helper

from harness.consistency.compare import CompareSettings, compare
from harness.consistency.origins.ties import cut_towards_zero
from harness.dumps.folders import read_dumps, runs_onnxruntime
from harness.platforms import NAMES
from harness.records import Comparison, Quantization
from harness.reference.given_graph import with_graph
from harness.reference.open import Reference, open_reference, open_session, run_reference
from tests.support.nets import tiny_model

Array = np.ndarray[Any, Any]
ONE, ZERO = np.float32(1), np.int8(0)
node = helper.make_node


def quantized(name: str, scale: str = "s") -> list[NodeProto]:
    """Quantizer and dequantizer: from `name` over `name`q to `name`d."""
    return [
        node("QuantizeLinear", [name, scale, "zero"], [f"{name}q"], f"{name}_quantize"),
        node("DequantizeLinear", [f"{name}q", scale, "zero"], [f"{name}d"], f"{name}_dequantize"),
    ]


def built(folder: Path, nodes: list[NodeProto], x: Array, output: str, **constants: Any) -> Reference:
    weights = {"s": ONE, "zero": ZERO, **constants}
    onnx.save(tiny_model(nodes, {"x": list(x.shape)}, [output], **weights), folder / "m.onnx")
    return run_reference(folder / "m.onnx", {"x": x}, folder / "reference")


def judged(folder: Path, reference: Reference, settings: CompareSettings | None = None, **changed: Array) -> Comparison:
    folder.mkdir()
    for name, tensor in reference.tensors.items():
        np.save(folder / f"{name}.npy", changed.get(name, tensor.load()))
    return compare(reference, read_dumps(folder), settings)


@pytest.mark.parametrize(
    ("kernel", "right"), [(np.trunc, True), (np.floor, False), (np.rint, False), (lambda r: np.trunc(r) + 1, False)]
)
def test_whole_numbers_without_their_fraction(kernel: Any, right: bool) -> None:
    real = np.rint(np.random.default_rng(0).uniform(-90, 90, 400) * 16) / 16
    real[:40] = np.rint(real[:40]) + 1e-6  # a whole number, as float sums leave it
    board = kernel(np.where(np.abs(real - np.rint(real)) < 1e-5, np.rint(real), real)).astype(np.int8)
    assert cut_towards_zero(board, real, Quantization((1.0,), (0,), None)) is right


@pytest.mark.parametrize(("scale", "origins"), [(1.0, []), (0.5, ["resize"])])
def test_a_resize_that_casts_is_the_runtimes_kernel_where_the_steps_stay(
    scale: float, origins: list[str], tmp_path: Path
) -> None:
    resize = node("Resize", ["xd", "", "by"], ["r"], "resize", mode="linear")
    x = np.rint(np.random.default_rng(0).normal(0, 30, (1, 2, 12, 12))).astype(np.float32)
    by = np.array([1, 1, 2, 2], np.float32)
    reference = built(tmp_path, [*quantized("x"), resize, *quantized("r", "t")], x, "rd", by=by, t=np.float32(scale))
    real = open_session(tiny_model([resize], {"xd": list(x.shape)}, ["r"], by=by), tmp_path / "r", "disabled").run(
        ["r"], {"xd": x}
    )[0]
    cast = np.trunc(real / scale).clip(-128, 127).astype(np.int8)
    settings = CompareSettings(runs_onnxruntime=runs_onnxruntime("ort"))
    comparison = judged(tmp_path / "board", reference, settings, rd=cast)
    assert [origin.op for origin in comparison.origins] == origins
    elsewhere = judged(tmp_path / "other", reference, rd=cast)  # a platform that does not run ONNX Runtime
    assert [(o.op, o.fingerprint and o.fingerprint.kind) for o in elsewhere.origins] == [("resize", "truncation")]
    assert elsewhere.verdict.exit_code == 1 and runs_onnxruntime("")
    assert any("cut towards zero" in note for note in comparison.notes) is not bool(origins)


def test_one_platform_runs_onnxruntime() -> None:
    assert [name for name in NAMES if runs_onnxruntime(name)] == ["ort"]


@pytest.mark.parametrize("sizes", [False, True])
@pytest.mark.parametrize(("first", "origins"), [(-2, []), (-1, []), (0, ["resize"])])
def test_a_resize_in_two_passes_is_right_and_one_that_rounds_at_random_is_not(
    first: int, origins: list[str], sizes: bool, tmp_path: Path
) -> None:
    x = np.rint(np.random.default_rng(0).normal(0, 30, (1, 2, 12, 12))).astype(np.float32)
    given = ["xd", "", "", "by"] if sizes else ["xd", "", "by"]
    by = np.array([1, 2, 36, 36]) if sizes else np.array([1, 1, 3, 3], np.float32)
    resize = node("Resize", given, ["r"], "resize", mode="linear")
    reference = built(tmp_path, [*quantized("x"), resize, *quantized("r")], x, "rd", by=by)
    once = np.array(reference.tensors["rd"].load())
    board = once + np.random.default_rng(1).integers(0, 2, once.shape)
    for axis in (first, -3 - first) if first else ():
        scale = np.array([3 if i == 4 + axis else 1 for i in range(4)], np.float32)
        part = node("Resize", ["v", "", "by"], ["r"], "part", mode="linear")
        value = x if axis == first else board.astype(np.float32)
        model = tiny_model([part], {"v": list(value.shape)}, ["r"], by=scale)
        board = np.rint(open_session(model, tmp_path / "r", "disabled").run(["r"], {"v": value})[0])
    assert (board != once).mean() > 0.05
    comparison = judged(tmp_path / "board", reference, rd=board.clip(-128, 127).astype(np.int8))
    assert [origin.op for origin in comparison.origins] == origins


@pytest.mark.parametrize(("off", "codes"), [(1e-6, 0), (0.2, 1)])
def test_a_quantizer_of_the_input_may_round_an_edge_the_other_way(off: float, codes: int, tmp_path: Path) -> None:
    """An .npz that holds the input as it was fed and as it was quantized; the graph knows one of the two."""
    x = np.arange(-40, 40, dtype=np.float32).reshape(1, 80) + np.float32(0.5 - off)
    reference = built(tmp_path, [*quantized("x"), node("Neg", ["xd"], ["n"], "neg"), *quantized("n")], x, "nd")
    integers = np.array(reference.tensors["x"].load())
    other = (integers + np.where(integers == np.floor(x), 1, -1)).astype(np.int8)
    output = reference.tensors["nd"].load()
    np.savez(tmp_path / "pc.npz", x=x, xq=integers, nq=output)
    (tmp_path / "board").mkdir()
    for name, value in {"x": x, "xq": other, "nq": -other}.items():
        value.tofile(tmp_path / "board" / f"{name}.bin")
    given = with_graph(open_reference(tmp_path / "pc.npz"), tmp_path / "m.onnx")
    dumps = read_dumps(tmp_path / "board")
    by_archive = compare(given, dumps, CompareSettings(model=tmp_path / "m.onnx"))
    assert by_archive.verdict.exit_code == codes, by_archive.layers
    by_folder = compare(reference, dumps)  # both files are the input: the one of its integers' size is compared
    assert by_folder.layers[0].board_file == "xq.bin" and by_folder.verdict.exit_code == codes


def test_a_reader_of_a_wrong_file_is_right_on_an_edge_too(tmp_path: Path) -> None:
    """The file before it is wrong, and its own integers are rounded the other way: only the file is."""
    x = np.rint(np.random.default_rng(0).normal(0, 30, (1, 4, 6, 6))).astype(np.float32)
    nodes = [
        *quantized("x"),
        node("Neg", ["xd"], ["n"], "neg"),
        *quantized("n"),
        node("Mul", ["nd", "half"], ["h"], "halve"),
        *quantized("h"),
    ]
    reference = built(tmp_path, nodes, x, "hd", half=np.float32(0.5))
    right = np.array(reference.tensors["n"].load())
    away = np.trunc(right / 2 + np.copysign(0.5, right)).astype(np.int8)
    assert (away != reference.tensors["hd"].load()).any()
    wrong = np.ascontiguousarray(right.transpose(0, 2, 3, 1)).reshape(right.shape)
    comparison = judged(tmp_path / "board", reference, n=wrong, hd=away)
    assert [(o.op, o.fingerprint and o.fingerprint.kind) for o in comparison.origins] == [("neg", "layout")]


@pytest.mark.parametrize(("factor", "origins"), [(1.0, []), (1.3, ["last"])])
def test_a_board_that_does_not_round_between_ops_is_right_and_one_that_scales_is_not(
    factor: float, origins: list[str], tmp_path: Path
) -> None:
    """Three ops, of which the last one's tensor is dumped: fused, the two roundings before it are left out."""
    x = np.random.default_rng(0).normal(0, 20, (1, 4, 16, 16)).round().astype(np.float32)
    nodes = [
        *quantized("x"),
        node("Mul", ["xd", "k"], ["a"], "first"),
        *quantized("a"),
        node("Relu", ["ad"], ["b"], "second"),
        *quantized("b"),
        node("Mul", ["bd", "l"], ["c"], "last"),
        *quantized("c"),
    ]
    reference = built(tmp_path, nodes, x, "cd", k=np.float32(0.31), l=np.float32(2.7))
    fused = np.rint(np.maximum(x * 0.31, 0) * 2.7 * factor).clip(-128, 127).astype(np.int8)
    assert (fused != reference.tensors["cd"].load()).mean() > 0.1
    (tmp_path / "board").mkdir()
    np.save(tmp_path / "board" / "x.npy", x.astype(np.int8))
    np.save(tmp_path / "board" / "cd.npy", fused)
    comparison = compare(reference, read_dumps(tmp_path / "board"))
    assert [origin.op for origin in comparison.origins] == origins
