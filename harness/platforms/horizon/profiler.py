"""profiler.log of `hrt_model_exec perf --profile_path`: two JSON blocks with a line `***` between them, sometimes one,
sometimes broken.

A block that does not parse is salvaged section by section and node by node: only objects whose braces close are taken,
so no figure comes from a cut number. What is lost is listed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.platforms.horizon.text import read_versions
from harness.platforms.text import plain
from harness.records import OpTime

_SECTIONS = ("perf_result", "running_condition", "model_latency", "chip_latency", "processor_latency", "task_latency")
_STAGES = ("avg_time", "max_time", "min_time")
_PROCESSORS = {"BPU_inference_time_cost": "BPU", "CPU_inference_time_cost": "CPU"}
_LAYOUT = re.compile(r"^(.+)_(input|output)_layout_convert$")
_UCP_NODE = re.compile(r"^Node-([0-9]{1,9})-([A-Za-z0-9]+)-(.+)$")
_TYPED = re.compile(r"^([A-Z][A-Za-z0-9]*?)_(.+)$")
_DECODER = json.JSONDecoder(parse_constant=lambda word: word)
MAX_DEPTH_ERRORS = (ValueError, RecursionError)


@dataclass
class ProfilerLog:
    """The content of profiler.log: its sections as found, the versions, what could not be read."""

    sections: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def figure(self, section: str, key: str) -> float | None:
        """A number of the first block, or None."""
        return _number(self.sections.get(section, {}).get(key))

    def count(self, section: str, key: str) -> int | None:
        """As `figure`, for what must be a whole number."""
        value = self.figure(section, key)
        return int(value) if value is not None and value.is_integer() else None

    @property
    def has_nodes(self) -> bool:
        """Whether it holds times of single nodes."""
        return bool(self.sections.get("model_latency"))


def read_profiler_log(text: str) -> ProfilerLog:
    """Read all of it that can be trusted. Never raises; an absent file (empty text) gives no sections."""
    log = ProfilerLog(versions=read_versions(text))
    if not text.strip():
        return log
    body = plain(text).joined
    blocks = [block for block in re.split(r"^[ \t]*\*{3,}[ \t\r]*$", body, flags=re.MULTILINE) if block.strip()]
    for index, block in enumerate(blocks):
        _read_block(block, f"block {index + 1}", log)
    if len(blocks) < 2:
        log.problems.append("profiler.log has one block: " + ("no node times" if not log.has_nodes else "no *** line"))
    if not log.has_nodes:
        log.problems.append("profiler.log has no node times (model_latency)")
    return log


def _read_block(block: str, where: str, log: ProfilerLog) -> None:
    start = block.find("{")
    if start < 0:
        log.problems.append(f"profiler.log {where}: not a JSON object")
        return
    try:
        value, end = _DECODER.raw_decode(block, start)
    except MAX_DEPTH_ERRORS as error:
        log.problems.append(f"profiler.log {where} is damaged ({_short(error)}): only complete sections are read")
        _salvage(block, log)
        return
    for name in _SECTIONS:
        if isinstance(value, dict) and isinstance(value.get(name), dict):
            _merge(log, name, value[name])
    if block[end:].strip():
        log.problems.append(f"profiler.log {where}: {len(block[end:].strip())} characters after its end are not read")


def _short(error: Exception) -> str:
    return str(error)[:80] if isinstance(error, ValueError) else "nested too deep"


def _merge(log: ProfilerLog, name: str, section: Mapping[str, Any]) -> None:
    """Keep the first figure of a key; a second one that differs makes it unknown."""
    kept = log.sections.setdefault(name, {})
    for key, value in section.items():
        if key in kept and kept[key] != value:
            log.problems.append(f"profiler.log gives {name}.{key} twice with different values: not used")
            kept[key] = None
        elif key not in kept:
            kept[key] = value


# --------------------------------------------------------------------------- salvage


def _salvage(block: str, log: ProfilerLog) -> None:
    for name in _SECTIONS:
        for section in _objects_named(block, name):
            _merge(log, name, section)
    if not log.has_nodes:
        _salvage_nodes(block, log)


def _objects_named(block: str, name: str) -> Iterator[dict[str, Any]]:
    for match in re.finditer(rf'"{name}"\s*:\s*(?=\{{)', block):
        try:
            value, _ = _DECODER.raw_decode(block, match.end())
        except MAX_DEPTH_ERRORS:
            continue
        if isinstance(value, dict) and not set(value) & set(_SECTIONS):
            yield value


def _salvage_nodes(block: str, log: ProfilerLog) -> None:
    """`model_latency` itself is cut: the nodes whose own braces close."""
    match = re.search(r'"model_latency"\s*:\s*\{', block)
    if match is None:
        return
    position, comma = match.end(), re.compile(r"\s*,?\s*")
    node = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:\s*(?=\{)')
    while node_match := node.match(block, comma.match(block, position).end()):  # type: ignore[union-attr]
        try:
            value, position = _DECODER.raw_decode(block, node_match.end())
        except MAX_DEPTH_ERRORS:
            break
        _merge(log, "model_latency", {node_match[1]: value})
    log.problems.append(
        f"model_latency is truncated: {len(log.sections.get('model_latency', {}))} complete nodes are read"
    )


# --------------------------------------------------------------------------- figures


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300:
        return None
    return float(value)


def _times_us(entry: Any) -> dict[str, float]:
    """`{"avg_time": ms, ...}` -> microseconds, only what is a number. NaN words stay out."""
    if not isinstance(entry, dict):
        return {}
    times = {key: _number(entry.get(key)) for key in _STAGES}
    return {key: value * 1000.0 for key, value in times.items() if value is not None}


def op_times(log: ProfilerLog) -> tuple[OpTime, ...]:
    """Nodes of the second block, then waits. Keys are sorted by the tool, so the order is not the execution order.

    A node without an `avg_time` is left out and named in `log.problems`.
    """
    nodes = log.sections.get("model_latency", {})
    ops = [op for name, entry in nodes.items() if (op := _node(name, entry, log))]
    ops += [op for name, entry in log.sections.get("task_latency", {}).items() if (op := _wait(name, entry))]
    return tuple(ops)


def processor_times_us(log: ProfilerLog) -> dict[str, float]:
    """The tool's own sums per processor: {"BPU": us, "CPU": us}, from `processor_latency` or the old `chip_latency`."""
    by_unit: dict[str, float] = {}
    for section in ("processor_latency", "chip_latency"):
        for key, unit in _PROCESSORS.items():
            times = _times_us(log.sections.get(section, {}).get(key))
            if "avg_time" in times:
                by_unit.setdefault(unit, times["avg_time"])
    return by_unit


