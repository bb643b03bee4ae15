"""One reading for a folder, whatever its names resemble: layouts, types and frames that boards' scripts leave."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from harness.consistency.compare import CompareSettings, compare
from harness.consistency.reading.agreement import POSITIONS, _positions
from harness.consistency.reading.readings import OWN, choose
from harness.dumps.folders import read_dumps
from harness.records import Comparison
from harness.reference.open import Reference, open_reference, run_reference
from tests.support.nets import quantized_reference

Array = np.ndarray[Any, Any]
Write = Callable[[Path, Array], None]


@pytest.fixture(scope="module")
def floats(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """Four float convolutions whose outputs are called ..._out; two of their outputs have C = H = W."""
    random = np.random.default_rng(1)
    nodes, weights, source, channels = [], [], "image", 3
    for i, (wide, step) in enumerate(((8, 1), (12, 1), (16, 1), (10, 2))):
        weight = random.normal(0, 0.3, (wide, channels, 3, 3)).astype(np.float32)
        weights.append(numpy_helper.from_array(weight, f"w{i}"))
        nodes.append(
            helper.make_node("Conv", [source, f"w{i}"], [f"c{i}"], f"conv{i}", pads=[1, 1, 1, 1], strides=[step, step])
        )
        nodes.append(helper.make_node("LeakyRelu", [f"c{i}"], [f"act{i}_out"], f"act{i}"))
        source, channels = f"act{i}_out", wide
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 16, 16])
    output = helper.make_tensor_value_info(source, TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "floats", [image], [output], weights)
    folder = tmp_path_factory.mktemp("floats")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), folder / "m.onnx")
    picture = random.normal(0, 1, (1, 3, 16, 16)).astype(np.float32)
    return run_reference(folder / "m.onnx", {"image": picture}, folder / "reference")


@pytest.fixture(scope="module")
def integers(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return quantized_reference("cnn", tmp_path_factory.mktemp("integers"))


def left(
    folder: Path, reference: Reference, write: Write, ending: str, faults: dict[str, Callable[[Array], Array]]
) -> Path:
    folder.mkdir()
    for tensor in reference.tensors.values():
        value = np.array(tensor.load())
        write(folder / f"{tensor.name}{ending}", faults.get(tensor.name, lambda v: v)(value))
    return folder


def judged(reference: Reference, folder: Path) -> Comparison:
    choice = choose(reference, folder)
    settings = CompareSettings(storages=choice.candidate.storages, reading=choice.reading)
    return compare(reference, choice.candidate.dumps, settings)


def raw(path: Path, value: Array) -> None:
    np.ascontiguousarray(value).tofile(path)


def last(value: Array) -> Array:
    return np.ascontiguousarray(value.transpose(0, 2, 3, 1)) if value.ndim == 4 else value


def blocks(value: Array, size: int) -> Array:
    if value.ndim != 4:
        return value
    n, c, h, w = value.shape
    full = np.full((n, -(-c // size) * size, h, w), 7, value.dtype)
    full[:, :c] = value
    return np.ascontiguousarray(full.reshape(n, -1, size, h, w).transpose(0, 1, 3, 4, 2))


def filled(value: Array, size: int) -> Array:
    if value.ndim != 4:
        return value
    turned = last(value)
    full = np.full((*turned.shape[:3], -(-turned.shape[3] // size) * size), 7, value.dtype)
    full[..., : turned.shape[3]] = turned
    return full


def bfloat16(value: Array) -> Array:
    return (value.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


STORED: dict[str, tuple[str, Write]] = {
    OWN: (".bin", raw),
    "channels last (NHWC)": (".bin", lambda path, value: raw(path, last(value))),
    "channels in blocks of 4 (NC4HW4)": (".bin", lambda path, value: raw(path, blocks(value, 4))),
    "channels in blocks of 16 (NC16HW16)": (".bin", lambda path, value: raw(path, blocks(value, 16))),
    "channels last, filled up to 32": (".bin", lambda path, value: raw(path, filled(value, 32))),
    "blocks in .npy": (".npy", lambda path, value: np.save(path, blocks(value, 4))),
    "channels last in .npy": (".npy", lambda path, value: np.save(path, last(value))),
    "flat .npy": (".npy", lambda path, value: np.save(path, value.reshape(-1))),
    "flat .npy of channels last": (".npy", lambda path, value: np.save(path, last(value).reshape(1, -1))),
    "filled up .npy": (".npy", lambda path, value: np.save(path, filled(value, 32))),
}


@pytest.mark.parametrize("name", STORED)
@pytest.mark.parametrize("kind", ["floats", "integers"])
def test_a_folder_stored_in_one_way_is_consistent(
    name: str, kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    reference: Reference = request.getfixturevalue(kind)
    ending, write = STORED[name]
    comparison = judged(reference, left(tmp_path / "dumps", reference, write, ending, {}))
    assert comparison.verdict.word == "consistent", (comparison.verdict, comparison.reading)
    assert comparison.reading.near == comparison.reading.layers
    if name in (OWN, "channels last (NHWC)"):
        assert comparison.reading.name == name


@pytest.mark.parametrize("name", STORED)
def test_a_layer_that_alone_needs_another_reading_differs(name: str, floats: Reference, tmp_path: Path) -> None:
    """Channels first where the others are last, and the other way round."""
    ending, write = STORED[name]
    fault = {"act2_out": lambda v: last(v).reshape(v.shape)}  # C = H = W: every size fits
    comparison = judged(floats, left(tmp_path / "dumps", floats, write, ending, fault))
    assert [origin.tensor for origin in comparison.origins] == ["act2_out"]
    assert comparison.origins[0].fingerprint is not None and comparison.origins[0].fingerprint.kind == "layout"


@pytest.mark.parametrize(("half", "narrow"), [("float16", lambda v: v.astype(np.float16)), ("bfloat16", bfloat16)])
@pytest.mark.parametrize("ending", [".bin", ".npy"])
def test_two_bytes_a_value_are_told_apart_by_the_values(
    half: str, narrow: Callable[[Array], Array], ending: str, floats: Reference, tmp_path: Path
) -> None:
    def write(path: Path, value: Array) -> None:
        stored = narrow(value)
        raw(path, stored) if ending == ".bin" else np.save(path, stored.view(np.uint16))

    comparison = judged(floats, left(tmp_path / "dumps", floats, write, ending, {}))
    assert half in comparison.reading.name and comparison.reading.near == comparison.reading.layers
    assert comparison.coverage.layers_compared == 8 and comparison.verdict.exit_code in (0, 1)
    assert max(row.metrics.relative_l2 or 0 for row in comparison.layers if row.metrics) < 0.005


def test_an_array_of_bfloat16_as_ml_dtypes_saves_it(floats: Reference, tmp_path: Path) -> None:
    comparison = judged(
        floats, left(tmp_path / "d", floats, lambda path, value: np.save(path, bfloat16(value).view("V2")), ".npy", {})
    )
    assert all("bf16" in row.note for row in comparison.layers if row.verdict != "not_compared")
    assert comparison.coverage.layers_compared == 8


@pytest.mark.parametrize("frame", [0, 2])
@pytest.mark.parametrize("ending", [".bin", ".npy"])
@pytest.mark.parametrize("order", ["first", "last"])
def test_several_frames_in_a_file(frame: int, ending: str, order: str, floats: Reference, tmp_path: Path) -> None:
    """The board ran a batch of four, the PC one of its pictures."""
    random = np.random.default_rng(frame)

    def write(path: Path, value: Array) -> None:
        frames = [random.permutation(value.reshape(-1)).reshape(value.shape) for _ in range(4)]
        frames[frame] = value
        batch = np.concatenate([last(one) if order == "last" else one for one in frames])
        raw(path, batch) if ending == ".bin" else np.save(path, batch)

    comparison = judged(floats, left(tmp_path / "dumps", floats, write, ending, {}))
    assert comparison.verdict.word == "consistent" and comparison.origins == ()
    assert f"holds 4 frames; frame {frame + 1} of 4 is the reference's" in comparison.layers[1].note


def test_names_that_end_like_another_platforms_files_prove_nothing(integers: Reference, tmp_path: Path) -> None:
    """Every tensor here ends with `_out`, as every file of one vendor does, whose layout is another one."""
    comparison = judged(integers, left(tmp_path / "dumps", integers, raw, ".bin", {}))
    assert comparison.verdict.word == "consistent" and comparison.reading.platform == ""


def test_where_nothing_agrees_the_references_own_layout_is_read(floats: Reference, tmp_path: Path) -> None:
    random = np.random.default_rng(8)
    comparison = judged(
        floats,
        left(tmp_path / "d", floats, lambda p, v: raw(p, random.normal(size=v.shape).astype(np.float32)), ".bin", {}),
    )
    assert comparison.reading.name == OWN and comparison.verdict.word == "diverges"


def test_what_came_second_is_said(floats: Reference, tmp_path: Path) -> None:
    reading = judged(floats, left(tmp_path / "d", floats, raw, ".bin", {})).reading
    assert reading.runner_up and reading.runner_up_near < reading.near == reading.equal


@pytest.mark.parametrize("ending", [".npy", ".bin"])
def test_a_reference_of_plain_arrays_meets_a_board_with_channels_last(
    floats: Reference, tmp_path: Path, ending: str
) -> None:
    """Two of the layers have C = H = W: they are read as the others are."""
    np.savez(tmp_path / "ref.npz", **{name: np.asarray(tensor.load()) for name, tensor in floats.tensors.items()})

    def write(path: Path, value: Array) -> None:
        raw(path, last(value)) if ending == ".bin" else np.save(path, last(value))

    folder = left(tmp_path / "dumps", floats, write, ending, {})
    assert judged(open_reference(tmp_path / "ref.npz"), folder).verdict.word == "consistent"


def test_the_positions_of_a_large_tensor_cost_no_memory_of_its_size() -> None:
    large = np.broadcast_to(np.float32(0), (64, 512, 512))
    tracemalloc.start()
    index = _positions(large)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20 and len(index[0]) == POSITIONS
    assert all(np.array_equal(one, other) for one, other in zip(index, _positions(large), strict=True))


def test_it_is_said_whether_another_reading_was_tried(tmp_path: Path) -> None:
    np.savez(tmp_path / "ref.npz", t=np.arange(12, dtype=np.float32).reshape(3, 4))
    reference = open_reference(tmp_path / "ref.npz")
    direct = compare(reference, read_dumps(tmp_path / "ref.npz")).reading
    assert direct.sentence == f"dumps read as {OWN}; no other reading was tried"
    tried = choose(reference, tmp_path / "ref.npz").reading
    assert tried.sentence == f"dumps read as {OWN}; no other reading fits"
