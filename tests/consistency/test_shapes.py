"""Where values lie in dumps, by an ONNX that is read and not run: vendors' own ops included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from harness.consistency.checks.repeatability import determinism, hashes
from harness.consistency.reading.layouts import TensorError
from harness.consistency.reading.shapes import ShapesOfModel
from harness.errors import InputError
from harness.platforms import load
from harness.records import Determinism, Dump

SHAPE = (1, 12, 4, 6)
STORAGES = load("hbdnn").storages


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> ShapesOfModel:
    """A network of an op that nobody but its vendor can run; one of its tensors has no declared shape."""
    path = tmp_path_factory.mktemp("shapes") / "vendor.onnx"
    nodes = [
        helper.make_node("HzSQuantizedConv", ["x"], ["/a/c1"], name="c1", domain="vendor"),
        helper.make_node("HzLut", ["/a/c1"], ["unknown"], name="lut", domain="vendor"),
        helper.make_node("HzSQuantizedConv", ["unknown"], ["y"], name="c2", domain="vendor"),
    ]
    value = helper.make_tensor_value_info
    ends = [value(name, TensorProto.INT8, SHAPE) for name in ("x", "y")]
    inner = [value("/a/c1", TensorProto.INT8, SHAPE)]
    graph = helper.make_graph(nodes, "vendor", ends[:1], ends[1:], value_info=inner)
    imports = [helper.make_opsetid("", 13), helper.make_opsetid("vendor", 1)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), str(path))
    return ShapesOfModel(path, STORAGES)


def dump(folder: Path, name: str, padding: int, value: int = 1, file: str = "") -> Dump:
    """int8, channels last, 12 channels in rows of 16."""
    rows = np.full((4 * 6, 16), padding, np.int8)
    rows[:, :12] = value
    path = folder / (file or f"{name.strip('/').replace('/', '_')}-{padding}-{value}.bin")
    path.write_bytes(rows.tobytes())
    return Dump(name, path, unit="BPU")


def determinism_of(shapes: ShapesOfModel | None, *runs: Dump) -> Determinism:
    return determinism([hashes([run], shapes.resolve if shapes else None) for run in runs])


@pytest.mark.parametrize("name", ["/a/c1", "_a_c1"])
def test_padding_does_not_count_where_the_model_tells_the_shape(
    shapes: ShapesOfModel, tmp_path: Path, name: str
) -> None:
    runs = [dump(tmp_path, name, padding) for padding in (3, 7)]
    assert determinism_of(None, *runs).deterministic is None
    assert determinism_of(shapes, *runs).deterministic is True
    assert determinism_of(shapes, runs[0], dump(tmp_path, name, 3, value=2)).deterministic is False


@pytest.mark.parametrize("name", ["unknown", "of no model"])
def test_what_the_model_does_not_tell_stays_undecided(shapes: ShapesOfModel, tmp_path: Path, name: str) -> None:
    runs = [dump(tmp_path, name, padding) for padding in (3, 7)]
    assert [shapes.resolve(run) for run in runs] == [None, None]
    assert determinism_of(shapes, *runs).undecided == (name,)


def test_a_dump_of_another_size_is_of_another_model(shapes: ShapesOfModel, tmp_path: Path) -> None:
    (tmp_path / "y.bin").write_bytes(bytes(100))
    odd = Dump("y", tmp_path / "y.bin", unit="BPU")
    with pytest.raises(TensorError):
        shapes.resolve(odd)
    assert determinism_of(shapes, odd, odd).undecided == ("y",)


def test_dumps_come_in_the_networks_order_and_strangers_behind(shapes: ShapesOfModel, tmp_path: Path) -> None:
    dumps = [dump(tmp_path, name, 0) for name in ("stranger", "y", "unknown", "_a_c1", "x")]
    assert shapes.in_order(dumps) == ["x", "_a_c1", "unknown", "y", "stranger"]


def test_a_file_that_is_no_onnx_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\x00\x01")
    with pytest.raises(InputError):
        ShapesOfModel(tmp_path / "m.onnx", STORAGES)
