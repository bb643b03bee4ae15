"""Subgraphs and what stands between them, as a table whose times add up to the end-to-end time."""

from __future__ import annotations

from harness.records import OffOp, Run, Segmentation, Stretch
from harness.records.codec import to_json
from harness.report.tables.times import band_sentence, finite, share_of
from harness.report.values import Row, time_us

PLACES = {"head": "before the accelerator", "middle": "CUT", "tail": "behind the accelerator", "": "position unknown"}
_PARTS = ("own_us", "quantize_us", "dequantize_us", "layout_us", "other_us", "launch_us", "total_us")


def segmentation_table(run: Run) -> Row | None:
    """{"rows" in execution order, "cuts", "subgraphs", "end_to_end_us", "sum_us", "notes", "estimated"}; None without
    subgraphs. `cuts` is None where the place of an op that computes elsewhere is not known."""
    whole = run.segmentation
    if whole is None:
        return None
    unknown = any(not stretch.place and stretch.ops for stretch in whole.stretches)
    return {
        "rows": _rows(whole),
        "cuts": None if unknown else sum(stretch.place == "middle" for stretch in whole.stretches),
        "subgraphs": len(whole.subgraphs),
        "end_to_end_us": finite(whole.end_to_end_us),
        "sum_us": finite(whole.sum_us),
        "estimated": whole.estimated,
        "notes": list(whole.notes),
    }


def _rows(whole: Segmentation) -> list[Row]:
    """Stretch, subgraph, stretch, ...; then what belongs to none of them."""
    end = whole.end_to_end_us
    rows: list[Row] = []
    left = list(whole.stretches)
    for subgraph in whole.subgraphs:
        rows += [_stretch(s, end) for s in left if s.after == subgraph.name]
        left = [s for s in left if s.after != subgraph.name]
        rows.append(_plain("subgraph", subgraph.name, subgraph.unit, subgraph.time_us, end, subgraph.estimated))
    rows += [_stretch(stretch, end) for stretch in left]
    named = (("start of the accelerator", whole.launch_us), ("slow frames", whole.outliers_us))
    rows += [_plain("rest", name, "", us, end, whole.estimated) for name, us in named if us]
    if abs(whole.unattributed_us) >= 1e-3:
        rows.append(_plain("rest", "unattributed", "", whole.unattributed_us, end, whole.estimated))
    return rows


def _plain(sort: str, name: str, unit: str, us: float, end_us: float, estimated: bool) -> Row:
    return {
        "sort": sort,
        "name": name,
        "unit": unit,
        "total_us": finite(us),
        "share": share_of(finite(us), end_us),
        "estimated": estimated,
        "ops": [],
    }


def _stretch(stretch: Stretch, end_us: float) -> Row:
    row = _plain("stretch", PLACES[stretch.place], "", stretch.total_us, end_us, stretch.estimated)
    return row | {
        **{part: finite(getattr(stretch, part)) for part in _PARTS},
        "place": stretch.place,
        "gain_low_us": finite(stretch.gain_low_us),
        "gain_high_us": finite(stretch.gain_high_us),
        "gain": gain_words(stretch),
        "parts": parts_words(stretch),
        "ops": [_op(op) for op in stretch.ops],
    }


def _op(op: OffOp) -> Row:
    row: Row = to_json(op)
    return row | {key: finite(getattr(op, key)) for key in ("time_us", "gain_low_us", "gain_high_us")}


def parts_words(stretch: Stretch) -> str:
    """`own time 412 us, quantize 20 us, dequantize 31 us, start of the accelerator 12 us`; parts of no time are left
    out."""
    named = (
        ("own time", stretch.own_us),
        ("quantize", stretch.quantize_us),
        ("dequantize", stretch.dequantize_us),
        ("layout conversion", stretch.layout_us),
        ("preprocessing", stretch.other_us),
        ("start of the accelerator", stretch.launch_us),
    )
    return ", ".join(f"{name} {time_us(us)}" for name, us in named if us)


def gain_words(stretch: Stretch) -> str:
    """What moving all ops of a stretch to the accelerator would win, as bounds; "" without ops that compute."""
    if not stretch.ops:
        return ""
    low = f"at least {time_us(stretch.gain_low_us)} (as slow there as here), " if stretch.gain_low_us else ""
    bounds = f"{low}at most {time_us(stretch.gain_high_us)} (no time there)"
    return f"{bounds}; estimated, {band_sentence(stretch.gain_band)}" if stretch.gain_band else bounds
