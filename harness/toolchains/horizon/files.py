"""Readers of the files beside a build: quant_info.json, node_info.csv, advice.json, [model desc] JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from harness.toolchains.records import Artifact, OutputAccuracy, PlannedNode
from harness.toolchains.text import DTYPES, dtype_of, lines_of, number_of, unique

CSV_HEADER = "Node,NodeType,ON,Threshold,Calibrated Cosine,Quantized Cosine,Output Data Type"
CSV_HEADER_SHORT = "Node,NodeType,ON,Output Data Type"
MODEL_DESC = re.compile(r"\[model desc\]:\s*(?=\{)")
COSINE = re.compile(r"^-?\d\.\d+$")
LARGEST = 1e300  # of any figure; infinity and NaN are not below it
BPU_BACKENDS = {"bpu": "BPU", "vpu": "BPU", "spu": "BPU", "external_cpu": "CPU", "external_jit": "JIT", "cpu": "CPU"}


def load_json(text: str) -> tuple[Any, tuple[str, ...]]:
    """The JSON value of `text`, or None with the reason. Duplicate keys are reported; the last one counts."""
    doubled: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        seen = [key for key, _ in items]
        doubled.extend(unique([key for key in seen if seen.count(key) > 1]) if len(seen) != len(set(seen)) else ())
        return dict(items)

    try:
        value = json.loads(text, object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:
        return None, (f"incomplete JSON: {error}",)
    return value, tuple(f"duplicate key {key!r}; the last one is used" for key in doubled[:5])


def read_quant_info(text: str) -> Artifact:
    """`*_quant_info.json`: per node type, tensors, thresholds and cosine; no device, no data type."""
    value, problems = load_json(text)
    nodes: list[PlannedNode] = []
    outputs: list[OutputAccuracy] = []
    more: list[str] = list(problems)
    for name, entry in value.items() if isinstance(value, dict) else ():
        if name == "model_output_tensor" and isinstance(entry, dict):
            outputs = [OutputAccuracy(str(tensor), _cosine(one, str(tensor), more)) for tensor, one in entry.items()]
        elif isinstance(entry, dict) and isinstance(entry.get("type"), str):
            nodes.append(_quant_node(str(name), entry, more))
        else:
            more.append(f"entry {name!r} is not a node; skipped")
    if value is not None and not isinstance(value, dict):
        more.append("not an object of nodes")
    return Artifact("quant_info", "quant_info.json", nodes=tuple(nodes), outputs=tuple(outputs), problems=tuple(more))


def _quant_node(name: str, entry: Mapping[str, Any], problems: list[str]) -> PlannedNode:
    thresholds = _thresholds(name, entry.get("thresholds"), problems)
    first = thresholds[0] if thresholds and thresholds[0] else ()
    return PlannedNode(
        name=name,
        unit="",
        kind=entry["type"],
        cosine=_cosine(entry, name, problems),
        threshold=first[0] if first else None,
        thresholds=thresholds,
        inputs=_names(entry.get("inputs")),
        outputs=_names(entry.get("outputs")),
    )


def _cosine(entry: Any, name: str, problems: list[str]) -> float | None:
    """A string in every file seen; not clamped (real files hold 1.000043)."""
    raw = entry.get("cosine_similarity") if isinstance(entry, dict) else None
    if raw is None:
        return None
    number = number_of(str(raw)) if isinstance(raw, str | int | float) and not isinstance(raw, bool) else None
    if number is None:
        problems.append(f"{name}: cosine_similarity {raw!r} is not a number")
    return number


def _thresholds(name: str, raw: Any, problems: list[str]) -> tuple[tuple[float, ...], ...]:
    if raw is None:
        return ()
    good = isinstance(raw, list) and all(isinstance(one, list) for one in raw)
    if not good or not all(_is_number(x) for one in raw for x in one):
        problems.append(f"{name}: thresholds are not lists of numbers")
        return ()
    return tuple(tuple(float(x) for x in one) for one in raw)


def _is_number(value: Any) -> bool:
    """Finite: JSON takes `Infinity`, `NaN` and endless integers."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST


def _names(raw: Any) -> tuple[str, ...]:
    return tuple(str(one) for one in raw) if isinstance(raw, list) else ()


def read_node_info(text: str) -> Artifact:
    """`*_node_info.csv` of hb_compile. A cell with two types is written without quotes, so rows differ in length."""
    nodes: list[PlannedNode] = []
    problems: list[str] = []
    short = False
    for line in lines_of(text):
        row = line.text.strip()
        if row.replace(" ", "") in (CSV_HEADER.replace(" ", ""), CSV_HEADER_SHORT.replace(" ", "")):
            short = row.count(",") == 3
            continue
        if not row:
            continue
        node = _csv_node(row.split(","), short)
        if node is None or (not line.whole and not _ends_well(row)):
            problems.append(f"line {line.number}: incomplete row, skipped: {row[:60]!r}")
            continue
        nodes.append(node)
    return Artifact("node_info", "node_info.csv", nodes=tuple(nodes), problems=tuple(problems))


