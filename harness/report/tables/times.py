"""The profile as tables: end to end, its parts, segments in order, ops. Times in microseconds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.profiling.rounding import rounding_us
from harness.profiling.split import part_of
from harness.records import Band, Distribution, Latency, OpTime, Profile, Segment
from harness.records.codec import to_json
from harness.report.values import Row, as_json, number, shortened, time_us

_NOT_UNITS = ("quantize", "layout", "other", "outliers")
ROUNDING = 0.005  # tools print a few digits, and each op's mean is rounded by itself
_BINS = 60
_FEWEST = 8  # frames whose spread is a picture
_WAIT = "wait"  # shown, never summed
_LATENCY = ("mean_us", "min_us", "max_us", "fps", "frames", "threads", "core", "total_us", "warmup_excluded")


def finite(value: object) -> float | None:
    """A number that is finite; None for anything else."""
    figure = number(value)
    return figure if figure is not None and math.isfinite(figure) else None


def share_of(part: float | None, total: float | None) -> float | None:
    """A part of a total, 0 to 1; None where either is not known or the total is 0."""
    return part / total if part is not None and total else None


def latency(record: Latency) -> Row:
    """End to end as the board's tool reports it."""
    row: Row = {key: to_json(getattr(record, key)) for key in _LATENCY}
    return row | {"samples": len(record.samples_us), "problems": list(record.problems), "notes": list(record.notes)}


def distribution_sentence(known: Distribution | None) -> str:
    """`median 22.9 us (95 % interval 22.7 us to 23.1 us) of 198 frames, p90 23.4 us, 1 frame far slower, ...`; "" where
    the tool gives neither frames nor rounds."""
    if known is None or known.basis == "bounds":
        return ""
    of = f"{known.count} rounds" if known.basis == "rounds" else f"{known.frames} frames"
    interval = f"95 % interval {time_us(known.low_us)} to {time_us(known.high_us)}"
    parts = [f"median {time_us(known.median_us)} ({interval}) of {of}"]
    parts += [f"p{p} {time_us(value)}" for p, value in known.percentiles_us.items()]
    parts += [f"{known.outliers} frame{'' if known.outliers == 1 else 's'} far slower"] if known.outliers else []
    parts += [f"first frame {time_us(known.first_us)}"] if known.warmup and known.first_us is not None else []
    parts += [f"{known.warmup} warm-up frames left out"] if known.warmup else []
    parts += [f"drift {known.drift:+.1%}"] if known.drift is not None and abs(known.drift) >= 0.01 else []
    return ", ".join(parts)


def spread(samples_us: Sequence[object]) -> Row | None:
    """Frames by latency: {"low_us", "high_us", "counts"}; None of few frames, or where all took the same time."""
    known = [one for sample in samples_us if (one := finite(sample)) is not None]
    if len(known) < _FEWEST or min(known) == max(known):
        return None
    low, high = min(known), max(known)
    counts = [0] * _BINS
    for one in known:
        counts[min(_BINS - 1, int(_BINS * (one - low) / (high - low)))] += 1
    return {"low_us": low, "high_us": high, "counts": counts}


NO_BAND = "how far the estimate may be off is not known: nothing measured to hold it against"


def band_of_profile(profile: Profile) -> str:
    """The band in words, or that none is known of an estimate; "" for a latency that was measured."""
    if profile.band is None and (profile.estimated or any(op.estimated for op in profile.ops)):
        return NO_BAND
    return band_sentence(profile.band)


def band_sentence(band: Band | None) -> str:
    """`4.6 ms to 7.6 ms (80 % of 30 networks of dense convolutions)`; "" for a latency that was measured."""
    if band is None:
        return ""
    return f"{time_us(band.low_us)} to {time_us(band.high_us)} ({band.share * 100:.0f} % of {shortened(band.of, 200)})"


