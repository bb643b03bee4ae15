"""One pair over its nights: latency with levels, epochs and alarms, and since when its layers are what they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, pairwise
from statistics import median

from harness.names import safe_name
from harness.records.nights.history import AcceptedLevel, EpochOfPair, HistoryEntry, LayerTurn
from harness.regressions.change_points import change_points
from harness.regressions.finding import can_find
from harness.regressions.series import NightPoint
from harness.report.page import filled
from harness.report.values import Row

HEIGHT_PX, TOP_PX, STRIP_PX = 260, 14, 300
MOST_NIGHTS = 120
ALARMS = {
    "confirmed": "confirmed in one sitting: ticket",
    "known": "known since an earlier night",
    "lasting": "it lasted with the same model: the board",
    "noise": "not confirmed: noise",
    "waiting": "the same model: waited for more nights",
    "unconfirmed": "no sitting",
}


def trend_file(case: str, board: str) -> str:
    """The name of the page of a pair, beside others of its night."""
    return f"{safe_name(case)}.{safe_name(board)}.html"


def render_trend(
    entries: Sequence[HistoryEntry],
    epochs: Sequence[EpochOfPair],
    turns: Sequence[LayerTurn],
    version: str,
    accepted: Sequence[AcceptedLevel] = (),
) -> str:
    """The page of a pair's results, oldest first (at least one). Pure: the same results give the same bytes."""
    shown = list(entries[-MOST_NIGHTS:])
    data = {
        "case": shown[-1].case,
        "board": shown[-1].board,
        "results": len(shown),
        "left_out": len(entries) - len(shown),
        "newest": shown[-1],
        "drawing": _drawing(shown, epochs, accepted),
        "events": _events(shown, epochs, turns, accepted),
        "can_find": can_find([point for one in entries if (point := _point(one))], accepted),
        "rows": [_row(one) for one in reversed(shown)],
        "version": version,
    }
    return filled("report/trend.html.j2", data=data)


def _row(one: HistoryEntry) -> Row:
    return {**vars(one), "outcome": ALARMS.get(one.alarm, ""), "day": one.started_utc[:10]}


# --------------------------------------------------------------------------- the drawing


def _point(one: HistoryEntry) -> NightPoint | None:
    if not one.night or one.median_us is None or one.word in ("", "unmeasured"):
        return None
    return NightPoint(one.night, one.median_us, one.epoch, one.model_md5, one.word, one.alarm)


def _drawing(
    entries: Sequence[HistoryEntry], epochs: Sequence[EpochOfPair], accepted: Sequence[AcceptedLevel]
) -> Row | None:
    """Percent across, pixels down. None where no night gave a latency."""
    values = [one.median_us for one in entries if one.median_us is not None]
    if not values:
        return None
    low, high = min(values), max(values)
    room = max(0.15 * (high - low), 0.01 * high)
    low, high = low - room, high + room

    def y_px(value_us: float) -> float:
        return round(TOP_PX + (high - value_us) / (high - low) * HEIGHT_PX, 1)

    ticks = [low + (high - low) * share for share in (0.1, 0.5, 0.9)]
    return {
        "height": STRIP_PX + 40,
        "dots": [_dot(entries, place, y_px) for place in range(len(entries))],
        "levels": list(_levels(entries, y_px)),
        "epochs": list(_bands(entries, epochs)),
        "layers": list(_layer_strip(entries)),
        "accepted": list(_accepted(entries, accepted)),
        "ticks": [{"y": y_px(tick), "us": tick} for tick in ticks],
        "strip": STRIP_PX,
        "first": entries[0].started_utc[:10],
        "last": entries[-1].started_utc[:10],
        "bottom": TOP_PX + HEIGHT_PX,
    }


def _x(entries: Sequence[HistoryEntry], place: float) -> float:
    return round(1.5 + 97 * (place + 0.5) / len(entries), 3)


def _dot(entries: Sequence[HistoryEntry], place: int, y_px: Callable[[float], float]) -> Row:
    one = entries[place]
    kind = "invalid"
    if one.median_us is not None and one.word != "unmeasured":
        kind = {"slower": "ticket", "faster": "ticket"}.get(one.word, "alarm" if one.alarm else "night")
    title = f"{one.started_utc[:10]}: {one.word or one.consistency}"
    title += "" if one.median_us is None else f", {one.median_us:.0f} µs"
    title += f", {ALARMS[one.alarm]}" if one.alarm in ALARMS else f" ({one.reason})" if one.reason else ""
    y = y_px(one.median_us) if one.median_us is not None else TOP_PX + HEIGHT_PX + 10
    return {"x": _x(entries, place), "y": y, "kind": kind, "title": title}


