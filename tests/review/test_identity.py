"""Which files a run is about, and what is said of those that are not what they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from harness.errors import InputError
from harness.records import Case, FileIdentity
from harness.review import identity
from tests.records.kit import typed


def test_weights_beside_an_onnx_belong_to_it(tmp_path: Path) -> None:
    weight = numpy_helper.from_array(np.ones((4, 4), np.float32), "w")
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 4]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", value[:1], value[1:], [weight])
    path = tmp_path / "reference.onnx"
    onnx.save_model(helper.make_model(graph), str(path), save_as_external_data=True, location="w.bin", size_threshold=0)
    case = Case("c", tmp_path / "model.bin", reference=str(path))
    (tmp_path / "model.bin").write_bytes(b"model")
    before = identity.take(identity.files_of(case))
    (tmp_path / "w.bin").write_bytes(bytes(64))
    (sentence,) = identity.differences(before, identity.take(identity.files_of(case)))
    assert f"{tmp_path / 'w.bin'} (reference) was md5" in sentence


def test_the_md5_of_a_folder_is_of_names_sizes_and_contents() -> None:
    one = FileIdentity("reference", "/r", {"a": (1, "0" * 32), "b": (2, "1" * 32)})
    renamed = FileIdentity("reference", "/r", {"a": (1, "0" * 32), "c": (2, "1" * 32)})
    assert one.size_bytes == 3 and len(one.md5) == 32 and one.md5 != renamed.md5


def test_a_file_a_folder_and_nothing_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "reference"
    nothing = identity.take([("reference", path)])
    path.write_bytes(b"abc")
    alone = identity.take([("reference", path)])
    path.unlink()
    path.mkdir()
    (path / "a.npy").write_bytes(b"abc")
    folder = identity.take([("reference", path)])
    assert [one.md5 == alone[0].md5 for one in (*nothing, *folder)] == [False, False]
    assert "did not exist" in identity.differences(nothing, alone)[0]
    assert len(identity.differences(alone, folder)) == 2, "the file is gone, another came"
    assert identity.differences(folder, identity.take([("reference", path)])) == []


def test_many_changes_are_counted_and_the_command_is_told() -> None:
    before = [FileIdentity("reference", "/r", {f"{n}.npy": (1, "0" * 32) for n in range(9)})]
    now = [FileIdentity("reference", "/r", {f"{n}.npy": (1, "1" * 32) for n in range(9)})]
    with pytest.raises(InputError) as refused:
        identity.refuse(identity.differences(before, now), "then", "harness run m.bin --board b")
    assert "/r/0.npy" in refused.value.message and "and 5 more" in refused.value.message
    assert refused.value.hint == "start a new run: harness run m.bin --board b"


def test_a_command_is_told_from_where_it_was_typed(tmp_path: Path) -> None:
    record = {"command": {"line": "harness run m", "folder": str(Path.cwd())}}
    elsewhere = {"command": {"line": "harness run m", "folder": "/some where"}}
    assert identity.command_of(typed(record)) == "harness run m"
    assert identity.command_of(typed(elsewhere)) == "cd '/some where' && harness run m"
    assert identity.command_of(typed({"command": ["x"]})) == identity.command_of(typed({})) == ""


def test_a_record_names_files_without_the_folders_they_lie_in() -> None:
    files = [FileIdentity("model", "/data/secret project/m.bin", {"": (1, "0" * 32)})]
    files += [FileIdentity("reference", "/data/secret project/refs", {"a.npy": (1, "0" * 32)})]
    text = "/data/secret project/m.bin (model) had md5 0; /data/secret project/refs/a.npy (reference) is gone"
    assert identity.for_record(text, files) == "m.bin (model) had md5 0; refs/a.npy (reference) is gone"
    assert identity.for_record("start a new run: cd /data/x && harness run m.bin", files) == "start a new run"
