"""Latency as pictures: how its frames are spread, where an estimate may lie, what a segment's time is made of."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.drawings.drawings import ticks
from harness.report.tables.times import finite
from harness.report.values import Row, shortened, time_us

SPREAD_PX = 60
_MOST_BLOCKS = 40


def spread_drawing(time: Row | None) -> Row | None:
    """Bars of the frames' spread, with the median on the same axis."""
    known = time["spread"] if time else None
    if time is None or known is None:
        return None
    most, wide_us = max(known["counts"]), known["high_us"] - known["low_us"]
    bars = "".join(
        f"M{n} {SPREAD_PX}v-{max(1, round((SPREAD_PX - 4) * count / most))}h1V{SPREAD_PX}z"
        for n, count in enumerate(known["counts"])
        if count
    )
    median_us = finite((time["distribution"] or {}).get("median_us"))
    inside = median_us is not None and known["low_us"] <= median_us <= known["high_us"]
    return {
        "bars": bars,
        "bins": len(known["counts"]),
        "most": most,
        "frames": sum(known["counts"]),
        "low": time_us(known["low_us"]),
        "high": time_us(known["high_us"]),
        "median": time_us(median_us) if inside else "",
        "median_x": round(100 * (median_us - known["low_us"]) / wide_us, 2)
        if inside and median_us is not None
        else None,
    }


def band_drawing(time: Row | None) -> Row | None:
    """The estimate of end to end with its band, on an axis from 0; None where no band is known."""
    band = time["band_us"] if time else None
    mean_us = finite(time["latency"]["mean_us"]) if time else None
    low_us, high_us = (finite(band[key]) for key in ("low_us", "high_us")) if band else (None, None)
    if low_us is None or high_us is None or mean_us is None or not 0 <= low_us <= high_us:
        return None
    end_us = 1.1 * max(high_us, mean_us)
    if end_us <= 0:
        return None
    return {
        "x": round(100 * low_us / end_us, 2),
        "w": round(100 * (high_us - low_us) / end_us, 2),
        "at": round(100 * mean_us / end_us, 2),
        "ticks": ticks(end_us),
        "words": f"{time_us(mean_us)}, {time_us(low_us)} to {time_us(high_us)}",
    }


def with_blocks(fall: Row | None, plan: Row | None) -> Row | None:
    """The waterfall, with what the compiler says each segment's time is made of: shares of its estimate, in order."""
    if fall is None:
        return None
    segments = {one["name"]: one.get("blocks") or [] for one in (plan or {}).get("segments") or []}
    return fall | {"rows": [row | {"blocks": _blocks(row, segments.get(row["name"], []))} for row in fall["rows"]]}


def _blocks(row: Row, blocks: Sequence[Row]) -> list[Row]:
    sizes = [
        finite(one["total_us"]) or max(finite(one[k]) or 0.0 for k in ("compute_us", "load_store_us")) for one in blocks
    ]
    total, at, drawn = sum(sizes), row["x"], []
    if total <= 0 or len(blocks) > _MOST_BLOCKS:
        return []
    for block, size in zip(blocks, sizes, strict=True):
        wide = row["w"] * size / total
        drawn.append({"x": round(at, 3), "w": round(wide, 3), "name": shortened(block["name"], 60)})
        at += wide
    return drawn
