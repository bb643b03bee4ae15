"""Which rows of a long table fold into one line, and what that line says: what is fine stands aside."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.report.values import Row, number, plain, share, shortened

EARLY_ROWS = 200  # of a very long table: rows that stand in the page as rows
_LATE_FROM = 1000  # rows of a table that is very long
MIN_ROWS = 4  # fewer rows stay as they are: a line that opens would save nothing
_MOST_OPS = 12  # slowest ops that stay open
_SHARE_OF_OPS = 0.9  # of the time of all ops: what is beyond stays open only where it is not right
_FINE = ("exact", "within", "")

# Beside the first row of a fold: {"count", "words"}, how many rows and what their line says.
Fold = Row | None


def late_rows(folds: Sequence[Fold]) -> Row:
    """Which rows of a very long table a browser takes as text at first: {"first", "last", "rows", "lines"}.

    `first` is None where the table is not that long; rows from `last` on, which stand behind all folds, are rows again;
    `lines` are those that the rows between take while their folds are closed.
    """
    if len(folds) <= _LATE_FROM:
        return {"first": None, "last": None, "rows": 0, "lines": 0}
    lines = _lines(folds)
    tail = next((n for n, is_line in enumerate(reversed(lines)) if not is_line), len(lines))
    last = len(folds) - tail if 0 < tail <= EARLY_ROWS else None
    aside = slice(EARLY_ROWS, last)
    return {"first": EARLY_ROWS, "last": last, "rows": len(folds[aside]), "lines": sum(lines[aside])}


def _lines(folds: Sequence[Fold]) -> list[bool]:
    """Whether a row is a line of its own, or the first of a fold, which is one."""
    lines, inside = [], 0
    for fold in folds:
        inside = fold["count"] if fold else inside
        lines.append(fold is not None or not inside)
        inside = max(0, inside - 1)
    return lines


def layer_folds(layers: Sequence[Row]) -> list[Fold]:
    """Runs of exact layers. The network's outputs and rows with a note stay open."""
    return _folds(layers, lambda row: row["standing"] == "exact" and not row["note"] and not row["is_output"], _exact)


def _exact(rows: Sequence[Row]) -> str:
    names = f"{shortened(rows[0]['name'], 50)} to {shortened(rows[-1]['name'], 50)}"
    return f"{plain(len(rows))} exact layers: {names}"


def op_folds(ops: Sequence[Row]) -> list[Fold]:
    """The tail of the ops, slowest first: each small, and none of them wrong."""
    open_rows, seen = 0, 0.0
    while open_rows < min(len(ops), _MOST_OPS) and seen < _SHARE_OF_OPS:
        seen += number(ops[open_rows]["share"]) or 0.0
        open_rows += 1
    tail = {id(row) for row in ops[open_rows:] if row["standing"] in _FINE}
    return _folds(ops, lambda row: id(row) in tail, _tail)


def _tail(rows: Sequence[Row]) -> str:
    shares = [number(row["share"]) for row in rows]
    known = [one for one in shares if one is not None]
    together = f", together {share(sum(known))} of all ops" if len(known) == len(rows) else ""
    return f"{plain(len(rows))} faster ops{together}"


def node_folds(nodes: Sequence[Row]) -> list[Fold]:
    """Nodes of the plan that ran where they were planned, as far as the board tells, and gave no wrong value."""
    fine = _FINE if any(node["moved"] for node in nodes) else (*_FINE, "not_compared")
    return _folds(nodes, lambda row: not row["moved"] and row["standing"] in fine, _placed)


def _placed(rows: Sequence[Row]) -> str:
    return f"{plain(len(rows))} nodes that did not move"


def _folds(rows: Sequence[Row], folds: Callable[[Row], bool], say: Callable[[Sequence[Row]], str]) -> list[Fold]:
    """One entry per row; folds are runs of at least MIN_ROWS rows."""
    row_folds: list[Fold] = [None] * len(rows)
    begin = 0
    while begin < len(rows):
        end = begin
        while end < len(rows) and folds(rows[end]):
            end += 1
        if end - begin >= MIN_ROWS:
            row_folds[begin] = {"count": end - begin, "words": say(rows[begin:end])}
        begin = max(end, begin + 1)
    return row_folds


def constant(rows: Sequence[Row], keys: Sequence[str]) -> dict[str, str]:
    """Columns that hold one value in every row (of at least two), with that value: said once, not in every row."""
    if len(rows) < 2:
        return {}
    first = rows[0]
    return {key: str(first[key] or "") for key in keys if all(row[key] == first[key] for row in rows)}


_SMALL_SHARE = 0.01


def tiles_of(time: Row, exceeds: bool) -> Row:
    """Parts of the time as tiles: those below one percent of end to end are one tile, where there are two at least.

    `all_estimated`: end to end and every part are estimates, so that the mark on end to end stands for all.
    """
    parts = [part for part in time.get("split", []) if part["is_unit"] or (part["time_us"] or 0) > 0]
    latency: Row = time.get("latency") or {}
    is_whole = bool(time.get("estimated")) and latency.get("mean_us") is not None
    small = [] if exceeds else [part for part in parts if _is_small(part)]
    small = small if len(small) > 1 else []
    return {
        "parts": [part for part in parts if part not in small],
        "small": small,
        "small_us": sum(part["time_us"] for part in small),
        "small_share": sum(part["share"] for part in small),
        "small_estimated": any(part["estimated"] for part in small),
        "all_estimated": is_whole and all(part["estimated"] for part in parts),
    }


def _is_small(part: Row) -> bool:
    figure, time_us = number(part["share"]), number(part["time_us"])
    return figure is not None and 0 <= figure < _SMALL_SHARE and time_us is not None
