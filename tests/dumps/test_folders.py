"""Whole folders as users hand them to `harness compare`: whose dumps they are, what lies in them beside dumps."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper

from harness.cli import cli
from harness.consistency.compare import CompareSettings, compare
from harness.consistency.reading.readings import choose
from harness.consistency.reading.tensor_files import encode, size_bytes, to_layout, yuv444_to_nv12
from harness.dumps.folders import candidates, gaps, read_dumps, recognise
from harness.errors import InputError
from harness.files.npz import unpacked
from harness.platforms import load
from harness.reference.open import Reference, run_reference
from tests.support.nets import quantized_reference


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return quantized_reference("cnn", tmp_path_factory.mktemp("net"))


def folder_of(reference: Reference) -> Path:
    return next(iter(reference.tensors.values())).path.parent


def dumped(folder: Path, reference: Reference, platform: str = "hbdnn") -> Path:
    """What infer leaves: the input, every layer by its number, the output once more; padding is what it was."""
    folder.mkdir(parents=True)
    storages, number = load(platform).storages, 0
    for tensor in reference.tensors.values():
        assert tensor.spec is not None
        way = storages(tensor.spec, "BPU")[0]
        data = encode(to_layout(np.asarray(tensor.load()), tensor.spec, way.layout), way, fill=0x5A)
        role = "input" if tensor.is_input else "output"
        (folder / f"layer-{number}-bpu-net_subgraph_0-{role}-0-{tensor.name}.bin").write_bytes(data)
        if tensor.is_output or tensor.is_input:
            (folder / f"model_infer_{role}_0_{tensor.name}.bin").write_bytes(data)
        number += not tensor.is_input
    return folder


def call(reference: Reference, folder: Path, *more: str) -> Any:
    return CliRunner().invoke(cli, ["compare", str(folder_of(reference)), str(folder), *more])


@pytest.mark.parametrize("platform", ["hbdnn", "ucp"])
def test_two_platforms_of_one_way_of_naming_are_told_apart_by_the_values(
    net: Reference, tmp_path: Path, platform: str
) -> None:
    folder = dumped(tmp_path / "dumps", net, platform)
    assert candidates(folder) == ("hbdnn", "ucp")
    assert choose(net, folder).candidate.platform == platform
    result = call(net, folder)
    assert result.exit_code == 0 and result.stdout.startswith("consistent: 8 of 8 layers, all exact")
    assert f"read as {platform}: 9 of 9 sampled layers are near the reference" in result.stdout
    assert "no_reference" not in result.stdout  # the input that was fed is dumped twice, under two names


def test_a_wrong_layer_does_not_change_whose_dumps_they_are(net: Reference, tmp_path: Path) -> None:
    folder = dumped(tmp_path / "dumps", net, "ucp")
    path = next(folder.glob("layer-1-*"))
    path.write_bytes(bytes(x >> 1 for x in path.read_bytes()))
    result = call(net, folder)
    assert result.exit_code == 1 and result.stdout.startswith("diverges: conv2")


def test_copies_in_a_folder_below_do_not_stand_in_for_dumps(net: Reference, tmp_path: Path) -> None:
    folder = dumped(tmp_path / "dumps", net)
    shutil.copytree(folder, folder / "old")
    shutil.copytree(folder / "old", folder / "older")
    assert recognise(folder) == "hbdnn"
    assert call(net, folder).exit_code == 0
    next(folder.glob("layer-3-*")).unlink()
    assert call(net, folder).exit_code == 0 or "incomplete" in call(net, folder).stdout


def test_tensors_whose_names_end_like_another_platforms_dumps(tmp_path: Path, net: Reference) -> None:
    """Every tensor here ends with `_out`, as every file of Magik does: numbers say more."""
    assert recognise(dumped(tmp_path / "dumps", net)) == "hbdnn"


@pytest.mark.parametrize("name", ["evil\nconsistent: 9 of 9 layers.bin", "\x1b[2Jx.bin", "..\\..\\x.bin", "a\tb.bin"])
def test_no_name_of_a_file_writes_a_line_of_its_own(net: Reference, tmp_path: Path, name: str) -> None:
    folder = dumped(tmp_path / "dumps", net)
    (folder / name).write_bytes(b"x" * 64)
    result = call(net, folder)
    assert result.exit_code == 0 and "\x1b" not in result.stdout
    assert [line for line in result.stdout.splitlines() if line.startswith("consistent")] == [
        "consistent: 8 of 8 layers, all exact"
    ]


def test_a_name_that_is_no_text_is_a_row_and_no_end(net: Reference, tmp_path: Path) -> None:
    folder = dumped(tmp_path / "dumps", net)
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.bin")).write_bytes(b"x" * 64)
    command = [sys.executable, "-m", "harness", "compare", str(folder_of(net)), str(folder)]
    for more in ((), ("--json",), ("--csv",)):
        result = subprocess.run([*command, *more], capture_output=True, check=False)
        assert result.returncode == 0, result.stderr


def test_thousands_of_strange_files_change_nothing(net: Reference, tmp_path: Path) -> None:
    folder = dumped(tmp_path / "dumps", net)
    for i in range(2_000):
        (folder / f"junk_{i}.bin").touch()
    result = call(net, folder)
    assert result.exit_code == 0 and "and 1990 more" in result.stdout


def test_a_run_folder_is_not_taken_for_its_dumps(net: Reference, tmp_path: Path) -> None:
    dumped(tmp_path / "run" / "debug", net)
    (tmp_path / "run" / "run.json").write_text("{}", encoding="utf-8")
    result = call(net, tmp_path / "run")
    assert result.exit_code == 2 and f"give {tmp_path / 'run' / 'debug'}" in result.stderr


def test_a_dump_that_differs_while_all_behind_it_is_equal_is_doubted(net: Reference, tmp_path: Path) -> None:
    folder = dumped(tmp_path / "dumps", net)
    path = next(folder.glob("layer-1-*"))
    path.write_bytes(bytes(path.stat().st_size))
    result = call(net, folder)
    assert result.exit_code == 1 and "zeroed_region" in result.stdout
    assert "what is computed from it (maxpool4_out) is equal: its dump is more likely wrong" in result.stdout


def test_a_wrong_op_is_not_doubted(net: Reference, tmp_path: Path) -> None:
    folder = dumped(tmp_path / "dumps", net)
    for path in folder.glob("*output*"):
        path.write_bytes(bytes(x >> 1 for x in path.read_bytes()))
    assert "more likely wrong" not in call(net, folder).stdout


def picture_net(folder: Path, dtype: str) -> tuple[Reference, bytes]:
    """A network whose input is a YUV444 picture, its reference, and the NV12 that a board is fed for it."""
    rng = np.random.default_rng(0)
    nv12 = rng.integers(0, 256, (1, 12, 16), dtype=np.uint8)
    y, uv = nv12[:, :8], nv12[:, 8:].reshape(1, 4, 8, 2).repeat(2, axis=1).repeat(2, axis=2)
    yuv = np.stack([y, uv[..., 0], uv[..., 1]], axis=1)
    assert np.array_equal(yuv444_to_nv12(yuv), nv12)
    fed = yuv if dtype == "uint8" else (yuv.astype(np.int16) - 128).astype(np.int8)
    kind = TensorProto.UINT8 if dtype == "uint8" else TensorProto.INT8
    graph = helper.make_graph(
        [helper.make_node("Transpose", ["images"], ["turned"], name="turn", perm=[0, 2, 3, 1])],
        "pictures",
        [helper.make_tensor_value_info("images", kind, (1, 3, 8, 16))],
        [helper.make_tensor_value_info("turned", kind, (1, 8, 16, 3))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(folder / "pictures.onnx"))
    return run_reference(folder / "pictures.onnx", {"images": fed}, folder / "reference"), nv12.tobytes()


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("exchanged", [False, True])
def test_a_picture_that_was_fed_as_nv12_is_held_against_the_pcs_yuv444(
    tmp_path: Path, dtype: str, exchanged: bool
) -> None:
    reference, nv12 = picture_net(tmp_path, dtype)
    folder = tmp_path / "dumps"
    folder.mkdir()
    chroma = np.frombuffer(nv12[128:], np.uint8).reshape(-1, 2)
    fed = nv12[:128] + (chroma[:, ::-1] if exchanged else chroma).tobytes()
    (folder / "layer-0-bpu-net_subgraph_0-input-0-images.bin").write_bytes(fed)
    turned = np.ascontiguousarray(reference.tensors["turned"].load()).tobytes()
    (folder / "model_infer_output_0_turned.bin").write_bytes(turned)
    dumps = read_dumps(folder, "hbdnn")
    comparison = compare(reference, dumps, CompareSettings(storages=load("hbdnn").storages, gaps=gaps(dumps, "hbdnn")))
    row = next(layer for layer in comparison.layers if layer.name == "images")
    assert (row.verdict, row.note) == (
        "differs" if exchanged else "exact",
        "NV12, compared as YUV444",
    )
    if exchanged:
        assert "NV21 instead of NV12" in comparison.origins[0].fingerprint.evidence  # type: ignore[union-attr]


def test_an_input_in_a_format_of_the_boards_own_does_not_gate(net: Reference, tmp_path: Path) -> None:
    folder = dumped(tmp_path / "dumps", net)
    for path in folder.glob("*input*"):
        path.write_bytes(b"\xff\xd8\xff" * 99)
    result = call(net, folder)
    assert result.exit_code == 0 and "images" in result.stdout
    next(folder.glob("layer-0-*input*")).write_bytes(b"")
    assert call(net, folder).exit_code == 3


def retrained(reference: Reference, folder: Path) -> Reference:
    """The same network with other weights, fed the same input: yesterday's build."""
    assert reference.model is not None
    folder.mkdir()
    model = onnx.load(str(reference.model))
    for weight in model.graph.initializer:
        value = onnx.numpy_helper.to_array(weight)
        if value.dtype == np.int8 and value.ndim > 1:
            weight.CopyFrom(onnx.numpy_helper.from_array(np.roll(value, 1), weight.name))
    onnx.save(model, str(folder / "older.onnx"))
    fed = {t.name: np.array((t.alternate or t).load()) for t in reference.tensors.values() if t.is_input}
    return run_reference(folder / "older.onnx", fed, folder / "reference")


