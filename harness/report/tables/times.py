"""The profile as tables: end to end, its parts, segments in order, ops. Times in microseconds."""

from __future__ import annotations

import math

from harness.profiling.rounding import rounding_us
from harness.report.reach import Row, items, rows, section
from harness.report.values import number, text, whole

_NOT_UNITS = ("quantize", "layout", "other")
ROUNDING = 0.005  # tools print a few digits, and each op's mean is rounded by itself
_WAIT = "wait"  # shown, never summed
_LATENCY = ("mean_us", "min_us", "max_us", "fps", "frames", "threads", "core", "total_us", "warmup_excluded")


def finite(value: object) -> float | None:
    found = number(value)
    return found if found is not None and math.isfinite(found) else None


def share_of(part: float | None, total: float | None) -> float | None:
    return part / total if part is not None and total else None


def latency(profile: Row) -> Row | None:
    """End to end as the board's tool reports it; None where nothing was timed."""
    told = section(profile, "latency")
    if not told:
        return None
    found: Row = {key: told.get(key) for key in _LATENCY}
    found["samples"] = len(items(told, "samples_us"))
    for key in ("problems", "notes"):
        found[key] = [text(line) for line in items(told, key)]
    return found


def op_rows(profile: Row, standings: dict[str, str]) -> list[Row]:
    """One row per op as the profiler names it, slowest first, waits last; equal times keep the profiler's order."""
    told = rows(profile, "ops")
    total = sum(finite(op.get("mean_us")) or 0.0 for op in told if op.get("category") != _WAIT)
    found = [_op(op, position, total, standings) for position, op in enumerate(told)]
    return sorted(found, key=lambda row: (row["category"] == _WAIT, -(finite(row["mean_us"]) or 0.0)))


def _op(op: Row, position: int, total: float, standings: dict[str, str]) -> Row:
    name = text(op.get("name"))
    return {
        "position": position,
        "name": name,
        "kind": text(op.get("kind")),
        "unit": text(op.get("unit")),
        "category": text(op.get("category")),
        "mean_us": op.get("mean_us"),
        "min_us": op.get("min_us"),
        "max_us": op.get("max_us"),
        "count": whole(op.get("count")),
        "share": None if op.get("category") == _WAIT else share_of(finite(op.get("mean_us")), total),
        "estimated": op.get("estimated") is True,
        "standing": standings.get(name, ""),
        "figures": section(op, "figures"),
    }


def split_rows(profile: Row) -> list[Row]:
    """Parts of the time: compute per unit, quantize, layout, other, unattributed. Shares are of end to end."""
    told = section(profile, "split_us")
    whole_us = finite(section(profile, "latency").get("mean_us"))
    units = [key for key in told if key not in _NOT_UNITS]
    parts = [(key, finite(told[key])) for key in [*units, *(key for key in _NOT_UNITS if key in told)]]
    if profile:
        parts.append(("unattributed", unattributed(profile)))
    guessed = estimated_units(profile)
    return [
        _part(key, time, whole_us, key in guessed or (key == "unattributed" and bool(guessed))) for key, time in parts
    ]


def unattributed(profile: Row) -> float | None:
    """End to end less the sum of ops; below a nanosecond it is the sum's own rounding, and 0. None without ops."""
    told = finite(profile.get("unattributed_us")) if rows(profile, "ops") else None
    return 0.0 if told is not None and abs(told) < 1e-3 else told


def exceeds(time: Row) -> bool:
    """Whether the ops add up to more than end to end: their parts are no shares of it then."""
    mean_us = finite((time["latency"] or {}).get("mean_us")) or 0.0
    return (time["unattributed_us"] or 0.0) < -ROUNDING * mean_us


def overlaps(time: Row) -> bool:
    """Whether they do by more than the tool's rounding of each figure can explain."""
    printed = [finite(op["mean_us"]) or 0.0 for op in time["ops"] if op["category"] != _WAIT]
    return exceeds(time) and (time["unattributed_us"] or 0.0) < -rounding_us(printed)


def _part(key: str, time: float | None, whole_us: float | None, guessed: bool) -> Row:
    return {
        "part": key,
        "is_unit": key not in (*_NOT_UNITS, "unattributed"),
        "time_us": time,
        "share": share_of(time, whole_us),
        "estimated": guessed,
    }


def estimated_units(profile: Row) -> set[str]:
    """Units with at least one op that no clock measured."""
    return {text(op.get("unit")) for op in rows(profile, "ops") if op.get("estimated") is True}


def segment_rows(profile: Row) -> list[Row]:
    """Stretches of ops on one unit, in order, with their start on a time axis that begins at 0."""
    start, found = 0.0, []
    guessed = estimated_units(profile)
    for position, segment in enumerate(rows(profile, "segments")):
        names = [text(name) for name in items(segment, "ops")]
        time = finite(segment.get("time_us"))
        found.append(
            {
                "position": position,
                "unit": text(segment.get("unit")),
                "name": text(segment.get("name")),
                "ops": len(names),
                "first_op": names[0] if names else "",
                "last_op": names[-1] if names else "",
                "start_us": start,
                "time_us": time,
                "estimated": text(segment.get("unit")) in guessed,
            }
        )
        start += max(time or 0.0, 0.0)
    return found


def time_table(profile: Row, standings: dict[str, str]) -> Row | None:
    """Everything about time, or None where nothing was profiled."""
    if not profile:
        return None
    ops = op_rows(profile, standings)
    return {
        "latency": latency(profile),
        "split": split_rows(profile),
        "unattributed_us": unattributed(profile),
        "ops_sum_us": sum(finite(op["mean_us"]) or 0.0 for op in ops if op["category"] != _WAIT),
        "segments": segment_rows(profile),
        "order_known": profile.get("order_known") is True,
        "estimated": profile.get("estimated") is True or any(op["estimated"] for op in ops),
        "estimated_ops": sum(op["estimated"] for op in ops),
        "source": text(profile.get("source")),
        "notes": [text(note) for note in items(profile, "notes")],
        "ops": ops,
    }