def _ends_well(row: str) -> bool:
    """The last cell is a whole type word: `si1` of a cut `si16` is not one."""
    return row.rsplit(",", 1)[-1] in (*DTYPES, "fused")


def _csv_node(fields: Sequence[str], short: bool) -> PlannedNode | None:
    if len(fields) < (4 if short else 7) or fields[2] not in ("BPU", "CPU", "JIT", "VPU", "SPU"):
        return None
    numbers, types = ([], fields[3:]) if short else (fields[3:6], fields[6:])
    known = [dtype_of(word) for word in types if word != "fused"]
    if not all(known) or not _csv_numbers_whole(numbers):
        return None
    threshold, calibrated, quantized = [number_of(one) for one in numbers] if numbers else (None, None, None)
    return PlannedNode(
        name=fields[0],
        unit="BPU" if fields[2] in ("VPU", "SPU") else fields[2],
        kind=fields[1],
        output_dtypes=tuple(known),
        cosine=calibrated,
        quantized_cosine=quantized,
        threshold=threshold,
        fused="fused" in fields[3:],
    )


def _csv_numbers_whole(numbers: Sequence[str]) -> bool:
    words = ("fused", "--", "", "nan", "None")
    threshold_good = not numbers or numbers[0] in words or number_of(numbers[0]) is not None
    return threshold_good and all(one in words or COSINE.match(one) for one in numbers[1:])


def read_advice(text: str) -> Artifact:
    """`*_advice.json` of hb_compile: which backend takes which tensors. Vpu and Spu are parts of the BPU."""
    value, problems = load_json(text)
    more = list(problems)
    tensors: dict[str, dict[str, str]] = {}
    for entry in value if isinstance(value, list) else ():
        backend = str(entry.get("backend", "")) if isinstance(entry, dict) else ""
        unit = BPU_BACKENDS.get(backend.lower().rsplit(".", 1)[-1], "")
        if not unit:
            more.append(f"unknown backend {backend!r}")
        for one in _tensor_entries(entry):
            if isinstance(one, dict) and "tensor_name" in one:
                tensors[str(one["tensor_name"])] = {"unit": unit, "dtype": dtype_of(str(one.get("data_type", "")))}
            else:
                more.append(f"entry without tensor_name: {str(one)[:60]}")
    if value is not None and not isinstance(value, list):
        more.append("not a list of backends")
    return Artifact("advice", "advice.json", facts={"tensors": tensors} if tensors else {}, problems=tuple(more))


def _tensor_entries(entry: Any) -> list[Any]:
    names = entry.get("tensor_names") if isinstance(entry, dict) else None
    return names if isinstance(names, list) else []


def unit_of_tensor(name: str, advice: Artifact) -> str:
    """Unit of a tensor by the advice file; it also uses the names `x_quantized` and `x_calibrated`."""
    tensors = advice.facts.get("tensors")
    for candidate in (name, f"{name}_quantized", f"{name}_calibrated"):
        if isinstance(tensors, dict) and candidate in tensors:
            return str(tensors[candidate]["unit"])
    return ""


def read_model_desc(text: str) -> Artifact:
    """The `[model desc]: {...}` JSON that hrt_model_exec model_info prints of a J6/S100 model: its build settings."""
    match = MODEL_DESC.search(text)
    if match is None:
        return Artifact("model_desc", "[model desc] JSON", problems=("no [model desc] in this text",))
    try:
        value, _ = json.JSONDecoder().raw_decode(text, match.end())
    except (ValueError, RecursionError) as error:
        return Artifact("model_desc", "[model desc] JSON", problems=(f"[model desc] is incomplete JSON: {error}",))
    if not isinstance(value, dict):
        return Artifact("model_desc", "[model desc] JSON", problems=("[model desc] is not an object",))
    settings = {str(k): _setting_word(v) for k, v in value.items() if v not in (None, "", {}, [])}
    versions = {
        word: str(value[key])
        for key, word in (("BUILDER_VERSION", "builder"), ("HBDK_VERSION", "hbdk"), ("HMCT_VERSION", "hmct"))
        if value.get(key)
    }
    return Artifact(
        "model_desc",
        "[model desc] JSON",
        versions=versions,
        march=str(value.get("MARCH") or ""),
        settings={"model_desc": settings},
        inputs=_desc_inputs(value),
    )


def _setting_word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _desc_inputs(value: Mapping[str, Any]) -> tuple[dict[str, str], ...]:
    names = [one for one in str(value.get("INPUT_NAMES") or "").split(";") if one]
    keys = ("INPUT_TYPE_RT", "INPUT_TYPE_TRAIN", "INPUT_LAYOUT_RT", "INPUT_SHAPE", "NORM_TYPE")
    columns = {key: str(value.get(key) or "").split(";") for key in keys}
    inputs = []
    for index, name in enumerate(names):
        block = {"name": name}
        for key, cells in columns.items():
            if len(cells) == len(names) and cells[index]:
                block[key.lower()] = cells[index]
        inputs.append(block)
    return tuple(inputs)
