"""Good, unknown, bad, maintenance: what moves a board from one to the next, and what is kept."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from harness.boards import health as h


def test_trouble_twice_in_a_row_is_bad_even_with_a_clean_check_in_between() -> None:
    board = h.after_check(h.Health(), "", 2)
    assert board.word == "good"
    board = h.after_trouble(board, "link: gone")
    assert (board.word, board.reason, board.troubles) == ("unknown", "link: gone", 1)
    board = h.after_check(board, "", 2)
    assert (board.word, board.troubles) == ("good", 1)
    assert h.after_trouble(h.after_job(board), "again").word == "unknown"
    assert h.after_trouble(board, "again").word == "bad"


def test_a_failed_check_is_bad_until_enough_clean_ones_in_a_row() -> None:
    board = h.after_check(h.Health(), "differs", 2)
    assert (board.word, board.reason) == ("bad", "health check: differs")
    once = h.after_check(board, "", 2)
    assert (once.word, once.clean_checks) == ("bad", 1)
    assert h.after_check(once, "", 2).word == "good"
    again = h.after_check(once, "differs", 2)
    assert (again.word, again.clean_checks) == ("bad", 0)
    assert h.after_check(h.after_check(board, "", 1), "", 1).word == "good"


def test_only_a_person_ends_maintenance() -> None:
    board = h.in_maintenance("new fan")
    assert (board.word, board.reason) == ("maintenance", "new fan")
    assert board.by
    assert h.after_trouble(board, "x") == board
    assert h.after_check(board, "", 1) == board
    assert h.cleared().word == "unknown"


def test_health_is_kept_and_maintenance_of_a_person_is_not_written_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert h.load_health("x5-01").word == "unknown"
    good = h.after_check(h.load_health("x5-01"), "", 1)
    assert h.save_health("x5-01", good) == good == h.load_health("x5-01")
    h.save_health("x5-01", h.in_maintenance("new fan"), by_hand=True)
    assert h.save_health("x5-01", good).word == "maintenance"
    assert h.load_health("x5-01").word == "maintenance"
    assert h.save_health("x5-01", h.cleared(), by_hand=True).word == "unknown"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"word": "splendid"}', '{"word": 3}', '{"word": "good", "troubles": "x"}']
)
def test_a_damaged_file_is_a_board_that_nobody_knows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    h.save_health("x5-01", h.Health("good"))
    (path,) = tmp_path.rglob("x5-01.json")
    path.write_text(text)
    loaded = h.load_health("x5-01")
    assert loaded.word in ("unknown", "good")
    assert loaded.troubles == 0


def test_workers_keep_the_health_of_many_boards_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    threads = [threading.Thread(target=h.save_health, args=(f"b{n}", h.Health("good", str(n)))) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [h.load_health(f"b{n}").reason for n in range(40)] == [str(n) for n in range(40)]


def test_a_board_is_used_only_while_the_nights_process_lives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from harness.runs.folder import claimed

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    night = tmp_path / "night"
    night.mkdir()
    h.save_use("x5-01", h.BoardUse("s/1", "case", "", 3, str(night)))
    assert h.load_use("x5-01") is None
    with claimed(night):
        use = h.load_use("x5-01")
        assert use is not None
        assert (use.case, use.waiting) == ("case", 3)
    h.save_use("x5-01", None)
    h.save_use("x5-01", None)
    assert h.load_use("x5-01") is None
