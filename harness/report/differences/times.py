"""Times of several runs: every change stands beside its noise, and what is inside of the noise is not called a change.

The usual time of a run is its median with a 95 % interval (profiling/distribution.py); a change is one only where its
whole interval is on one side of zero. An estimate and a measurement are not held against each other.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.profiling.distribution import distribution, ratio
from harness.profiling.stretches import is_whole
from harness.records import Distribution, Latency, OpTime, Profile, Run
from harness.report.values import Row, as_json
from harness.runs.previous import latency_change

ESTIMATED_AND_MEASURED = "estimated against measured"
NOT_FINITE = "a time that is no positive finite number"
BASES = ("frames", "rounds", "bounds")
Key = tuple[str, str, int]  # name, category, and which of these

# "equal": of two estimates or means; "noise_unknown": no interval is known, so that nothing can be called a change
CHANGED = ("slower", "faster", "estimate_differs", "new", "gone")


@dataclass(frozen=True)
class UsualTime:
    """One time of one run. `known`: its interval, where the run tells one."""

    mean_us: float
    known: Distribution | None
    estimated: bool


def latency_rows(runs: Sequence[Run]) -> list[Row]:
    """End to end of each run: {"usual_us", "low_us", "high_us", "mean_us", "basis", "estimated", "change"}."""
    return [_latency(run) | {"change": _end_to_end(runs[0], run) if place else None} for place, run in enumerate(runs)]


def _latency(run: Run) -> Row:
    if run.profile is None:
        return dict.fromkeys(("usual_us", "low_us", "high_us", "mean_us", "count")) | {"basis": "", "estimated": None}
    known, mean = distribution(run.profile.latency), as_json(run.profile.latency.mean_us)
    return {
        "usual_us": as_json(known.median_us) if known else mean,
        "low_us": as_json(known.low_us) if known else None,
        "high_us": as_json(known.high_us) if known else None,
        "mean_us": mean,
        "count": known.count if known else None,
        "basis": known.basis if known else "",
        "estimated": run.profile.estimated,
    }


def _end_to_end(base: Run, run: Run) -> Row:
    why_not = why_not_comparable(base, run)
    if why_not or base.profile is None or run.profile is None:
        return _not_comparable(why_not)
    before, now = (_timed(profile.latency, profile.estimated) for profile in (base.profile, run.profile))
    return time_change(before, now)


def why_not_comparable(base: Run, run: Run) -> str:
    """Why the times of two runs say nothing about each other; "" where they do."""
    if base.profile is None or run.profile is None:
        return "no profile" if run.profile is None else "no profile in the first run"
    if base.profile.estimated != run.profile.estimated:
        return ESTIMATED_AND_MEASURED
    if not all(_is_time(one.profile.latency.mean_us) for one in (base, run) if one.profile):
        return NOT_FINITE
    return latency_change(base, run).why_not


def _timed(latency: Latency, estimated: bool) -> UsualTime:
    return UsualTime(latency.mean_us, distribution(latency), estimated)


def _is_time(value: float) -> bool:
    return math.isfinite(value) and value > 0


def time_change(before: UsualTime, now: UsualTime) -> Row:
    """{"word", "percent", "low_percent", "high_percent", "basis", "estimated", "why_not"}.

    `word`: "slower", "faster", "within_noise"; "noise_unknown" where one of both tells a mean alone; of two estimates
    without an interval "equal" or "estimate_differs"; "not_comparable" with `why_not`.
    """
    if before.estimated != now.estimated:
        return _not_comparable(ESTIMATED_AND_MEASURED)
    if before.known is None or now.known is None:
        return _of_means(before, now)
    medians = ratio(before.known, now.known)
    percents = [(value - 1) * 100 for value in (medians.ratio, medians.low, medians.high)]
    if not all(map(math.isfinite, percents)):
        return _not_comparable(NOT_FINITE)
    word = "slower" if percents[1] > 0 else "faster" if percents[2] < 0 else "within_noise"
    basis = "bounds" if "bounds" in (before.known.basis, now.known.basis) else before.known.basis
    return _change(word, percents[0], now.estimated) | {
        "low_percent": percents[1],
        "high_percent": percents[2],
        "basis": basis,
    }


def _of_means(before: UsualTime, now: UsualTime) -> Row:
    means = [one.known.median_us if one.known else one.mean_us for one in (before, now)]
    if means == [0.0, 0.0]:
        return _change("equal", 0.0, now.estimated)
    if not all(map(_is_time, means)):
        return _not_comparable(NOT_FINITE)
    same = means[0] == means[1]
    word = "equal" if same else "estimate_differs" if now.estimated else "noise_unknown"
    return _change(word, (means[1] / means[0] - 1) * 100, now.estimated)


def _change(word: str, percent: float | None, estimated: bool | None) -> Row:
    figures = {"percent": percent, "low_percent": None, "high_percent": None, "basis": "", "why_not": ""}
    return {"word": word, "estimated": estimated} | figures


def _not_comparable(why_not: str) -> Row:
    return _change("not_comparable", None, None) | {"why_not": why_not}


def parts_rows(runs: Sequence[Run]) -> list[Row]:
    """Parts of the frame's time, as each run tells them: {"part", "values_us"}. Nothing is judged."""
    parts = [run.profile.split_us if run.profile else {} for run in runs]
    names = dict.fromkeys(name for part in parts for name in part)
    return [{"part": name, "values_us": [as_json(part.get(name)) for part in parts]} for name in names]


