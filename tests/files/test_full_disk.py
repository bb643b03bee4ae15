"""This PC's disk is full: the path, the disk and what is free are said, and no file is left cut short."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from harness.files import safe
from harness.runs import folder as store
from tests.faults.test_board import small_disk
from tests.support import fixtures_run as runs
from tests.support.builds import harness

SIZE = 2_000_000  # bytes of each output; the disks have half of that


def model_of(path: Path) -> Path:
    """Weights of 2 MB that do not compress."""
    weight = np.random.default_rng(1).standard_normal((1, SIZE // 4)).astype(np.float32)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, SIZE // 4]) for name in ("x", "y")]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [numpy_helper.from_array(weight, "w")]
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=9), str(path))
    return path


def commands(folder: Path) -> dict[str, list[str | Path]]:
    """Commands that leave 2 MB or more, by what they leave."""
    np.save(folder / "x.npy", np.zeros((1, SIZE // 4), np.float32))
    (folder / "raw_1_1000_2000_1.bin").write_bytes(bytes(SIZE))
    model = model_of(folder / "model.onnx")
    return {
        "out.bin": ["convert", folder / "raw_1_1000_2000_1.bin", "-o"],
        "built.bin": ["emulator", "build", model, "--soc", "x5", "-o"],
        "reference": ["reference", model, "--input", f"x={folder / 'x.npy'}", "-o"],
    }


@pytest.mark.slow
def test_commands_name_the_disk_and_leave_nothing_cut_short(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 1) as disk:
        for name, argv in commands(tmp_path).items():
            result = harness(*argv, disk / name, cwd=tmp_path)
            assert result.returncode == 3 and "Traceback" not in result.stderr, result.stderr
            match = re.search(
                r"^error: (\S+): No space left on device: the disk mounted at (\S+) has (\d+) ", result.stderr
            )
            assert match is not None, result.stderr
            assert match[1].startswith(str(disk / name).removesuffix(".bin")) and match[2] == str(disk), result.stderr
            remaining = [path for path in disk.rglob("*") if path.is_file() and path.name != "manifest.json"]
            assert remaining == [], name
            shutil.rmtree(disk / name, ignore_errors=True)


def test_a_file_of_before_stays_whole_and_the_error_names_the_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 1) as disk:
        (disk / "model.bin").write_bytes(b"of before")
        with pytest.raises(OSError, match="No space left") as full, safe.output_file(disk / "model.bin") as file:
            file.write(bytes(2 * SIZE))
        words = safe.words_of(full.value)
        assert words.startswith(f"{disk / 'model.bin'}: ") and f"the disk mounted at {disk} has" in words
        assert [(path.name, path.read_bytes()) for path in disk.iterdir()] == [("model.bin", b"of before")]


@pytest.mark.slow
def test_a_report_on_a_full_disk_is_no_wrong_path(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    store.save_run(folder, runs.diverging_run(18, origin=9))
    with small_disk(tmp_path / "small", 1) as disk:
        (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free - 20_000))
        result = harness("report", folder, "-o", disk / "page.html", cwd=tmp_path)
        assert result.returncode == 3 and f"{disk / 'page.html'}: No space left on device: the disk" in result.stderr
        assert [path.name for path in disk.iterdir()] == ["filler"]
