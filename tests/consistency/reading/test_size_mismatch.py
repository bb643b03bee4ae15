"""Files that do not fit their tensor, as a user finds them in a folder: what they are, and that none is ever a pass."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from harness.consistency.compare import CompareSettings, compare
from harness.consistency.reading.layouts import TensorError
from harness.consistency.reading.pairs import open_pair
from harness.consistency.reading.size_mismatch import SizeMismatches
from harness.consistency.reading.tensor_files import dequantize, encode, to_layout
from harness.dumps.folders import gaps, read_dumps
from harness.platforms import load
from harness.records import Comparison, Dump, Layer
from harness.reference.open import Reference, open_reference, run_reference
from tests.support.nets import float_model, inputs_of, quantized_reference

HBDNN = load("hbdnn")
Spoil = Callable[[Path], None]


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return quantized_reference("cnn", tmp_path_factory.mktemp("quantized"))


@pytest.fixture(scope="module")
def floats(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    folder = tmp_path_factory.mktemp("floats")
    model = float_model("cnn")
    onnx.save(model, str(folder / "cnn.onnx"))
    return run_reference(folder / "cnn.onnx", inputs_of(model, 5), folder / "reference")


def name_of(number: int, tensor: str) -> str:
    return f"layer-{number}-bpu-net_subgraph_0-output-0-{tensor}.bin"


def dumped(folder: Path, reference: Reference) -> dict[str, Path]:
    """Every layer as an X5 keeps it: channels last, padded with what nobody defined."""
    folder.mkdir()
    files = {}
    for number, tensor in enumerate(t for t in reference.tensors.values() if not t.is_input):
        assert tensor.spec is not None
        way = HBDNN.storages(tensor.spec, "BPU")[0]
        path = folder / name_of(number, tensor.name)
        path.write_bytes(encode(to_layout(np.asarray(tensor.load()), tensor.spec, way.layout), way, fill=0xA5))
        files[tensor.name] = path
    return files


def judged(reference: Reference, folder: Path) -> Comparison:
    dumps = read_dumps(folder, "hbdnn")
    return compare(
        reference, dumps, CompareSettings(storages=HBDNN.storages, gaps=gaps(dumps, "hbdnn"), platform="hbdnn")
    )


def row(comparison: Comparison, name: str) -> Layer:
    return next(layer for layer in comparison.layers if layer.name == name)


def cut(share: float) -> Spoil:
    def spoil(path: Path) -> None:
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])

    return spoil


def test_dumps_as_the_board_keeps_them_are_equal(quantized: Reference, floats: Reference, tmp_path: Path) -> None:
    for i, reference in enumerate((quantized, floats)):
        dumped(tmp_path / str(i), reference)
        assert judged(reference, tmp_path / str(i)).verdict.word == "consistent"


@pytest.mark.parametrize("share", [0.25, 0.34, 0.5, 0.75, 0.999])
@pytest.mark.parametrize("kind", ["quantized", "floats"])
def test_a_file_that_is_cut_off_is_called_so_whatever_else_has_its_size(
    request: pytest.FixtureRequest, kind: str, share: float, tmp_path: Path
) -> None:
    reference: Reference = request.getfixturevalue(kind)
    files = dumped(tmp_path / "dumps", reference)
    cut(share)(files["relu3_out"])
    comparison = judged(reference, tmp_path / "dumps")
    assert (comparison.verdict.word, comparison.verdict.exit_code) == ("incomplete", 3)
    assert row(comparison, "relu3_out").reason == "truncated", row(comparison, "relu3_out").note
    assert "its content is right" in row(comparison, "relu3_out").note


def test_what_is_left_of_wrong_values_is_told_by_the_other_layers(floats: Reference, tmp_path: Path) -> None:
    files = dumped(tmp_path / "dumps", floats)
    noise = np.random.default_rng(0).normal(size=floats.tensors["relu3_out"].load().size).astype("f4").tobytes()
    files["relu3_out"].write_bytes(noise[: len(noise) // 2])
    layer = row(judged(floats, tmp_path / "dumps"), "relu3_out")
    assert layer.reason == "truncated" and "other f32 layers have the right size" in layer.note


def test_values_of_a_narrower_dtype_are_another_dtype(floats: Reference, tmp_path: Path) -> None:
    files = dumped(tmp_path / "dumps", floats)
    values = np.asarray(floats.tensors["relu3_out"].load())
    files["relu3_out"].write_bytes((values * 100).astype("<i2").tobytes())
    layer = row(judged(floats, tmp_path / "dumps"), "relu3_out")
    assert layer.reason == "dtype_differs" and "read as s16 its values follow the reference's" in layer.note


def test_nothing_but_its_size_is_both(floats: Reference, tmp_path: Path) -> None:
    folder = tmp_path / "dumps"
    files = dumped(folder, floats)
    for name, path in files.items():
        if name != "relu3_out":
            path.write_bytes(b"")
    noise = np.random.default_rng(0).normal(size=floats.tensors["relu3_out"].load().size).astype("f4").tobytes()
    files["relu3_out"].write_bytes(noise[: len(noise) // 2])
    layer = row(judged(floats, folder), "relu3_out")
    assert layer.reason == "truncated" and layer.note.endswith("truncated, or a different dtype")


def test_more_bytes_than_any_way_of_storing_has(quantized: Reference, tmp_path: Path) -> None:
    path = dumped(tmp_path / "dumps", quantized)["relu3_out"]
    path.write_bytes(path.read_bytes() + b"\0" * 7)
    comparison = judged(quantized, tmp_path / "dumps")
    assert comparison.verdict.exit_code == 3 and row(comparison, "relu3_out").reason == "shape_differs"


def test_the_file_of_another_layer_is_named(quantized: Reference, tmp_path: Path) -> None:
    files = dumped(tmp_path / "dumps", quantized)
    shutil.copy(files["maxpool4_out"], files["relu3_out"])
    comparison = judged(quantized, tmp_path / "dumps")
    assert comparison.verdict.exit_code == 3 and row(comparison, "relu3_out").reason == "other_tensor"
    assert "it holds exactly the values of 'maxpool4_out'" in row(comparison, "relu3_out").note
    assert "its dump is that of another layer" in comparison.verdict.detail


def test_two_layers_of_one_size_that_changed_places_are_named(tmp_path: Path) -> None:
    reference = quantized_reference("transformer", tmp_path)
    files = dumped(tmp_path / "dumps", reference)
    one, two = files["matmul0_out"], files["matmul1_out"]
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    comparison = judged(reference, tmp_path / "dumps")
    prints = {origin.tensor: origin.fingerprint for origin in comparison.origins}
    assert comparison.verdict.exit_code == 1 and set(prints) == {"matmul0_out", "matmul1_out"}
    marks = {name: (mark.kind, mark.certain, mark.evidence) for name, mark in prints.items() if mark is not None}
    assert marks == {
        "matmul0_out": ("other_tensor", True, "it holds exactly the values of 'matmul1_out'"),
        "matmul1_out": ("other_tensor", True, "it holds exactly the values of 'matmul0_out'"),
    }


def into_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def into_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def into_circle(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def into_nowhere(path: Path) -> None:
    path.unlink()
    path.symlink_to("gone.bin")


@pytest.mark.parametrize(
    ("spoil", "reason", "words"),
    [
        (into_folder, "unreadable", "is a folder, not a dump"),
        (into_pipe, "unreadable", "is a pipe, not a dump"),
        (into_circle, "unreadable", "Too many levels of symbolic links"),
        (into_nowhere, "unreadable", "is a broken link"),
        (cut(0), "empty", "the file has 0"),
        (Path.unlink, "missing", "layer-1 is missing in the folder"),
    ],
    ids=["folder", "pipe", "circle", "nowhere", "empty", "gone"],
)
def test_what_is_no_file_is_said_to_be_none(
    quantized: Reference, tmp_path: Path, spoil: Spoil, reason: str, words: str
) -> None:
    spoil(dumped(tmp_path / "dumps", quantized)["relu3_out"])
    comparison = judged(quantized, tmp_path / "dumps")
    assert (row(comparison, "relu3_out").reason, comparison.verdict.exit_code) == (reason, 3)
    assert words in row(comparison, "relu3_out").note


@pytest.mark.parametrize("suffix", [".bin", ".npy"])
def test_a_pipe_among_plain_files_is_never_waited_for(tmp_path: Path, suffix: str, quantized: Reference) -> None:
    dumped(tmp_path / "dumps", quantized)
    os.mkfifo(tmp_path / "dumps" / f"layer-9-bpu-net_subgraph_0-output-0-more{suffix}")
    assert judged(quantized, tmp_path / "dumps").verdict.exit_code == 0


@pytest.mark.parametrize(("spoil", "words"), [(cut(0.5), "t00002.npy"), (Path.unlink, "file not found"), (cut(0), "")])
def test_damage_on_the_pcs_side_is_not_said_of_the_board(
    quantized: Reference, tmp_path: Path, spoil: Spoil, words: str
) -> None:
    dumped(tmp_path / "dumps", quantized)
    own = quantized.tensors["relu3_out"].path
    shutil.copytree(own.parent, tmp_path / "reference")
    spoil(tmp_path / "reference" / own.name)
    comparison = judged(open_reference(tmp_path / "reference"), tmp_path / "dumps")
    assert comparison.verdict.exit_code == 3
    assert "relu3_out was not compared: the reference file is damaged:" in comparison.verdict.detail
    assert words in comparison.verdict.detail


def test_a_float_file_that_is_cut_to_the_size_of_integers_is_seen_to_be_cut(
    quantized: Reference, tmp_path: Path
) -> None:
    tensor = quantized.tensors["relu3_out"]
    assert tensor.spec is not None
    path = dumped(tmp_path / "dumps", quantized)["relu3_out"]
    floats = dequantize(np.asarray(tensor.load()), tensor.spec.quantization).astype("<f4").tobytes()
    path.write_bytes(floats)
    assert judged(quantized, tmp_path / "dumps").verdict.word == "consistent"
    path.write_bytes(floats[: len(floats) // 4])
    comparison = judged(quantized, tmp_path / "dumps")
    assert comparison.verdict.exit_code == 1 and comparison.origins[0].fingerprint is not None
    assert comparison.origins[0].fingerprint.kind == "cut_off"
    assert "beginning of a file of f32" in comparison.origins[0].fingerprint.evidence


def test_a_file_too_large_to_look_into_is_left_to_the_other_layers(floats: Reference, tmp_path: Path) -> None:
    path = dumped(tmp_path / "dumps", floats)["relu3_out"]
    cut(0.5)(path)
    tensor, dump = floats.tensors["relu3_out"], Dump("relu3_out", path, unit="BPU")
    with pytest.raises(TensorError) as caught:
        open_pair(tensor, dump, HBDNN.storages)
    looked = SizeMismatches(floats, HBDNN.storages).explain(caught.value, tensor, dump)
    assert (looked.reason, looked.open) == ("truncated", False)
    unseen = SizeMismatches(floats, HBDNN.storages, most_bytes=100).explain(caught.value, tensor, dump)
    assert (unseen.reason, unseen.open) == ("dtype_differs", True)