def _node(name: str, entry: Any, log: ProfilerLog) -> OpTime | None:
    stages = _stages(entry)
    times = _times_us(stages.get("Total", entry) if stages else entry)
    if "avg_time" not in times:
        log.problems.append(f"profiler.log: node {name!r} has no avg_time")
        return None
    op, kind, unit, category = describe_node(name)
    return OpTime(
        name=op,
        kind=kind,
        unit=unit,
        category=category,
        mean_us=times["avg_time"],
        min_us=times.get("min_time"),
        max_us=times.get("max_time"),
        figures=_stage_figures(stages),
        index=int(match[1]) if (match := _UCP_NODE.match(name)) else None,
    )


def _stages(entry: Any) -> dict[str, Any]:
    """UCP: `Stage1-GenerateBpuTask`, `Stage2-BpuCoreProcess`, `Total` inside a node."""
    if not isinstance(entry, dict):
        return {}
    return {k: v for k, v in entry.items() if k == "Total" or re.match(r"Stage[0-9]+-", k)}


def _stage_figures(stages: Mapping[str, Any]) -> dict[str, float]:
    figures = {}
    for stage, entry in stages.items():
        times = _times_us(entry)
        if stage != "Total" and "avg_time" in times:
            figures[f"{stage} mean_us"] = times["avg_time"]
    return figures


def _wait(name: str, entry: Any) -> OpTime | None:
    times = _times_us(entry)
    if "avg_time" not in times:
        return None
    return OpTime(name, "task", "", "wait", times["avg_time"], times.get("min_time"), times.get("max_time"))


def describe_node(name: str) -> tuple[str, str, str, str]:
    """A profiler key -> (op or subgraph name, kind, unit, category), by the names seen in real logs.

    `BPU_<subgraph>`, `<subgraph>_input_layout_convert`, `Preprocess`, `Dequantize_<node>`, `<OpType>_<node>`;
    UCP: `Node-<N>-BPU-<op>_bpu_segment_<M>`. CPU nodes of UCP were never seen: `Node-<N>-CPU-...` is taken by analogy,
    and what stands behind it is read as on the other boards.
    """
    if match := _UCP_NODE.match(name):
        return _ucp_node(match[2].upper(), match[3])
    if name.startswith("BPU_"):
        return name[4:], "subgraph", "BPU", "compute"
    return _step(name)


def _ucp_node(unit: str, name: str) -> tuple[str, str, str, str]:
    if unit == "BPU":
        return name, "subgraph", unit, "compute"
    op, kind, _, category = _step(name)
    is_numbered = op.isdigit()  # `Softmax_3` is a node's own name, not node 3
    return name if is_numbered else op, kind or "node", unit, category


def _step(name: str) -> tuple[str, str, str, str]:
    """What runs off the accelerator: an op, or what the toolchain put around one."""
    if _LAYOUT.match(name):
        return name, "layout_convert", "CPU", "layout"
    if name.startswith("Preprocess"):
        return name, "Preprocess", "CPU", "pre"
    match = _TYPED.match(name)
    kind, op = (match[1], match[2]) if match else ("", name)
    categories = {"Quantize": "quantize", "Dequantize": "dequantize"}
    return op, kind, "CPU", categories.get(kind.removeprefix("Hz"), "compute")
