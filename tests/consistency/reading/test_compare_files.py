"""Files of all sorts: names, shapes, dtypes, manifests, and what is damaged, lost, or odd."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness import platforms
from harness.consistency.compare import CompareSettings, compare, read_mapping
from harness.consistency.policy import load_policy
from harness.dumps.folders import read_dumps
from harness.errors import InputError
from harness.records import Dump, TensorSpec
from harness.reference.open import Reference, ReferenceTensor, open_reference, run_reference
from tests.support.nets import (
    board_folder,
    float_model,
    halve,
    inputs_of,
    judged,
    quantized_model,
    quantized_reference,
    row,
    spread,
)


def test_nothing_that_matches_is_not_comparable(cnn: Reference, tmp_path: Path) -> None:
    np.save(tmp_path / "other.npy", np.zeros(3, np.int8))
    comparison = judged(cnn, tmp_path)
    assert (comparison.verdict.word, comparison.verdict.exit_code) == ("not_comparable", 3)
    assert {layer.reason for layer in comparison.layers} == {"no_dump", "no_reference"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [(lambda b: b[:-5], "truncated"), (lambda b: b"", "empty"), (lambda b: b + b"1234567", "shape_differs")],
)
def test_a_damaged_dump_is_a_row_with_both_sizes(
    cnn: Reference, tmp_path: Path, change: Callable[[bytes], bytes], reason: str
) -> None:
    folder = board_folder(tmp_path, cnn)
    path = next(d.path for d in read_dumps(folder) if d.name == "logits")
    size = path.stat().st_size
    path.write_bytes(change(path.read_bytes()))
    comparison = judged(cnn, folder)
    damaged = row(comparison, "logits")
    assert (damaged.verdict, damaged.reason) == ("not_compared", reason)
    assert str(size) in damaged.note and str(path.stat().st_size) in damaged.note
    assert comparison.verdict.exit_code == 3


def test_a_file_that_vanished_is_lost(cnn: Reference, tmp_path: Path) -> None:
    dumps = read_dumps(board_folder(tmp_path, cnn))
    dumps[1].path.unlink()
    assert row(compare(cnn, dumps), dumps[1].name).reason == "missing"


def test_padded_channels_last_dumps_without_a_spec_are_unpadded_by_the_platforms_rules(
    cnn: Reference, tmp_path: Path
) -> None:
    storages = platforms.load("hbdnn").storages
    dumps = []
    for i, tensor in enumerate(t for t in cnn.tensors.values() if not t.is_input):
        from harness.consistency.reading.tensor_files import encode

        assert tensor.spec is not None
        way = storages(tensor.spec, "BPU")[0]
        value = np.array(tensor.load())
        path = tmp_path / f"{i}.bin"
        path.write_bytes(encode(value.transpose(0, 2, 3, 1) if way.layout == "NHWC" else value, way, fill=7))
        dumps.append(Dump(tensor.name, path, unit="BPU"))
    comparison = compare(cnn, dumps, CompareSettings(storages=storages))
    assert comparison.verdict.word == "consistent"
    assert any(layer.file_md5_board != layer.valid_md5_board for layer in comparison.layers)  # equal once unpadded


def test_npy_folders_and_npz_say_the_same(cnn: Reference, tmp_path: Path) -> None:
    values = {t.name: np.array(t.load()) for t in cnn.tensors.values()}
    for name, value in values.items():
        np.save(tmp_path / f"{name}.npy", value)
    np.savez(tmp_path / "all.npz", **values)
    assert judged(cnn, tmp_path).verdict.word == "consistent"
    assert judged(cnn, tmp_path / "all.npz").verdict.word == "consistent"
    assert compare(open_reference(tmp_path / "all.npz"), read_dumps(tmp_path)).verdict.word == "consistent"


def test_an_npy_with_channels_last_is_read_so_and_it_is_said(cnn: Reference, tmp_path: Path) -> None:
    np.save(tmp_path / "relu1_out.npy", np.array(cnn.tensors["relu1_out"].load()).transpose(0, 2, 3, 1))
    layer = row(judged(cnn, tmp_path), "relu1_out")
    assert layer.verdict == "exact" and "NHWC" in layer.note


def test_another_shape_is_said_and_axes_of_one_do_not_matter(cnn: Reference, tmp_path: Path) -> None:
    logits = np.array(cnn.tensors["logits"].load())
    np.save(tmp_path / "logits.npy", logits.reshape(1, 40, 1, 1))
    np.save(tmp_path / "relu1_out.npy", np.zeros((1, 16, 32, 31), np.int8))
    comparison = judged(cnn, tmp_path)
    assert row(comparison, "logits").verdict == "exact"
    assert row(comparison, "relu1_out").reason == "shape_differs" and "1x16x32x31" in row(comparison, "relu1_out").note


def test_floats_that_a_tool_dequantized_are_compared_as_steps(cnn: Reference, tmp_path: Path) -> None:
    tensor = cnn.tensors["logits"]
    assert tensor.spec is not None and tensor.spec.quantization is not None
    q = tensor.spec.quantization
    real = (np.array(tensor.load()).astype(np.float32) - q.zero_points[0]) * np.float32(q.scales[0])
    np.save(tmp_path / "logits.npy", real)
    assert row(judged(cnn, tmp_path), "logits").verdict == "exact"
    real[0, 3] += np.float32(q.scales[0])
    np.save(tmp_path / "logits.npy", real)
    layer = row(judged(cnn, tmp_path), "logits")
    assert layer.verdict == "differs" and layer.metrics.max_step == 1


def test_the_float_side_of_a_border_is_compared_with_floats(cnn: Reference, tmp_path: Path) -> None:
    side = cnn.tensors["images"].alternate
    assert side is not None
    np.save(tmp_path / "images.npy", np.array(side.load()))
    assert row(judged(cnn, tmp_path), "images").verdict == "exact"


def test_raw_bytes_of_which_nobody_tells_the_dtype_are_compared_as_bytes(tmp_path: Path) -> None:
    (tmp_path / "pc").mkdir()
    (tmp_path / "board").mkdir()
    for name, board in (("a", b"12345678"), ("b", b"12345679")):
        (tmp_path / "pc" / f"{name}.bin").write_bytes(b"12345678")
        (tmp_path / "board" / f"{name}.bin").write_bytes(board)
    comparison = compare(open_reference(tmp_path / "pc"), read_dumps(tmp_path / "board"))
    assert (row(comparison, "a").verdict, row(comparison, "b").verdict) == ("exact", "differs")


def test_a_quantized_dump_against_a_float_reference_has_another_dtype_and_no_scale(tmp_path: Path) -> None:
    quantized = quantized_reference("cnn", tmp_path)
    floats = run_reference(tmp_path / "cnn.onnx", inputs_of(float_model("cnn"), 5), tmp_path / "float")
    value = np.array(quantized.tensors["logits"].load())
    path = tmp_path / "logits.bin"
    path.write_bytes(value.tobytes())
    layer = row(compare(floats, [Dump("logits", path)]), "logits")
    assert (layer.verdict, layer.reason) == ("not_compared", "dtype_differs") and "8 bits" in layer.note
    spec = quantized.tensors["logits"].spec
    judged_mixed = row(compare(floats, [Dump("logits", path, spec)]), "logits")
    assert judged_mixed.verdict == "within" and "SQNR" in judged_mixed.reason


def test_dequantized_floats_against_a_float_reference_are_judged_by_their_noise_where_asked(tmp_path: Path) -> None:
    quantized = quantized_reference("cnn", tmp_path)
    floats = run_reference(tmp_path / "cnn.onnx", inputs_of(float_model("cnn"), 5), tmp_path / "float")
    spec = quantized.tensors["logits"].spec
    assert spec is not None and spec.quantization is not None
    q = spec.quantization
    real = (np.array(quantized.tensors["logits"].load()).astype(np.float32) - q.zero_points[0]) * q.scales[0]
    np.save(tmp_path / "logits.npy", real.astype(np.float32))
    dumps = [Dump("logits", tmp_path / "logits.npy")]
    assert row(compare(floats, dumps), "logits").verdict == "differs"
    lenient = CompareSettings(policy=load_policy("float-reference"))
    assert row(compare(floats, dumps, lenient), "logits").verdict == "within"
    np.save(tmp_path / "logits.npy", (real / 2).astype(np.float32))
    assert row(compare(floats, dumps, lenient), "logits").verdict == "differs"


def test_a_mapping_file_brings_names_together(cnn: Reference, tmp_path: Path) -> None:
    np.save(tmp_path / "node_7.npy", np.array(cnn.tensors["logits"].load()))
    mapping = tmp_path / "names.yaml"
    mapping.write_text("node_7: logits\ngone: relu1_out\n", encoding="utf-8")
    comparison = judged(cnn, tmp_path, mapping=mapping)
    assert (row(comparison, "logits").verdict, row(comparison, "logits").match) == ("exact", "mapping")
    assert any("gone" in note for note in comparison.notes)


def test_a_mapping_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("- a\n- b\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"m\.yaml"):
        read_mapping(path)


def test_a_waiver_lets_a_known_difference_pass_until_its_day(cnn: Reference, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "policy: p\nextends: default\nwaivers:\n"
        "  - {tensor: logits, reason: ticket 4711, until: 2999-01-01, max_step: 3}\n",
        encoding="utf-8",
    )
    board = board_folder(tmp_path / "board", cnn, {"logits": lambda x: np.minimum(x, 125) + 2})
    assert judged(cnn, board).verdict.exit_code == 1
    waived = judged(cnn, board, policy=load_policy(policy))
    assert waived.verdict.word == "consistent_within" and "ticket 4711" in row(waived, "logits").reason


def test_repeats_that_differ_make_a_run_not_deterministic(cnn: Reference, tmp_path: Path) -> None:
    first = read_dumps(board_folder(tmp_path / "1", cnn))
    other = read_dumps(board_folder(tmp_path / "2", cnn, {"logits": lambda x: x ^ 1}))
    comparison = compare(cnn, first, CompareSettings(repeats=[other]))
    assert (comparison.verdict.word, comparison.verdict.exit_code) == ("not_deterministic", 1)
    assert comparison.extras.determinism[""].first == "logits"


def test_the_noise_ratio_tells_quantization_from_a_wrong_board(tmp_path: Path) -> None:
    reference = quantized_reference("cnn", tmp_path)
    floats = run_reference(tmp_path / "cnn.onnx", inputs_of(float_model("cnn"), 5), tmp_path / "float")
    good = judged(reference, board_folder(tmp_path / "good", reference), floats=floats)
    rows = {r.name: r for r in good.extras.three_way}
    assert rows["logits"].word == "fine" and rows["logits"].ratio == pytest.approx(1)
    bad = judged(reference, board_folder(tmp_path / "bad", reference, {"logits": halve}), floats=floats)
    worst = next(r for r in bad.extras.three_way if r.name == "logits")
    assert worst.word == "differs" and worst.ratio > 3


def test_the_order_of_the_dumps_never_changes_a_verdict(cnn: Reference, tmp_path: Path) -> None:
    dumps = read_dumps(board_folder(tmp_path, cnn, spread("relu3_out", cnn, halve)))
    assert compare(cnn, dumps) == compare(cnn, dumps[::-1])


def test_a_float_network_is_judged_in_floats(tmp_path: Path) -> None:
    quantized_model("cnn", tmp_path)
    reference = run_reference(tmp_path / "cnn.onnx", inputs_of(float_model("cnn"), 1), tmp_path / "reference")
    noisy = {n: (lambda x: (x * np.float32(1 + 1e-7)).astype(np.float32)) for n in ("conv2_out", "logits")}
    assert judged(reference, board_folder(tmp_path / "a", reference, noisy)).verdict.word == "consistent_within"
    nan = {"conv2_out": lambda x: np.where(x == x.max(), np.nan, x).astype(np.float32)}
    comparison = judged(reference, board_folder(tmp_path / "b", reference, nan))
    assert comparison.verdict.exit_code == 1 and comparison.origins[0].op == "conv2"
    assert comparison.origins[0].fingerprint is not None and comparison.origins[0].fingerprint.kind == "nan"


def test_more_rows_than_file_descriptors_keep_no_file_open(tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", np.arange(8, dtype=np.int8))
    (tmp_path / "t.bin").write_bytes(bytes(range(8)))
    spec = TensorSpec("t", "s8", (8,))
    tensors = {f"tensor_{i}": ReferenceTensor(f"tensor_{i}", tmp_path / "t.npy", spec, order=i) for i in range(1200)}
    comparison = compare(Reference(tensors), [Dump(name, tmp_path / "t.bin", spec) for name in tensors])
    assert comparison.coverage.layers_compared == 1200 and comparison.verdict.word == "consistent"


@pytest.mark.parametrize(
    "manifest",
    [
        "not json",
        "[]",
        '{"format": 2, "tensors": []}',
        '{"format": 1, "tensors": [{"file": "a.bin"}]}',
        '{"format": 1, "tensors": [{"name": "a", "dtype": "s8", "shape": [1], "file": "../../etc/passwd"}]}',
        '{"format": 1, "tensors": [{"name": "a", "dtype": "int8", "shape": [1], "file": "a.bin"}]}',
        '{"format": 1, "tensors": [{"name": "a", "dtype": "s8", "shape": "x", "file": "a.bin"}]}',
        '{"format": 1, "tensors": [{"name": "a", "dtype": "s8", "shape": [-1], "file": "a.bin"}]}',
        '{"format": 1, "tensors": [{"name": "a", "dtype": "s8", "shape": [1e400], "file": "a.bin"}]}',
        '{"format": 1, "tensors": [{"name": "a", "dtype": "s8", "shape": [99999999999999999999], "file": "a.bin"}]}',
    ],
)
def test_a_manifest_that_cannot_be_trusted_is_refused(manifest: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(manifest, encoding="utf-8")
    for opened in (read_dumps, open_reference):
        with pytest.raises(InputError, match="manifest"):
            opened(tmp_path)


def test_odd_files_in_a_folder_are_rows_and_never_a_crash(cnn: Reference, tmp_path: Path) -> None:
    import os

    good = np.array(cnn.tensors["logits"].load())
    np.save(tmp_path / "logits.npy", good)
    np.save(tmp_path / "relu1_out.npy", np.zeros((1, 16, 32, 32), np.complex64))
    (tmp_path / "relu3_out.npy").write_bytes(b"\x93NUMPY\x01\x00")
    (tmp_path / "relu6_out.npy").mkdir()
    (tmp_path / "a\nb\x1b[2J.bin").write_bytes(b"123")
    os.mkfifo(tmp_path / "pipe.bin")
    (tmp_path / "loop.bin").symlink_to("loop.bin")
    (tmp_path / "dangling.npy").symlink_to(tmp_path / "nowhere")
    comparison = judged(cnn, tmp_path)
    assert row(comparison, "logits").verdict == "exact"
    assert (row(comparison, "relu1_out").reason, row(comparison, "relu3_out").reason) == ("dtype_differs", "unreadable")
    assert row(comparison, "relu6_out").reason == "no_dump" and comparison.verdict.exit_code == 3


def test_a_tensor_without_elements_is_not_compared_and_not_damaged(tmp_path: Path) -> None:
    for folder in ("pc", "board"):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "boxes.npy", np.zeros((0, 4), np.float32))
        np.save(tmp_path / folder / "scores.npy", np.ones(5, np.float32))
    comparison = compare(open_reference(tmp_path / "pc"), read_dumps(tmp_path / "board"))
    assert row(comparison, "boxes").reason == "empty" and comparison.verdict.word == "consistent"


def test_an_npy_of_python_objects_is_never_unpickled(cnn: Reference, tmp_path: Path) -> None:
    np.save(tmp_path / "logits.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    layer = row(judged(cnn, tmp_path), "logits")
    assert (layer.verdict, layer.reason) == ("not_compared", "unreadable")


def test_the_manifest_of_a_reference_is_what_the_documentation_says(cnn: Reference) -> None:
    folder = next(iter(cnn.tensors.values())).path.parent
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert {"format", "kind", "source", "source_md5", "runner", "inputs", "graph", "tensors"} <= set(manifest)
    wanted = {"name", "onnx_name", "op", "op_kind", "order", "dtype", "shape", "layout", "md5", "file", "is_output"}
    assert all(wanted <= set(record) for record in manifest["tensors"])
    assert manifest["runner"]["optimizations"] == "disabled" and "vnni" in manifest["runner"]
