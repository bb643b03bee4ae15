"""A run as a Chrome trace, which Perfetto, chrome://tracing and speedscope open.

The rules that the readers have, not the format: slices of one thread nest or are apart, an `X` without `dur` and a
counter without a number are dropped, NaN makes the file unreadable. Ends are computed in whole nanoseconds, so that
rounding makes no overlap.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.records import OpTime, Run, SensorSample
from harness.report.exporting import Exporter
from harness.report.private import without_private
from harness.report.values import Row, shortened

BOARD, HOST = 1, 2  # processes
_FRAMES, _FIRST_UNIT = 1, 10  # threads of the board
_WAIT = "wait"
_BOUNDARY = ("quantize", "dequantize", "layout", "pre")
_SYNTHETIC = "times of ops are means of all frames, laid end to end; no tool told when each began"


@dataclass(frozen=True)
class _Slice:
    name: str
    start_ns: int
    end_ns: int
    category: str
    args: Mapping[str, object]


def export(run: Run) -> str:
    """The trace as JSON: the ops of one frame by unit, the frames, what the board sensed, the steps on the PC."""
    from harness.report.tables.run import tables

    data = tables(run)
    events = [*_names(run), *_one_frame(run, data), *_frames(run), *_steps(run), *_sensed(run)]
    held = {
        "traceEvents": [*_timeless(events), *_in_order(events)],
        "displayTimeUnit": "ms",
        "metadata": {
            "harness_run": data["run"]["id"],
            "harness_verdict": data["headline"]["title"],
            "harness_order": "synthetic",
            "harness_note": _SYNTHETIC,
            "harness_times": _origin_of_times(run),
        },
    }
    return json.dumps(without_private(held, run), ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"


def _origin_of_times(run: Run) -> str:
    if run.profile is None:
        return "no profile was made"
    return "measured" if not run.profile.estimated else run.profile.simulator or "estimated, not measured"


def _timeless(events: Sequence[Row]) -> list[Row]:
    return [event for event in events if event["ph"] == "M"]


def _in_order(events: Sequence[Row]) -> list[Row]:
    """By time, the longer first where two begin together: readers nest in this order."""
    timed = [event for event in events if event["ph"] != "M"]
    return sorted(timed, key=lambda event: (event["ts"], -event.get("dur", 0)))


def _names(run: Run) -> Iterator[Row]:
    board = " ".join(part for part in (run.board.name, f"({run.board.soc})" if run.board.soc else "") if part)
    yield from _named("process_name", BOARD, 0, shortened(board or "board"))
    yield from _named("process_name", HOST, 0, "this PC")
    yield from _named("thread_name", BOARD, _FRAMES, "frames")
    yield from _named("thread_name", HOST, _FRAMES, "steps")
    for place, unit in enumerate(_units(run)):
        yield from _named("thread_name", BOARD, _FIRST_UNIT + place, unit or "no unit told")


def _named(what: str, process: int, thread: int, name: str) -> Iterator[Row]:
    yield {"ph": "M", "name": what, "pid": process, "tid": thread, "args": {"name": name}}
    sort = what.replace("name", "sort_index")
    yield {"ph": "M", "name": sort, "pid": process, "tid": thread, "args": {"sort_index": thread or process}}


def _units(run: Run) -> list[str]:
    return list(dict.fromkeys(op.unit for op in _ops(run)))


def _ops(run: Run) -> list[OpTime]:
    """In the order that the profiler tells, or that its list has; waiting is no op."""
    ops = [op for op in run.profile.ops if op.category != _WAIT] if run.profile else []
    placed = [(op.index, op) for op in ops if op.index is not None]
    return [op for _, op in sorted(placed, key=lambda pair: pair[0])] if len(placed) == len(ops) else ops


def _one_frame(run: Run, data: Row) -> Iterator[Row]:
    """One thread a unit. An arrow leads from the last op of a unit to the first of the next."""
    standings = {row["name"]: row for row in (data["time"]["ops"] if data["time"] else [])}
    threads = {unit: _FIRST_UNIT + place for place, unit in enumerate(_units(run))}
    before: tuple[int, _Slice] | None = None
    flows = 0
    for op, piece in _laid(_ops(run), standings):
        thread = threads[op.unit]
        yield _whole(piece, BOARD, thread)
        if before and before[0] != thread and piece.end_ns > piece.start_ns and before[1].end_ns > before[1].start_ns:
            flows += 1
            yield from _arrow(flows, before, (thread, piece))
        before = (thread, piece)
    if run.profile and run.profile.ops:
        yield {"ph": "i", "s": "g", "name": _SYNTHETIC, "pid": BOARD, "tid": _FRAMES, "ts": 0, "cat": "note"}


def _laid(ops: Iterable[OpTime], standings: Mapping[str, Row]) -> Iterator[tuple[OpTime, _Slice]]:
    at_ns = 0
    for op in ops:
        end_ns = at_ns + max(0, _ns(op.mean_us))
        row = standings.get(op.name, {})
        args = {"kind": op.kind, "unit": op.unit, "estimated": op.estimated, **_figures(row)}
        category = "boundary" if op.category in _BOUNDARY else "op"
        yield op, _Slice(shortened(op.name) or "[no name]", at_ns, end_ns, category, args)
        at_ns = end_ns


def _figures(row: Row) -> Row:
    return {key: row[key] for key in ("share", "standing", "min_us", "max_us") if row.get(key) not in (None, "")}


def _ns(time_us: float) -> int:
    """Whole nanoseconds; 0 for what is no number."""
    return round(time_us * 1000) if time_us == time_us and abs(time_us) < 1e15 else 0


def _whole(piece: _Slice, process: int, thread: int) -> Row:
    return {
        "ph": "X",
        "name": piece.name,
        "cat": piece.category,
        "pid": process,
        "tid": thread,
        "ts": piece.start_ns / 1000,
        "dur": (piece.end_ns - piece.start_ns) / 1000,
        "args": dict(piece.args),
    }


def _arrow(number: int, source: tuple[int, _Slice], target: tuple[int, _Slice]) -> Iterator[Row]:
    common = {"id": number, "cat": "handover", "name": "next unit", "pid": BOARD}
    inside_ns = source[1].end_ns - 1  # a flow binds to the slice that is open at its time, and ends are open
    yield {"ph": "s", **common, "tid": source[0], "ts": inside_ns / 1000}
    yield {"ph": "f", "bp": "e", **common, "tid": target[0], "ts": target[1].start_ns / 1000}


def _frames(run: Run) -> Iterator[Row]:
    """Frame by frame where the tool tells them, else the usual one."""
    if run.profile is None:
        return
    samples = run.profile.latency.samples_us
    named = [(f"frame {place}", time_us) for place, time_us in enumerate(samples)]
    at_ns = 0
    for name, time_us in named or [("a frame, mean", run.profile.latency.mean_us)]:
        end_ns = at_ns + max(0, _ns(time_us))
        yield _whole(_Slice(name, at_ns, end_ns, "frame", {}), BOARD, _FRAMES)
        at_ns = end_ns


def _steps(run: Run) -> Iterator[Row]:
    at_ns = 0
    for step, seconds in run.timings_s.items():
        end_ns = at_ns + max(0, _ns(seconds * 1e6))
        yield _whole(_Slice(shortened(step), at_ns, end_ns, "step", {}), HOST, _FRAMES)
        at_ns = end_ns


def _sensed(run: Run) -> Iterator[Row]:
    """Counters of what the board told of itself, on the clock of the whole run."""
    samples = [sample for sample in run.telemetry.samples if sample.t_s is not None]
    if not samples:
        return
    first_s = min(sample.t_s or 0.0 for sample in samples)
    for sample in samples:
        for name, values in _tracks(sample):
            numbers = {shortened(key): value for key, value in values.items() if _is_number(value)}
            if numbers:
                at_us = _ns(((sample.t_s or 0.0) - first_s) * 1e6) / 1000
                yield {"ph": "C", "name": name, "cat": "sensors", "pid": BOARD, "ts": at_us, "args": numbers}


def _tracks(sample: SensorSample) -> Iterator[tuple[str, Mapping[str, object]]]:
    yield "temperature C", sample.temperatures_c
    yield "clock MHz", sample.clocks_mhz
    yield "load %", sample.load_percent
    yield "voltage mV", sample.voltages_mv


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


ENTRY = Exporter("a trace for Perfetto, chrome://tracing and speedscope", export)
