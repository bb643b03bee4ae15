"""A board's list of md5s against the PC's dumps: equal, differs, not compared, and never more than that."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.files.md5_lists import read_list

LAYERS = {"layer_2_QuantizeFeature": b"abc", "layer_129_QuantizeFeature": b"xyz", "output_conv": b"12345"}


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def dumps(folder: Path) -> Path:
    folder.mkdir()
    for name, data in LAYERS.items():
        (folder / f"{name}.bin").write_bytes(data)
    (folder / "input_data_shape_1_5_5_4.bin").write_bytes(bytes(100))
    return folder


def compare(folder: Path, listed: str, *more: str) -> tuple[int, str]:
    (folder.parent / "sums.txt").write_text(listed)
    result = CliRunner().invoke(cli, ["compare", str(folder), str(folder.parent / "sums.txt"), *more])
    return result.exit_code, result.stdout


def rows(form: str, *changed: str) -> str:
    lines = [
        form.format(md5=md5(b"other" if name in changed else data), name=f"{name}_out.bin")
        for name, data in LAYERS.items()
    ]
    return "".join(f"{line}\n" for line in lines)


FORMS = (
    "{md5}  {name}",
    "{md5} *./debug/{name}",
    "MD5 ({name}) = {md5}",
    "[root@board:d]# md5sum {name}\n{md5}  {name}\r",
)


@pytest.mark.parametrize("form", FORMS)
def test_equal_files_of_a_whole_list_are_consistent(form: str, tmp_path: Path) -> None:
    code, text = compare(dumps(tmp_path / "pc"), rows(form))
    assert code == 0 and "consistent: all 3 files are equal by md5" in text


def test_a_file_that_differs_is_named_without_values(tmp_path: Path) -> None:
    code, text = compare(dumps(tmp_path / "pc"), rows(FORMS[0], "output_conv"), "--json")
    made = json.loads(text)
    assert code == 1 and made["verdict"]["word"] == "diverges" and "values are not known" in made["verdict"]["detail"]
    assert {row["name"]: row["verdict"] for row in made["layers"]}["output_conv"] == "differs"


def test_layers_that_are_not_in_the_list_are_no_success(tmp_path: Path) -> None:
    some = "".join(rows(FORMS[0]).splitlines(keepends=True)[:2])
    code, text = compare(dumps(tmp_path / "pc"), some)
    assert code == 3 and "2 files are equal, 1 are not in the list" in text and "not_compared" in text
    foreign = compare(dumps(tmp_path / "other"), f"{md5(b'a')}  somebody_else.bin\n")
    assert foreign[0] == 3 and "no file of the list has a partner" in foreign[1]


def test_a_file_that_stands_there_twice_with_two_md5s_is_not_compared(tmp_path: Path) -> None:
    twice = rows(FORMS[0]) + f"{md5(b'again')}  output_conv_out.bin\n"
    code, text = compare(dumps(tmp_path / "pc"), twice)
    assert code == 3 and "stands there twice with different md5s" in text
    assert "output_conv_out.bin" not in read_list(twice).md5s


def test_a_reference_that_is_no_folder_of_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sums.txt").write_text(rows(FORMS[0]))
    result = CliRunner().invoke(cli, ["compare", str(tmp_path / "model.onnx"), str(tmp_path / "sums.txt")])
    assert result.exit_code == 2 and "folder of raw dumps" in result.stderr


def test_files_of_no_bytes_are_not_equal(tmp_path: Path) -> None:
    """The md5 of nothing is that of every empty file."""
    folder = dumps(tmp_path / "pc")
    for path in folder.iterdir():
        path.write_bytes(b"")
    code, text = compare(folder, "".join(f"{md5(b'')}  {name}_out.bin\n" for name in LAYERS))
    assert code == 3 and "equal by md5" not in text


def test_names_that_are_no_files_are_left_out_and_a_line_of_blanks_takes_no_time() -> None:
    listed = read_list(f"{md5(b'a')}  ..\n{md5(b'b')}  {'x' * 300}\n{md5(b'c')}  {' ' * 200_000}\n{md5(b'd')}  d.bin\n")
    assert dict(listed.md5s) == {"d.bin": md5(b"d")} and len(listed.problems) == 2