def test_dumps_of_another_build_of_the_model_are_recognised(net: Reference, tmp_path: Path) -> None:
    result = call(net, dumped(tmp_path / "dumps", retrained(net, tmp_path / "older")))
    assert result.exit_code == 1
    assert "every op with weights (5) is an origin, and no other op is: the dumps may be of" in result.stdout
    assert "check the network input first" not in result.stdout  # it was compared, and is equal


def test_an_input_that_is_dumped_as_it_was_given_is_no_other_input(tmp_path: Path) -> None:
    """Once padded integers, once floats of the same size: either is the reference's own input."""
    reference = small_input(tmp_path)
    tensor = reference.tensors["image"]
    assert tensor.alternate is not None and tensor.spec is not None
    folder = tmp_path / "dumps"
    folder.mkdir()
    given = np.ascontiguousarray(tensor.alternate.load()).tobytes()
    way = next(w for w in load("hbdnn").storages(tensor.spec, "BPU") if size_bytes(w) == len(given) and w.dtype == "s8")
    kept = encode(to_layout(np.asarray(tensor.load()), tensor.spec, way.layout), way, fill=0x5A)
    output = next(t for t in reference.tensors.values() if t.is_output)
    (folder / f"model_infer_output_0_{output.name}.bin").write_bytes(np.asarray(output.load()).tobytes())
    for content, good in ((given, True), (kept, True), (given[::-1], False)):
        (folder / "model_infer_input_0_image.bin").write_bytes(content)
        result = call(reference, folder)
        assert (result.exit_code == 0) is good, result.stdout


