"""The index of a night: one sentence, tickets and incidents apart, the matrix that links every report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from urllib.parse import quote

from harness.records.nights import CELL_WORDS, BoardOfNight, Cell, Night
from harness.report.nights.trends import trend_file
from harness.report.page import filled
from harness.report.values import Row

MARKS = {
    "pass": "=",
    "faster": "\u2193",
    "new": "+",
    "slower": "\u2191",
    "differs": "\u2260",
    "unmeasured": "\u2205",
    "": "\u2026",
}
MOST_COLUMNS = 40  # of boards; with more of them the matrix is turned
LANE_PX = 18
TRENDS = "trends"  # the folder of trend pages, beside the page


def render_night(night: Night, trends: Collection[str] = ()) -> str:
    """The whole page. Pure: the same night gives the same bytes. `trends`: files of trend pages that are beside it."""
    return filled("report/night.html.j2", data=night_tables(night, trends))


def night_tables(night: Night, trends: Collection[str] = ()) -> Row:
    """What the page shows."""
    boards = list(dict.fromkeys(cell.board for cell in night.cells))
    cases = list(dict.fromkeys(cell.case for cell in night.cells))
    by_place = {(cell.case, cell.board): cell for cell in night.cells}
    turned = len(boards) > MOST_COLUMNS and len(cases) < len(boards)
    columns, lines = (cases, boards) if turned else (boards, cases)
    rows = [
        {
            "name": line,
            "cells": [_cell(by_place.get((column, line) if turned else (line, column))) for column in columns],
        }
        for line in lines
    ]
    counts = Counter(cell.word for cell in night.cells)
    return {
        "id": night.id,
        "suite": night.suite,
        "state": night.state,
        "started_utc": night.started_utc,
        "duration_s": night.duration_s,
        "sentence": night.sentence,
        "tone": _tone(night),
        "version": night.harness_version,
        "counts": [{"word": word or "waiting", "count": counts[word]} for word in (*CELL_WORDS, "") if counts[word]],
        "tickets": [_ticket(night, place) for place in range(len(night.tickets))],
        "incidents": [vars(one) for one in night.incidents],
        "votes": [{**vars(one), "vote": one.vote} for one in night.votes if not one.vote.agree],
        "columns": columns,
        "rows": rows,
        "turned": turned,
        "unmeasured": [_cell(cell) for cell in night.cells if cell.word == "unmeasured"],
        "latencies": [
            {**_cell(cell), "trend": _trend(cell, trends)}
            for cell in night.cells
            if cell.latency is not None and cell.latency.sentence
        ],
        "boards": [_board(night, board) for board in night.boards],
        "left_out": [vars(one) for one in night.left_out],
        "problems": list(night.problems),
        "lanes": _lanes(night, boards),
    }


def _trend(cell: Cell, trends: Collection[str]) -> str:
    """The link to the trend of a pair; "" where there is none."""
    name = trend_file(cell.case, cell.board)
    return f"{TRENDS}/{quote(name)}" if name in trends else ""


def _tone(night: Night) -> str:
    return {0: "good", 1: "bad"}.get(night.exit_code if night.exit_code is not None else 3, "stop")


def _cell(cell: Cell | None) -> Row:
    if cell is None:
        return {"there": False}
    return {
        "there": True,
        "case": cell.case,
        "board": cell.board,
        "word": cell.word or "waiting",
        "mark": MARKS[cell.word],
        "reason": cell.reason.replace("_", " "),
        "detail": cell.detail,
        "blamed": cell.blamed,
        "link": f"{quote(cell.run)}/report.html" if cell.run else "",
        "latency": cell.latency,
    }


def _ticket(night: Night, place: int) -> Row:
    one = night.tickets[place]
    cells = [cell for cell in night.cells if cell.case == one.case and cell.board in one.boards]
    return {**vars(one), "cells": [_cell(cell) for cell in cells], "since": _since(cells)}


def _since(cells: list[Cell]) -> str:
    """Since when the values are other ones, as a sentence; "" where it is not known."""
    first = next((cell.changed for cell in cells if cell.changed is not None), None)
    if first is None:
        return ""
    more = f" and {first.layers - 1} more layers" if first.layers > 1 else ""
    changed = f", with {', '.join(first.changed)}" if first.changed else ""
    return f"{first.layer}{more}: other values since {first.night}{changed}"


def _board(night: Night, board: BoardOfNight) -> Row:
    own = [cell for cell in night.cells if cell.board == board.name]
    counts = Counter(cell.word or "waiting" for cell in own)
    busy_s = sum(cell.duration_s or 0.0 for cell in own)
    return {**vars(board), "counts": ", ".join(f"{n} {word}" for word, n in counts.items()), "busy_s": busy_s}


def _lanes(night: Night, boards: list[str]) -> Row | None:
    """When each board worked on what: percent of the night, a lane a board."""
    timed = [cell for cell in night.cells if cell.began_s is not None and cell.duration_s is not None]
    whole_s = max((float(cell.began_s or 0) + float(cell.duration_s or 0) for cell in timed), default=0.0)
    if not whole_s or len(boards) > 3 * MOST_COLUMNS:
        return None
    lane = {board: place for place, board in enumerate(boards)}
    bars = [
        {
            **_cell(cell),
            "x": round(100 * float(cell.began_s or 0) / whole_s, 3),
            "width": round(max(0.15, 100 * float(cell.duration_s or 0) / whole_s), 3),
            "y": LANE_PX * lane[cell.board],
        }
        for cell in timed
    ]
    return {"bars": bars, "boards": boards, "height": LANE_PX * len(boards), "whole_s": whole_s, "lane": LANE_PX}
