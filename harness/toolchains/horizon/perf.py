"""Readers of hb_perf / hbdk-perf (X3, J5, X5) and hbm_perf (J6, S100) estimates: JSON, or the printed Python dict.

These are static estimates of the BPU alone. hb_perf shows an nv12 input as N*H*W*1.5 bytes, the board's tool as
N*H*W*3: both are right (one counts what the camera gives, the other what the network takes).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from harness.toolchains.horizon import analysis
from harness.toolchains.horizon.files import LARGEST, load_json
from harness.toolchains.horizon.log import ESTIMATE
from harness.toolchains.records import Artifact, LayerCost, SegmentEstimate
from harness.toolchains.text import count_of, number_of

MICROSECONDS = re.compile(r"^\s*(?P<us>\d+(?:\.\d+)?) ?us\b")
UNIT_NAMES = {"B25E": "bayes-e"}
ELSEWHERE = {"FPS", "latency (us)", "layer details"}  # in the estimate and the layers


def read_perf(text: str) -> Artifact:
    """An hb_perf or hbm_perf estimate. A cut file gives only a problem: half a dict has no sure number."""
    value, problems = _load(text)
    analyzed = value if isinstance(value, dict) and "perf_json_data" in value else {}
    whole = analyzed.get("perf_json_data") if analyzed else value
    summary = whole.get("summary") if isinstance(whole, dict) else None
    if not isinstance(summary, dict):
        return Artifact("hb_perf", "hb_perf estimate", problems=(*problems, "no summary found"))
    flat = _flat(summary)
    estimate, differ = analysis.with_analysis(_estimate(flat), analyzed, _number)
    layers, layer_problems = _layers_of(flat, analyzed)
    return Artifact(
        kind="hb_perf",
        title=_title(summary, bool(analyzed)),
        versions=_versions(flat),
        march=_march(str(flat.get("BPU march", ""))),
        estimates=(estimate,),
        layers=layers,
        facts={**_facts(flat), **{key: one for key, one in analyzed.items() if key != "perf_json_data"}},
        problems=(*problems, *differ, *layer_problems, *_against_console(text, flat)),
    )


def _title(summary: Mapping[str, object], analyzed: bool) -> str:
    if analyzed:
        return "hb_analyzer summary (J6, S100)"
    return "hbm_perf estimate (J6, S100)" if "performance" in summary else "hb_perf estimate (X3, J5, X5)"


def _facts(flat: Mapping[str, object]) -> dict[str, object]:
    """Every figure of the summary that has no place of its own: memory, DDR, segments, utilization, MACs."""
    single = {key: one for key, one in flat.items() if key not in ELSEWHERE and isinstance(one, str | int | float)}
    lists = {key: one for key, one in flat.items() if isinstance(one, list) and one and key not in ELSEWHERE}
    return {**single, **{key: one for key, one in lists.items() if all(not isinstance(x, dict | list) for x in one)}}


def _march(word: str) -> str:
    """The march in the words of the toolchain's yaml; hbdk3 prints the unit's own name."""
    return UNIT_NAMES.get(word.upper(), word.lower())


def _versions(flat: Mapping[str, object]) -> dict[str, str]:
    version = flat.get("HBDK version") or flat.get("compiling HBDK version")
    return {"hbdk": str(version)} if version else {}


def _load(text: str) -> tuple[Any, tuple[str, ...]]:
    """The first balanced `{...}`: JSON as a file, or a Python dict printed between other lines."""
    start = text.find("{")
    if start < 0:
        return None, ("no dict in it",)
    body = text[start : text.rfind("}") + 1]
    value, problems = load_json(body)
    if value is not None:
        return value, problems
    try:
        return ast.literal_eval(body), ()
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None, ("the dict is truncated or damaged",)


def _flat(summary: Mapping[str, Any]) -> dict[str, Any]:
    """hbdk4 groups the summary ("performance", "DDR access data", ...); hbdk3 does not."""
    flat: dict[str, Any] = {}
    for key, value in summary.items():
        if isinstance(value, dict):
            flat.update(value)
        else:
            flat[key] = value
    return flat


def _number(value: Any) -> float | None:
    """A finite number of JSON or of a Python dict, which both take `Infinity`, `1e999` and endless integers."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
    return float(value) if good else None


def _estimate(flat: Mapping[str, Any]) -> SegmentEstimate:
    frames = _number(flat.get("frame per run"))
    return SegmentEstimate(
        subgraph=str(flat.get("model name", "")),
        fps=_number(flat.get("FPS")),
        latency_us=_number(flat.get("latency (us)")),
        ddr_bytes=analysis.ddr_bytes(flat, _number),
        frames_per_run=int(frames) if frames is not None else None,
        mac_shares=analysis.mac_shares(flat, _number),
        memory_bytes=analysis.memory_bytes(flat, _number),
    )


def _layers_of(flat: Mapping[str, Any], analyzed: Mapping[str, Any]) -> tuple[tuple[LayerCost, ...], tuple[str, ...]]:
    """Layers with their costs; where only the analyzer's blocks are told, those with their times."""
    layers, problems = _layers(flat.get("layer details"))
    if layers:
        return layers, problems
    blocks, block_problems = analysis.block_layers(analyzed, _number)
    return (blocks, block_problems) if blocks else (layers, (*problems, *block_problems))


def _layers(raw: Any) -> tuple[tuple[LayerCost, ...], tuple[str, ...]]:
    """hbdk3: a list of lists whose first item is the header. hbdk4: a list of dicts."""
    if raw is None:
        return (), ("no layer details: build with debug: True",)
    if not isinstance(raw, list):
        return (), ("layer details are not a list",)
    rows = raw
    if rows and isinstance(rows[0], list):
        header = [str(cell) for cell in rows[0]]
        rows = [dict(zip(header, row, strict=False)) for row in rows[1:] if isinstance(row, list)]
    layers = tuple(_layer(row) for row in rows if isinstance(row, dict))
    bad = len(rows) - len(layers)
    return layers, (f"{bad} rows of layer details are not rows",) if bad else ()


def _layer(row: Mapping[str, Any]) -> LayerCost:
    load, store = _us(row.get("load cost")), _us(row.get("store cost"))
    both = _us(row.get("load/store cost"))
    return LayerCost(
        name=str(row.get("layer", row.get("layer name", ""))),
        operations=next((count_of(str(row[key])) for key in ("ops", "origin ops") if key in row), None),
        compute_us=_us(row.get("computing cost (no DDR)")),
        load_store_us=both if both is not None else (load + store if load is not None and store is not None else None),
    )


def _us(cell: Any) -> float | None:
    """`'29 us (0% of model)'` or `'0'`."""
    if isinstance(cell, int | float):
        return _number(cell)
    text = str(cell) if cell is not None else ""
    match = MICROSECONDS.match(text)
    return number_of(match["us"]) if match else (0.0 if text.strip() == "0" else None)


def _against_console(text: str, flat: Mapping[str, Any]) -> tuple[str, ...]:
    match = ESTIMATE.search(text)
    if match and _number(flat.get("FPS")) not in (None, number_of(match["fps"])):
        return (f"the console line says FPS={match['fps']}, the dict {flat.get('FPS')}",)
    return ()