def op_rows(profile: Profile, standings: dict[str, str]) -> list[Row]:
    """One row per op as the profiler names it, slowest first, waits last; equal times keep the profiler's order."""
    total = sum(finite(op.mean_us) or 0.0 for op in profile.ops if op.category != _WAIT)
    rows = [_op(op, position, total, standings) for position, op in enumerate(profile.ops)]
    return sorted(rows, key=lambda row: (row["category"] == _WAIT, -(finite(row["mean_us"]) or 0.0)))


def _op(op: OpTime, position: int, total: float, standings: dict[str, str]) -> Row:
    return {
        "position": position,
        "name": op.name,
        "kind": op.kind,
        "unit": op.unit,
        "category": op.category,
        "mean_us": as_json(op.mean_us),
        "min_us": as_json(op.min_us),
        "max_us": as_json(op.max_us),
        "count": op.count,
        "share": None if op.category == _WAIT else share_of(finite(op.mean_us), total),
        "estimated": op.estimated,
        "standing": standings.get(op.name, ""),
        "figures": to_json(op.figures),
    }


def split_rows(profile: Profile) -> list[Row]:
    """Parts of the time: compute per unit, quantize, layout, other, unattributed. Shares are of end to end."""
    times_us = profile.split_us
    whole_us = finite(profile.latency.mean_us)
    units = [key for key in times_us if key not in _NOT_UNITS]
    parts = [(key, finite(times_us[key])) for key in [*units, *(key for key in _NOT_UNITS if key in times_us)]]
    parts.append(("unattributed", unattributed(profile)))
    guessed = {part_of(op) for op in profile.ops if op.estimated}
    guessed |= {"outliers", "unattributed"} if guessed or profile.estimated else set()  # of an end to end of guesses
    return [_part(key, time, whole_us, key in guessed) for key, time in parts]


def unattributed(profile: Profile) -> float | None:
    """End to end less the sum of ops; below a nanosecond it is the sum's own rounding, and 0. None without ops."""
    time_us = finite(profile.unattributed_us) if profile.ops else None
    return 0.0 if time_us is not None and abs(time_us) < 1e-3 else time_us


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


def estimated_units(profile: Profile) -> set[str]:
    """Units with at least one op that no clock measured."""
    return {op.unit for op in profile.ops if op.estimated}


def segment_rows(profile: Profile) -> list[Row]:
    """Stretches of ops on one unit, in order, with their start on a time axis that begins at 0."""
    start, rows = 0.0, []
    guessed = estimated_units(profile)
    for position, segment in enumerate(profile.segments):
        rows.append(_segment(segment, position, start) | {"estimated": segment.unit in guessed})
        start += max(rows[-1]["time_us"] or 0.0, 0.0)
    return rows


def _segment(segment: Segment, position: int, start: float) -> Row:
    return {
        "position": position,
        "unit": segment.unit,
        "name": segment.name,
        "ops": len(segment.ops),
        "first_op": segment.ops[0] if segment.ops else "",
        "last_op": segment.ops[-1] if segment.ops else "",
        "start_us": start,
        "time_us": finite(segment.time_us),
    }


def time_table(profile: Profile | None, standings: dict[str, str]) -> Row | None:
    """Everything about time, or None where nothing was profiled."""
    if profile is None:
        return None
    ops = op_rows(profile, standings)
    return {
        "latency": latency(profile.latency),
        "distribution": to_json(profile.distribution),
        "usual": distribution_sentence(profile.distribution),
        "band": band_of_profile(profile),
        "band_us": to_json(profile.band) if profile.band else None,
        "spread": spread(profile.latency.samples_us),
        "split": split_rows(profile),
        "unattributed_us": unattributed(profile),
        "ops_sum_us": sum(finite(op["mean_us"]) or 0.0 for op in ops if op["category"] != _WAIT),
        "segments": segment_rows(profile),
        "order_known": profile.order_known,
        "estimated": profile.estimated or any(op["estimated"] for op in ops),
        "estimated_ops": sum(op["estimated"] for op in ops),
        "simulator": profile.simulator,
        "source": profile.source,
        "notes": list(profile.notes),
        "ops": ops,
    }