# --------------------------------------------------------------------------- ops


def op_differences(runs: Sequence[Run]) -> Row:
    """{"runs_with_ops", "total", "rows", "counts"}: every op that one of the runs timed, the largest change first.

    A row: {"name", "kind", "category", "largest_us", "cells"}; `counts` is of each run against the first.
    """
    sides = [_ops(run.profile) for run in runs]
    why_not = ["", *(why_not_comparable(runs[0], run) for run in runs[1:])]
    keys = dict.fromkeys(key for side in sides for key in side or ())
    rows = [_op_row(key, sides, runs, why_not) for key in keys]
    rows.sort(key=lambda row: -row["largest_us"])
    counts = [_counts([row["cells"][place] for row in rows]) for place in range(len(runs))]
    return {
        "runs_with_ops": [side is not None for side in sides],
        "total": len(rows),
        "rows": rows,
        "counts": counts,
    }


def _counts(cells: Sequence[Row]) -> dict[str, int]:
    return dict(Counter(cell["change"]["word"] for cell in cells)) | {"moved": sum(cell["moved"] for cell in cells)}


def _ops(profile: Profile | None) -> dict[Key, OpTime] | None:
    """Ops by name; None where a run timed none."""
    if profile is None or not profile.ops:
        return None
    seen: Counter[tuple[str, str]] = Counter()
    side: dict[Key, OpTime] = {}
    for op in profile.ops:
        side[op.name, op.category, seen[op.name, op.category]] = op
        seen[op.name, op.category] += 1
    return side


def _op_row(key: Key, sides: Sequence[dict[Key, OpTime] | None], runs: Sequence[Run], why_not: Sequence[str]) -> Row:
    ops = [side.get(key) if side is not None else None for side in sides]
    known = [_tells_all(run) for run in runs]
    cells = [_op_cell(op, ops[0]) for op in ops]
    for place, cell in enumerate(cells):
        both_whole = known[0] and known[place]
        cell["change"] = (
            _op_change(ops[0], ops[place], both_whole, why_not[place]) if place else _change("", None, None)
        )
    having = next(op for op in ops if op is not None)
    return {
        "name": key[0],
        "kind": having.kind,
        "category": key[1],
        "largest_us": max(map(_distance, [ops[0]] * len(ops), ops, cells)),
        "cells": cells,
    }


def _tells_all(run: Run) -> bool:
    """Whether an op that is not in the table did not run."""
    return run.profile is not None and bool(run.profile.ops) and is_whole(run.profile)


def _op_cell(op: OpTime | None, base: OpTime | None) -> Row:
    """Times of an op in one run; `moved`: it ran on another unit than in the first."""
    if op is None:
        nothing = dict.fromkeys(("mean_us", "usual_us", "low_us", "high_us", "estimated"))
        return {**nothing, "unit": "", "moved": False}
    known = _timed_op(op).known
    return {
        "mean_us": as_json(op.mean_us),
        "usual_us": as_json(known.median_us if known else op.mean_us),
        "low_us": as_json(known.low_us) if known else None,
        "high_us": as_json(known.high_us) if known else None,
        "unit": op.unit,
        "moved": base is not None and base.unit != op.unit,
        "estimated": op.estimated,
    }


def _timed_op(op: OpTime) -> UsualTime:
    return _timed(Latency(op.mean_us, op.min_us, op.max_us, frames=op.count), op.estimated)


def _op_change(base: OpTime | None, op: OpTime | None, both_whole: bool, why_not: str) -> Row:
    """The change of one op. Where a table was not read whole, an op that is missing is not called gone."""
    if base is None or op is None:
        if not both_whole:
            return _not_comparable("the table of ops is not there, or was not read whole")
        return _change("" if base is op else "new" if base is None else "gone", None, op.estimated if op else None)
    if why_not:
        return _not_comparable(why_not)
    return time_change(_timed_op(base), _timed_op(op))


def _distance(base: OpTime | None, op: OpTime | None, cell: Row) -> float:
    """By how many microseconds an op changed, where that can be said; what is new or gone changed by all of it."""
    word = cell["change"]["word"]
    means = [one.mean_us if one and math.isfinite(one.mean_us) else 0.0 for one in (base, op)]
    return abs(means[1] - means[0]) if word not in ("", "not_comparable", "within_noise", "equal") else 0.0
