"""Inputs of open sizes: the ONNX that a run is held against is run with the sizes that the board was fed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from harness.errors import InputError
from harness.platforms import load
from harness.records import Case, ModelInfo, TensorSpec
from harness.review.case_reference import CaseReference, Fed

OPEN = {"ids": (-1, -1), "mask": (-1, -1)}


def two_open_inputs(folder: Path) -> Path:
    node = helper.make_node("Mul", ["ids", "mask"], ["y"], "mul")
    values = [helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "seq"]) for n in ("ids", "mask", "y")]
    graph = helper.make_graph([node], "d", values[:2], values[2:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), folder / "d.onnx")
    return folder / "d.onnx"


def opened(folder: Path, model: Path, files: dict[str, Path], shapes: dict[str, tuple[int, ...]]) -> CaseReference:
    case = Case(name="d", model=model, reference=str(model))
    expected = CaseReference(case, load("ort"), lambda *_: None)
    info = ModelInfo("d", inputs=tuple(TensorSpec(name, "s64", shape) for name, shape in shapes.items()))
    expected.open(info, [Fed(name, path) for name, path in files.items()], folder / "reference")
    return expected


def test_arrays_fill_the_open_sizes(tmp_path: Path) -> None:
    model, files = two_open_inputs(tmp_path), {name: tmp_path / f"{name}.npy" for name in OPEN}
    for path in files.values():
        np.save(path, np.full((2, 7), 3, np.int64))
    reference = opened(tmp_path, model, files, OPEN).reference
    assert reference is not None and reference.tensors["y"].load().tolist() == [[9] * 7] * 2


def test_an_array_of_another_type_is_refused_with_both(tmp_path: Path) -> None:
    model, files = two_open_inputs(tmp_path), {name: tmp_path / f"{name}.npy" for name in OPEN}
    np.save(files["ids"], np.ones((2, 7), np.int32))
    np.save(files["mask"], np.ones((2, 7), np.int64))
    with pytest.raises(InputError, match=r"expected s64 .*got s32 2x7"):
        opened(tmp_path, model, files, OPEN)


def test_one_open_size_follows_from_the_bytes_and_two_do_not(tmp_path: Path) -> None:
    model, files = two_open_inputs(tmp_path), {name: tmp_path / f"{name}.bin" for name in OPEN}
    for path in files.values():
        np.ones(14, np.int64).tofile(path)
    with pytest.raises(InputError, match=r"give an \.npy"):
        opened(tmp_path, model, files, OPEN)
    proto = onnx.load(model)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[1].dim_value = 7
    onnx.save(proto, model)
    reference = opened(tmp_path, model, files, {"ids": (-1, 7), "mask": (-1, 7)}).reference
    assert reference is not None and reference.tensors["y"].load().shape == (2, 7)


# --------------------------------------------------------------------------- several frames on the board, one here


@pytest.mark.parametrize(
    ("layout", "board", "wanted", "frame_bytes"),
    [
        ("NV12", (3, 3, 4, 4), TensorSpec("x", "u8", (1, 4, 4, 3)), 24),
        ("NCHW", (3, 3, 4, 4), TensorSpec("x", "f32", (1, 3, 4, 4)), 192),
        ("NHWC", (3, 4, 4, 3), TensorSpec("x", "f32", (1, 3, 4, 4)), 192),
    ],
)
def test_an_onnx_of_one_frame_is_fed_the_boards_first(
    layout: str, board: tuple[int, ...], wanted: TensorSpec, frame_bytes: int, tmp_path: Path
) -> None:
    dtype = "u8" if layout == "NV12" else "f32"
    given = np.random.default_rng(0).integers(0, 60, 3 * frame_bytes, dtype=np.uint8).tobytes()
    (tmp_path / "x.bin").write_bytes(given)
    (tmp_path / "first.bin").write_bytes(given[:frame_bytes])
    expected = CaseReference(Case(name="d", model=tmp_path / "d.bin"), load("hbdnn"), lambda *_: None)

    def fed(frames: int, name: str) -> bytes | np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
        info = ModelInfo("d", inputs=(TensorSpec("x", dtype, (frames, *board[1:]), layout),))
        return expected.feeds(info, [Fed("x", tmp_path / name)], "q.onnx")([wanted])["x"]

    assert fed(3, "x.bin") == fed(1, "first.bin")
    two = replace(wanted, shape=(2, *wanted.shape[1:]))
    with pytest.raises(InputError):
        expected.feeds(
            ModelInfo("d", inputs=(TensorSpec("x", dtype, board, layout),)), [Fed("x", tmp_path / "x.bin")], "q.onnx"
        )([two])
