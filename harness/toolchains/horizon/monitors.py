"""What the monitors and the profiler of J6 boards print: hrut_ddr, hrt_ucp_monitor, profiler.csv."""

from __future__ import annotations

import re

from harness.platforms.horizon.perf import read_profiler_csv
from harness.toolchains.base import text_reader
from harness.toolchains.records import Artifact
from harness.toolchains.text import Line, lines_of, number_of

DDR_HEADER = re.compile(r"^timestamp,\s*read_\w+/s,\s*write_\w+/s(?:,|\s*$)", re.IGNORECASE | re.MULTILINE)
MONITOR = re.compile(r"^[ \t]*(?:Core \d+:\s*busy=|BPU Utilization:|DDR Bandwidth:)", re.MULTILINE)
BUSY = re.compile(r"^\s*Core (?P<core>\d+):\s*busy=\s*(?P<busy>[\d.]+)%(?:\s+idle=\s*(?P<idle>[\d.]+)%)?")
FLOW = re.compile(r"^\s*(?P<way>Read|Write):\s*(?P<n>[\d.]+)\s*(?P<unit>[KMG]i?B/s)")
UNREAD = re.compile(r"[\d.]+ ?(?:%|[KMG]i?B\b|[GM]Hz\b)")  # a figure with the units of this tool
MOST_UNREAD = 5
MEMORY = re.compile(r"^\s*(?P<what>\w[\w ]*):\s*(?:RSS=)?\s*(?P<n>[\d.]+)\s*(?P<unit>[KMG]i?B)\s*$")


def _read_ddr(text: str) -> Artifact:
    """hrut_ddr -f csv: one row per sample; a damaged row is named."""
    rows: list[dict[str, object]] = []
    problems: list[str] = []
    columns: list[str] = []
    for line in lines_of(text):
        cells = [cell.strip() for cell in line.text.split(",")]
        if DDR_HEADER.match(line.text.strip()):
            problems += ["several captures in one file: the means are over all of them"] if columns else []
            columns = cells
        elif line.text.strip():
            values = [number_of(cell) for cell in cells]
            if len(values) != len(columns) or None in values or not line.whole:
                problems.append(f"line {line.number}: incomplete row")
            else:
                rows.append(dict(zip(columns, values, strict=True)))
    facts: dict[str, object] = {"samples": len(rows), "bandwidth": rows}
    facts |= {f"mean {key}": _mean(rows, key) for key in dict.fromkeys(key for row in rows for key in [*row][1:])}
    return Artifact("ddr_bandwidth", "hrut_ddr bandwidth", facts=facts, problems=tuple(problems))


def _mean(rows: list[dict[str, object]], key: str) -> float:
    values = [value for row in rows if isinstance(value := row.get(key), float | int)]
    return round(sum(values) / len(values), 3)


def _read_monitor(text: str) -> Artifact:
    """hrt_ucp_monitor: one row per core, direction and memory figure, in the order printed."""
    lines = list(lines_of(text))
    rows = [row for line in lines if (row := _monitor_row(line))]
    read = {row["line"] for row in rows}
    others = [line for line in lines if line.number not in read and UNREAD.search(line.text)]
    problems = [f"line {line.number}: figures not read: {line.text.strip()[:60]!r}" for line in others[:MOST_UNREAD]]
    if len(others) > MOST_UNREAD:
        problems.append(f"{len(others) - MOST_UNREAD} more lines with figures that were not read")
    if not rows:
        problems.append("no figures in it")
    return Artifact("ucp_monitor", "hrt_ucp_monitor", facts={"figures": rows}, problems=tuple(problems))


def _monitor_row(line: Line) -> dict[str, object]:
    if not line.whole:
        return {}
    if match := BUSY.match(line.text):
        return {
            "line": line.number,
            "what": f"core {match['core']} busy",
            "value": number_of(match["busy"]),
            "unit": "%",
        }
    if match := FLOW.match(line.text):
        way, value = match["way"].lower(), number_of(match["n"])
        return {"line": line.number, "what": f"DDR {way}", "value": value, "unit": match["unit"]}
    if match := MEMORY.match(line.text):
        return {"line": line.number, "what": match["what"], "value": number_of(match["n"]), "unit": match["unit"]}
    return {}


def _is_profiler_csv(text: str) -> bool:
    keys = {line.partition(",")[0].strip() for line in text[:4000].splitlines() if line.count(",")}
    return len(keys & {"ucp_version", "average_latency", "FPS", "frame_count", "thread_num", "run_time"}) > 2


def _read_profiler_csv(text: str) -> Artifact:
    """`key,value` lines; the nodes' rows are in profiler.log, which says the same."""
    values = dict(read_profiler_csv(text))
    version = values.pop("ucp_version", "")
    return Artifact(
        "profiler_csv",
        "profiler.csv of a board",
        versions={"ucp": version} if version else {},
        facts=dict(values),
        problems=() if "average_latency" in values else ("no average latency in it",),
    )


READERS = (
    text_reader("ddr_bandwidth", "hrut_ddr bandwidth", lambda t: DDR_HEADER.search(t) is not None, _read_ddr),
    text_reader("profiler_csv", "profiler.csv of a board", _is_profiler_csv, _read_profiler_csv),
    text_reader("ucp_monitor", "hrt_ucp_monitor", lambda t: MONITOR.search(t) is not None, _read_monitor),
)
