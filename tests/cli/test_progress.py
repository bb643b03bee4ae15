"""The progress line: at every width one line, gone at the end, and nothing of it where nobody sees it."""

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

from harness.cli.progress import line_of
from harness.cli.tables import width_of

WORK = """
from harness.cli.progress import progress
with progress("a label") as step:
    step("pushing \\x1b[31mnet.bin", 0, 4_000_000)
    step("pushing \\x1b[31mnet.bin", 4_000_000, 4_000_000)
    step("computing", 0, -1)
print("the answer")
"""


def ran(columns: int, work: str = WORK, **environment: str) -> str:
    """What `work` writes on a terminal of that many columns."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    kept = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "HARNESS_PROGRESS")}
    process = subprocess.Popen(
        [sys.executable, "-c", work], stdout=follower, stderr=follower, env=kept | {"TERM": "xterm"} | environment
    )
    os.close(follower)
    parts = []
    try:
        while part := os.read(leader, 65536):
            parts.append(part)
    except OSError:  # the other side is closed
        pass
    os.close(leader)
    assert process.wait(timeout=60) == 0
    return b"".join(parts).decode()


@pytest.mark.parametrize("columns", [20, 80])
def test_a_terminal_shows_one_line_that_is_gone_at_the_end(columns: int) -> None:
    shown = ran(columns)
    head, answer = shown.rsplit("\r\x1b[K", 1)
    drawn = [line for line in head.split("\r\x1b[K") if line]
    assert answer == "the answer\r\n" and "\n" not in head and "\x1b[31m" not in head
    assert drawn[0] == "a label" and drawn[-1] == "computing" and all(width_of(line) < columns for line in drawn)
    assert ("4.0 of 4.0 MB" in drawn[2]) is (columns == 80)


def test_a_terminal_that_cannot_go_back_gets_plain_lines_where_they_are_asked_for() -> None:
    assert ran(80, TERM="dumb") == "the answer\r\n"
    assert "computing\r\nthe answer" in ran(80, TERM="dumb", HARNESS_PROGRESS="plain")


def test_a_line_that_stays_is_above_the_progress_line() -> None:
    work = """
from harness.cli.progress import above, progress
with progress("night") as step:
    step("1 of 2 pairs", 0, -1)
    above("b1: layers: pass\\x1b[31m")
    step("2 of 2 pairs", 0, -1)
above("complete")
"""
    parts = ran(80, work).split("\r\x1b[K")
    assert parts == ["", "night", "1 of 2 pairs", "b1: layers: pass\\x1b[31m\r\n", "2 of 2 pairs", "complete\r\n"]


def test_a_pipe_gets_the_answer_alone() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "HARNESS_PROGRESS"}
    result = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, env=environment, check=True)
    assert (result.stdout, result.stderr) == ("the answer\n", "")


def test_bytes_have_a_speed_and_things_are_counted() -> None:
    assert line_of("pushing", (1_000_000, 4_000_000), 2.0, 100).split("  ")[2:] == [
        "1.0 of 4.0 MB", "0.5 MB/s", "0:06 left",
    ]  # fmt: skip
    assert line_of("reference", (1, 4), 2.0, 100).split("  ")[2:] == ["1 of 4", "0:06 left"]
    assert line_of("computing", (0, -1), 2.0, 100) == "computing"


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=("C",)), max_size=80),
    st.integers(-5, 10**12),
    st.integers(-1, 10**12),
    st.floats(0, 1e6),
    st.integers(1, 120),
)
def test_whatever_is_done_it_is_one_line_that_fits(
    what: str, completed: int, total: int, took_s: float, wide: int
) -> None:
    line = line_of(what, (completed, total), took_s, wide)
    assert width_of(line) <= wide and "\n" not in line
