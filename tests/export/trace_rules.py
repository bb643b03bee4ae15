"""What readers of Chrome traces demand, checked by itself: a stack over whole nanoseconds for each thread."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

NEEDS = {
    "X": {"name", "ts", "dur", "pid", "tid"},
    "M": {"name", "args"},
    "C": {"name", "ts", "pid", "args"},
    "i": {"name", "ts", "s"},
    "s": {"id", "cat", "name", "ts", "pid", "tid"},
    "f": {"id", "cat", "name", "ts", "pid", "tid", "bp"},
}


def faults(text: str) -> list[str]:
    """Every rule that a trace breaks, in words."""
    try:
        events = json.loads(text, parse_constant=_no_constant)["traceEvents"]
    except ValueError as error:
        return [f"not JSON: {error}"]
    wrong = [f"{e.get('ph')!r} without {sorted(NEEDS.get(e.get('ph'), {'known ph'}) - set(e))}" for e in events]
    wrong = [text for text, e in zip(wrong, events, strict=True) if NEEDS.get(e.get("ph"), {"ph?"}) - set(e)]
    if wrong:
        return wrong
    return [*_order(events), *_crossings(events), *_counters(events), *_flows(events)]


def _no_constant(name: str) -> None:
    raise ValueError(name)


def ns(value: float) -> int:
    whole = round(value * 1000)
    assert abs(value * 1000 - whole) < 1e-3, f"{value} has more than three decimals"
    return whole


def _order(events: list[dict[str, Any]]) -> list[str]:
    timed = [(ns(e["ts"]), -ns(e.get("dur", 0))) for e in events if e["ph"] != "M"]
    return [] if timed == sorted(timed) else ["not in order of time, the longer first"]


def _slices(events: list[dict[str, Any]]) -> dict[tuple[int, int], list[tuple[int, int]]]:
    threads: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for e in events:
        if e["ph"] == "X":
            threads[e["pid"], e["tid"]].append((ns(e["ts"]), ns(e["ts"]) + ns(e["dur"])))
    return threads


def _crossings(events: list[dict[str, Any]]) -> list[str]:
    wrong = []
    for thread, slices in _slices(events).items():
        open_ends: list[int] = []
        for start, end in slices:
            while open_ends and open_ends[-1] <= start:
                open_ends.pop()
            if open_ends and end > open_ends[-1]:
                wrong.append(f"thread {thread}: a slice crosses the end of another at {open_ends[-1]} ns")
            open_ends.append(end)
    return wrong


def _counters(events: list[dict[str, Any]]) -> list[str]:
    counters = [e for e in events if e["ph"] == "C"]
    return [
        f"counter {e['name']}: {e['args']}"
        for e in counters
        if not e["args"] or not all(isinstance(value, int | float) for value in e["args"].values())
    ]


def _flows(events: list[dict[str, Any]]) -> list[str]:
    slices = _slices(events)
    ends = {kind: {e["id"]: e for e in events if e["ph"] == kind} for kind in "sf"}
    wrong = [f"flow {number} has one end" for number in ends["s"].keys() ^ ends["f"].keys()]
    for e in (*ends["s"].values(), *ends["f"].values()):
        at = ns(e["ts"])
        if not any(start <= at < end for start, end in slices[e["pid"], e["tid"]]):
            wrong.append(f"flow {e['id']}: no slice is open at {at} ns")
    return wrong
