"""Latency against throughput, a mark per setting; pure geometry in one box of WIDTH x HEIGHT units."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.report.values import Row, plain, time_us

WIDTH, HEIGHT = 720, 380
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 18, 44
MARK = 5  # half a mark
LETTER, LINE = 7.2, 12  # of the numbers beside the marks
MOST_TICKS = 7


def sweep_drawing(sweep: Row | None) -> Row | None:
    """Marks with their numbers, both axes from 0, lines of the goal, the front from left to right; None without points.

    A number that finds no free place is left out: the table and the mark's title have it too.
    """
    shown = [row for row in (sweep or {}).get("points", ()) if row["usual_us"] is not None and row["fps"] is not None]
    if sweep is None or not shown:
        return None
    across = PlotAxis([row["usual_us"] for row in shown] + _known(sweep["latency_us"]), LEFT, WIDTH - RIGHT)
    up = PlotAxis([row["fps"] for row in shown] + _known(sweep["fps"]), HEIGHT - BOTTOM, TOP)
    marks = [_mark(row, across, up) for row in shown]
    front = sorted((mark for mark in marks if mark["front"]), key=lambda mark: mark["x"])
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "marks": _numbered(marks),
        "front": " ".join(f"{mark['x']},{mark['y']}" for mark in front),
        "x_ticks": [{"x": across.at(value), "text": time_us(value)} for value in across.ticks],
        "y_ticks": [{"y": up.at(value), "text": plain(value)} for value in up.ticks],
        "x_goal": across.at(sweep["latency_us"]) if sweep["latency_us"] is not None else None,
        "y_goal": up.at(sweep["fps"]) if sweep["fps"] is not None else None,
        "box": {"x": LEFT, "y": TOP, "right": WIDTH - RIGHT, "bottom": HEIGHT - BOTTOM},
    }


def _known(value: float | None) -> list[float]:
    return [] if value is None else [value]


class PlotAxis:
    """From values to places, from 0 to a little above the largest."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self.most = max([*values, 1e-9]) * 1.08
        self.start, self.end = start, end

    def at(self, value: float) -> float:
        """The place of a value, to a tenth of a unit."""
        return round(self.start + (self.end - self.start) * value / self.most, 1)

    @property
    def ticks(self) -> list[float]:
        """0 and up, in steps of 1, 2 or 5 times a power of ten."""
        rough = self.most / (MOST_TICKS - 1)
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
        return [step * place for place in range(int(self.most / step) + 1)]


def _mark(row: Row, across: PlotAxis, up: PlotAxis) -> Row:
    kind = "best" if row["best"] else "failed" if row["failure"] else "front" if row["is_on_front"] else "other"
    title = f"{row['number']}: {row['label']}: {time_us(row['usual_us'])}, {plain(row['fps'])} frames/s"
    return {
        "x": across.at(row["usual_us"]),
        "y": up.at(row["fps"]),
        "kind": kind,
        "front": row["is_on_front"],
        "number": plain(row["number"]),
        "title": title + (" (estimated)" if row["estimated"] else ""),
    }


def _numbered(marks: list[Row]) -> list[Row]:
    """Each mark with the place of its number ("label"), where one is free of other numbers and marks."""
    taken = [(m["x"] - MARK, m["y"] - MARK, m["x"] + MARK, m["y"] + MARK) for m in marks]
    order = sorted(range(len(marks)), key=lambda n: ("best", "front", "other", "failed").index(marks[n]["kind"]))
    placed: dict[int, Row] = {}
    for n in order:
        wide = LETTER * len(marks[n]["number"])
        for x, y in _beside(marks[n], wide):
            box = (x, y - LINE, x + wide, y)
            if _is_inside(box) and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                placed[n] = {"x": round(x, 1), "y": round(y - 2, 1)}
                break
    return [mark | {"label": placed.get(n)} for n, mark in enumerate(marks)]


def _beside(mark: Row, wide: float) -> list[tuple[float, float]]:
    """Places for the lower left corner of a number: right, left, above, below, and the corners."""
    x, y, gap = mark["x"], mark["y"], MARK + 3
    across = (x + gap, x - gap - wide, x - wide / 2)
    return [
        (across[0], y + LINE / 2), (across[1], y + LINE / 2), (across[2], y - gap), (across[2], y + gap + LINE),
        (across[0], y - gap), (across[1], y - gap), (across[0], y + gap + LINE), (across[1], y + gap + LINE),
    ]  # fmt: skip


Box = tuple[float, float, float, float]


def _is_inside(box: Box) -> bool:
    return box[0] >= LEFT and box[2] <= WIDTH and box[1] >= 0 and box[3] <= HEIGHT - BOTTOM


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