def small_input(folder: Path) -> Reference:
    """A network that quantizes an input of 1x1x8x8, of which 256 bytes are 64 floats and a padded int8 tensor alike."""
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["image", "scale", "zero"], ["q"], name="quantize"),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"], name="dequantize"),
            helper.make_node("Relu", ["d"], ["out"], name="relu"),
        ],
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 1, 8, 8))],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, (1, 1, 8, 8))],
        [onnx.numpy_helper.from_array(np.float32(0.01), "scale"), onnx.numpy_helper.from_array(np.int8(0), "zero")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(folder / "small.onnx"))
    values = np.random.default_rng(0).normal(size=(1, 1, 8, 8)).astype(np.float32)
    return run_reference(folder / "small.onnx", {"image": values}, folder / "reference")


def test_what_an_npz_unpacks_to_is_bounded_in_bytes(tmp_path: Path) -> None:
    """Zeros pack a thousandfold: a ratio would refuse honest tensors and let large files through."""
    path = tmp_path / "sparse.npz"
    np.savez_compressed(path, a=np.zeros(1_000_000, np.int8))
    assert path.stat().st_size * 500 < 1_000_000
    assert np.load(unpacked(path, tmp_path, 1_000_128)["a"]).shape == (1_000_000,)
    with pytest.raises(InputError, match="unpacks to 1000128 bytes, limit 1000127"):
        unpacked(path, tmp_path, 1_000_127)


def test_members_of_an_archive_need_no_ending(tmp_path: Path) -> None:
    """numpy reads them, and vendors' tools write them; what is no array is left out."""
    array = io.BytesIO()
    np.save(array, np.arange(6, dtype=np.float32).reshape(2, 3))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("/net/fc/Out_output_0_Gemm", array.getvalue())
        archive.writestr("conv1.npy", array.getvalue())
        archive.writestr("readme", "no array")
    dumps = read_dumps(tmp_path / "a.npz")
    assert [dump.name for dump in dumps] == ["/net/fc/Out_output_0_Gemm", "conv1"]
    assert all(dump.spec is not None and dump.spec.shape == (2, 3) for dump in dumps)