def _levels(entries: Sequence[HistoryEntry], y_px: Callable[[float], float]) -> list[Row]:
    """Levels between change points, in every epoch."""
    lines: list[Row] = []
    timed = [(place, one) for place, one in enumerate(entries) if one.median_us is not None]
    for _, group in groupby(timed, lambda pair: pair[1].epoch):
        nights = list(group)
        values = [one.median_us or 0.0 for _, one in nights]
        edges = [0, *(point.index for point in change_points(values)), len(values)]
        for first, last in pairwise(edges):
            level = median(values[first:last])
            ends = _x(entries, nights[first][0] - 0.4), _x(entries, nights[last - 1][0] + 0.4)
            lines.append({"x1": ends[0], "x2": ends[1], "y": y_px(level), "us": level})
    return lines


def _bands(entries: Sequence[HistoryEntry], epochs: Sequence[EpochOfPair]) -> list[Row]:
    """Where each epoch begins and ends among the results that are shown."""
    bands: list[Row] = []
    by_key = {(one.epoch, one.first_utc): one for one in epochs}
    for key, group in groupby(enumerate(entries), lambda pair: pair[1].epoch):
        places = [place for place, _ in group]
        epoch = by_key.get((key, entries[places[0]].started_utc))
        changed = epoch.changed if epoch is not None else ()
        x1, x2 = _x(entries, places[0] - 0.5), _x(entries, places[-1] + 0.5)
        bands.append({"x": x1, "width": round(x2 - x1, 3), "changed": ", ".join(changed), "odd": len(bands) % 2})
    return bands


def _accepted(entries: Sequence[HistoryEntry], accepted: Sequence[AcceptedLevel]) -> Iterator[Row]:
    """Where each accepted level begins among the results that are shown."""
    places = {one.night: place for place, one in enumerate(entries) if one.night}
    for one in accepted:
        if one.night in places:
            yield {"x": _x(entries, places[one.night] - 0.5), "title": f"accepted by {one.by or 'hand'}: {one.reason}"}


def _layer_strip(entries: Sequence[HistoryEntry]) -> list[Row]:
    """One square a result: whether its layers are what they were in the result before."""
    squares: list[Row] = []
    before = ""
    for place, one in enumerate(entries):
        kind = "none" if not one.layers else "same" if one.layers == before or not before else "other"
        before = one.layers or before
        width = round(0.8 * 97 / len(entries), 3)
        squares.append({"x": round(_x(entries, place) - width / 2, 3), "width": width, "kind": kind})
    return squares


# --------------------------------------------------------------------------- events


def _events(
    entries: Sequence[HistoryEntry],
    epochs: Sequence[EpochOfPair],
    turns: Sequence[LayerTurn],
    accepted: Sequence[AcceptedLevel],
) -> list[Row]:
    """Newest first: alarms with their outcome, epochs, layers that changed."""
    events = [
        {"utc": one.started_utc[:10], "what": f"alarm: {'suspected' if one.word == 'pass' else one.word}",
         "percent": one.percent, "outcome": ALARMS[one.alarm] + _figures(one)}
        for one in entries if one.alarm in ALARMS
    ]  # fmt: skip
    events += [
        {
            "utc": one.first_utc[:10],
            "what": f"epoch: {', '.join(one.changed)}",
            "percent": None,
            "outcome": "a new level",
        }
        for one in epochs
        if one.changed
    ]
    by_night = {one.night: one for one in entries}
    events += [
        {
            "utc": by_night[one.night].started_utc[:10],
            "what": "accepted as the new level",
            "percent": by_night[one.night].percent,
            "outcome": f"by {one.by or 'hand'}: {one.reason}",
        }
        for one in accepted
        if one.night in by_night
    ]
    for turn in turns:
        more = f" and {turn.layers_changed - 1} more layers" if turn.layers_changed > 1 else ""
        changed = ", ".join(turn.changed) or "nothing that is known"
        what = f"layer {turn.layer}{more} changed its hash"
        events.append(
            {"utc": turn.first.started_utc[:10], "what": what, "percent": None, "outcome": f"with it: {changed}"}
        )
    return sorted(events, key=lambda event: str(event["utc"]), reverse=True)


def _figures(one: HistoryEntry) -> str:
    if one.sitting_percent is None or one.sitting_p is None:
        return ""
    return f" ({one.sitting_percent:+.1f} % side by side, p {one.sitting_p:.2g})"
