"""What hb_analyzer adds to the perf JSON of J6 and S100: times of blocks, DDR traffic, CPU ops; shares of MACs and
memory, which the perf JSON itself has.

Keys as the vendor's manual of hb_analyzer names them. "megabytes" of the perf JSON are 2**20 bytes: its own loaded and
stored bytes say so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from harness.toolchains.records import LayerCost, SegmentEstimate

Number = Callable[[object], float | None]
# What the BPU multiplies, by the operand types: key of the perf JSON -> words. int8 on both sides is fastest.
MACS = {
    "double int8 macs": "int8",
    "feature int8 weight int16 macs": "int8 features, int16 weights",
    "feature int16 weight int8 macs": "int16 features, int8 weights",
    "double int16 macs": "int16",
}
MEMORY = {
    "input memory": "inputs",
    "output memory": "outputs",
    "static memory": "weights and constants",
    "dynamic memory": "features",
    "min memory requirement": "least that it needs",
}
MEGABYTE = 2**20


def mac_shares(flat: Mapping[str, object], number: Number) -> dict[str, float]:
    """Shares of the multiply-accumulates by operand types; empty where they are not counted."""
    counted = {word: number(flat.get(key)) for key, word in MACS.items()}
    known = {word: value for word, value in counted.items() if value is not None and value >= 0}
    whole = sum(known.values())
    return {word: value / whole for word, value in known.items()} if whole > 0 else {}


def memory_bytes(flat: Mapping[str, object], number: Number) -> dict[str, int]:
    """Bytes by what they hold."""
    sizes = {word: number(flat.get(key)) for key, word in MEMORY.items()}
    return {word: int(size) for word, size in sizes.items() if size is not None and size >= 0}


def ddr_bytes(flat: Mapping[str, object], number: Number) -> int | None:
    """DDR traffic of one run: as such, as loaded and stored, or in megabytes; None where nothing tells it."""
    whole = number(flat.get("DDR bytes per run"))
    if whole is not None:
        return int(whole)
    loaded, stored = number(flat.get("loaded bytes per run")), number(flat.get("stored bytes per run"))
    if loaded is not None and stored is not None:
        return int(loaded + stored)
    megabytes = number(flat.get("DDR megabytes per run"))
    return None if megabytes is None else round(megabytes * MEGABYTE)


def with_analysis(
    estimate: SegmentEstimate, analysis: Mapping[str, object], number: Number
) -> tuple[SegmentEstimate, tuple[str, ...]]:
    """The estimate with what stands beside its summary, and where both disagree."""
    traffic = number(analysis.get("hbm_ddr_bytes_per_run"))
    if traffic is None:
        return estimate, ()
    known = estimate.ddr_bytes
    differ = known is not None and abs(known - traffic) > 0.01 * max(known, traffic)
    differing = (f"hbm_ddr_bytes_per_run is {traffic:.0f}, the summary says {known}",) if differ else ()
    return (replace(estimate, ddr_bytes=int(traffic)) if known is None else estimate), differing


def block_layers(analysis: Mapping[str, object], number: Number) -> tuple[tuple[LayerCost, ...], tuple[str, ...]]:
    """`hbm_block_time` as layers with a time of their own, and what of it could not be read."""
    raw = analysis.get("hbm_block_time")
    if raw is None:
        return (), ()
    if not isinstance(raw, list):
        return (), ("hbm_block_time is not a list",)
    rows = [row for row in raw if isinstance(row, dict) and number(row.get("total_time_us")) is not None]
    layers = tuple(LayerCost(str(row.get("block", "")), total_us=number(row["total_time_us"])) for row in rows)
    bad = len(raw) - len(rows)
    return layers, (f"{bad} rows of hbm_block_time are not rows",) if bad else ()
