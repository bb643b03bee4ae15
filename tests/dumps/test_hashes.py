"""A board's list of md5s against the PC's dumps: equal, differs, not compared, and never more than that."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.files.md5_lists import read_list
from tests.cli.answers import answer_of

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
    made = answer_of(text, "compare-list")
    assert code == 1 and made["verdict"]["word"] == "diverges" and "values are not known" in made["verdict"]["detail"]
    assert {row["name"]: row["verdict"] for row in made["layers"]}["output_conv"] == "differs"


def test_layers_that_are_not_in_the_list_are_no_success(tmp_path: Path) -> None:
    some = "".join(rows(FORMS[0]).splitlines(keepends=True)[:2])
    code, text = compare(dumps(tmp_path / "pc"), some)
    assert code == 3 and "incomplete: 2 files are equal, 1 are not in the list" in text and "not_compared" in text
    foreign = compare(dumps(tmp_path / "other"), f"{md5(b'a')}  somebody_else.bin\n")
    assert foreign[0] == 3 and "1 of 1 files of the list have no partner" in foreign[1]


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


@pytest.mark.parametrize(("percent", "code", "says"), [("60", 0, "2 files are equal, 1 are not"), ("70", 3, "66.7%")])
def test_a_minimum_of_coverage_stands_for_all_files(percent: str, code: int, says: str, tmp_path: Path) -> None:
    some = "".join(rows(FORMS[0]).splitlines(keepends=True)[:2])
    answer = compare(dumps(tmp_path / "pc"), some, "--min-coverage", percent)
    assert answer[0] == code and says in answer[1]


def test_a_minimum_of_nothing_is_no_success_and_two_md5s_of_a_file_stay_open(tmp_path: Path) -> None:
    folder = dumps(tmp_path / "pc")
    assert compare(folder, f"{md5(b'a')}  somebody_else.bin\n", "--min-coverage", "0")[0] == 3
    twice = rows(FORMS[0]) + f"{md5(b'again')}  output_conv_out.bin\n"
    assert compare(folder, twice, "--min-coverage", "0")[0] == 3


def test_files_of_the_board_alone_are_counted_and_a_csv_has_every_file(tmp_path: Path) -> None:
    more = rows(FORMS[0]) + f"{md5(b'q')}  later_out.bin\n{md5(bytes(100))}  input_data_shape_1_5_5_4.bin\n"
    code, text = compare(dumps(tmp_path / "pc"), more)
    assert code == 0 and "all 3 files are equal by md5; 1 of 5 files of the list have no partner" in text
    code, text = compare(tmp_path / "pc", more, "--csv")
    assert code == 0 and text.startswith("name,verdict,file_md5_board,file_md5_reference\n")
    assert f"output_conv,equal,{md5(b'12345')},{md5(b'12345')}\n" in text


@pytest.mark.parametrize("option", ["--policy", "--graph", "--map", "--map-template", "--stage", "--toolchain"])
def test_options_that_a_list_leaves_without_effect_are_refused(option: str, tmp_path: Path) -> None:
    (tmp_path / "sums.txt").write_text(rows(FORMS[0]))
    words = ["compare", str(dumps(tmp_path / "pc")), str(tmp_path / "sums.txt"), option, "nope", "--no-isolate"]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 2 and option in result.stderr and "--no-isolate" in result.stderr
    assert not Path("nope").exists()
