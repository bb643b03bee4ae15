"""Tables of the terminal: whole in a pipe, and at every width without a value lost."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cli.tables import hanging, lines_of, shortened, width_of, wrapped

COLUMNS = ("#", "tensor", "op", "verdict", "why")
ROWS = [
    ["0", "/backbone/stage1/block3/conv/Conv_output_0", "Conv", "ORIGIN", "max step 90 > 1 (integers)"],
    ["117", "/backbone/stage1/block3/act/Sigmoid_output_0", "Sigmoid", "propagated", ""],
]


def printed(limit: int | None, columns: tuple[str, ...] = COLUMNS, rows: list[list[str]] = ROWS) -> list[str]:
    return [line for line, _ in lines_of(columns, rows, ("#",), limit)]


def test_a_program_gets_a_line_per_row() -> None:
    lines = printed(None, rows=[[*ROWS[0][:4], "one line\nand another"], ROWS[1]])
    assert len(lines) == 3 and lines[1].endswith("one line and another")
    assert lines[0].startswith("  #  tensor") and not any(line.endswith(" ") for line in lines)


def test_sentences_are_wrapped_before_a_row_takes_several_lines() -> None:
    lines = printed(95)
    assert [line.split("  ")[-1].strip() for line in lines[1:3]] == ["max step 90 > 1", "(integers)"]
    assert lines[2].strip() == "(integers)"


@pytest.mark.parametrize("limit", [50, 60, 80, 100, 200])
def test_no_value_is_lost_and_no_line_is_longer_than_the_terminal(limit: int) -> None:
    lines = printed(limit)
    words = " ".join(lines).split()
    assert all(word in words for row in ROWS for cell in row for word in cell.split())
    assert max(map(len, lines)) <= limit


def test_only_the_heading_is_one() -> None:
    flags = [heading for _, heading in lines_of(COLUMNS, ROWS, (), 60)]
    assert flags == sorted(flags, reverse=True) and 0 < sum(flags) < len(flags)


def test_columns_of_several_lines_stand_under_each_other() -> None:
    lines = printed(60)
    places = {line.index("verdict") for line in lines if "verdict" in line}
    assert places == {line.index("ORIGIN") for line in lines if "ORIGIN" in line}


@pytest.mark.parametrize(
    ("word", "width", "shown"),
    [
        ("/a/very/long/name/Conv", 11, "/a/ve\u2026/Conv"),
        ("short", 5, "short"),
        ("abcdef", 1, "\u2026"),
        ("\u5377\u79ef\u5c42\u8f93\u51fa", 7, "\u5377\u2026\u8f93\u51fa"),
    ],
)
def test_a_name_longer_than_the_terminal_loses_its_middle(word: str, width: int, shown: str) -> None:
    assert width_of(shortened(word, width)) <= width
    assert len(shortened(word, width)) == len(shown) and shortened(word, width)[-1] == shown[-1]


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=40),
                         min_size=3, max_size=3), max_size=4), st.integers(6, 90))  # fmt: skip
def test_any_text_fits_any_width(rows: list[list[str]], limit: int) -> None:
    assert all(width_of(line) <= limit for line in printed(limit, ("a", "b", "c"), rows))


@given(st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=60), st.integers(2, 30))
def test_a_wrapped_text_keeps_its_width(text: str, width: int) -> None:
    assert all(width_of(line) <= width for line in wrapped(text, width))


def test_long_lines_hang_under_their_label_on_a_real_terminal_and_cut_no_path() -> None:
    text = "report    " + "some words " * 8 + "/a/path/that/is/longer/than/the/line/and/is/copied/report.html"
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 50, 0, 0))
    code = f"from harness.cli.tables import hanging; print(hanging({text!r}, 10))"
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}  # they overrule the terminal
    process = subprocess.Popen([sys.executable, "-c", code], stdout=follower, env=environment)
    assert process.wait(timeout=60) == 0
    os.close(follower)
    lines = os.read(leader, 65536).decode().replace("\r\n", "\n").splitlines()
    os.close(leader)
    assert lines[0].startswith("report    some words") and len(lines) == 4
    assert all(line.startswith(" " * 10) and line[10] != " " for line in lines[1:])
    assert lines[-1].strip() == "/a/path/that/is/longer/than/the/line/and/is/copied/report.html"
    assert hanging(text, 10) == text  # pytest's own output is no terminal


def test_a_table_without_rows_is_its_heading() -> None:
    assert printed(None, rows=[]) == ["#  tensor  op  verdict  why"]
