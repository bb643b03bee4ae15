"""Latency as the Horizon tools print it: the `perf` console, the `infer` console, profiler.csv.

Times are milliseconds in the text and microseconds in the records. A figure is taken only with its label and its unit
on one whole line. The tool's own arithmetic is checked to half a percent (research on captured runs: one S600 build
prints the FPS of its last progress line, 0.1 % off) and never corrected. FPS and latency are not checked against each
other: with several threads, or with the BPU's own queue, FPS is not 1000 / latency.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.platforms.text import NUMBER, Text, number, plain
from harness.records import Latency

_N = rf"({NUMBER})"
_PROGRESS = re.compile(
    rf"^\s*Frame count:\s*([0-9]{{1,18}}),\s*Thread Average:\s*{_N} ms,\s*thread max latency:\s*{_N} ms,"
    rf"\s*thread min latency:\s*{_N} ms(?:,\s*FPS:\s*{_N})?\s*$"
)
# label, key, ends with a unit (then a cut line shows)
_SUMMARY: tuple[tuple[re.Pattern[str], str, bool], ...] = (
    (re.compile(r"^\s*Thread number\s+is:\s*([0-9]+)\s*$"), "threads", False),
    (re.compile(r"^\s*Frame count\s+is:\s*([0-9]+)\s*$"), "frames", False),
    (re.compile(r"^\s*core number\s+is:\s*([0-9]+)\s*$"), "core", False),
    (re.compile(rf"^\s*Program run time:\s*{_N} ms\s*$"), "run_ms", True),
    (re.compile(rf"^\s*Frame totally latency is:\s*{_N} ms\s*$"), "sum_ms", True),
    (re.compile(rf"^\s*Average\s+latency\s+is:\s*{_N} ms\s*$"), "mean_ms", True),
    (re.compile(rf"^\s*Frame\s+rate\s+is:\s*{_N} FPS\s*$"), "fps", True),
)
_INFER = re.compile(rf"^\s*Infer time:\s*{_N} ms\s*$")
_CORE_FLAG = re.compile(r"--core_id[= ]([0-9]+(?:,[0-9]+)*)(?:\s|$)")
TOLERANCE = 0.005


@dataclass
class PerfText:
    """Figures of one perf console. Keys of `values`: threads frames core run_ms sum_ms mean_ms fps min_ms max_ms."""

    values: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    has_summary: bool = False

    def put(self, key: str, value: float) -> None:
        """A second figure that contradicts the first one makes the value unknown: two runs share the log."""
        old = self.values.get(key)
        if old is not None and old != value and f"twice:{key}" not in self.values:
            self.problems.append(f"the log has {key} twice: {old:g} and {value:g}; not used")
            self.values[f"twice:{key}"] = 1.0
        self.values[key] = value

    def get(self, key: str) -> float | None:
        """A figure as printed; None where it is missing, or printed twice with two values."""
        return None if f"twice:{key}" in self.values else self.values.get(key)

    def integer(self, key: str) -> int | None:
        """The same as a whole number."""
        value = self.get(key)
        return None if value is None else int(value)

    def us(self, key: str) -> float | None:
        """A figure of milliseconds in microseconds."""
        value = self.get(key)
        return None if value is None else value * 1000.0


def read_perf(text: str) -> PerfText:
    """The `perf` console: progress lines (least minimum, greatest maximum) and the summary."""
    lines = plain(text)
    perf = PerfText()
    _read_progress(lines, perf)
    for line, whole in lines.numbered():
        if line.strip() == "Perf result:":
            perf.has_summary = True
        _take_summary(line, whole, perf)
    _check(perf)
    return perf


def _read_progress(lines: Text, perf: PerfText) -> None:
    rows = [m for line, whole in lines.numbered() if whole and (m := _PROGRESS.match(line))]
    if not rows:
        return
    figures = [[number(m[group]) for group in (1, 2, 3, 4)] for m in rows]
    frames, means, most, least = ([one for one in column if one is not None] for column in zip(*figures, strict=True))
    named = (("min_ms", sorted(least)[:1]), ("max_ms", sorted(most)[-1:]), ("progress_mean_ms", means[-1:]))
    perf.values.update({key: value for key, values in (*named, ("progress_frames", frames[-1:])) for value in values})


def _take_summary(line: str, whole: bool, perf: PerfText) -> None:
    for pattern, key, closed in _SUMMARY:
        match = pattern.match(line)
        if match is None:
            continue
        value = number(match[1])
        if value is None or not (whole or closed):
            perf.problems.append(f"the text ends inside {line.strip()!r}")
        else:
            perf.put(key, value)


def _check(perf: PerfText) -> None:
    """The tool's own arithmetic."""
    frames, run, total, mean, fps = (perf.get(k) for k in ("frames", "run_ms", "sum_ms", "mean_ms", "fps"))
    if frames and total is not None and mean is not None:
        _agree(perf, "average latency", mean, total / frames, "total / frames")
    if frames and run and fps is not None:
        _agree(perf, "frame rate", fps, frames * 1000.0 / run, "frames / run time")
    if total is not None and mean is not None and perf.has_summary and mean < 0:
        perf.problems.append(f"average latency is negative: {mean:g} ms")


def _agree(perf: PerfText, what: str, printed: float, computed: float, how: str) -> None:
    if abs(printed - computed) > TOLERANCE * max(abs(printed), abs(computed)):
        perf.problems.append(f"{what}: the tool says {printed:g}, {how} is {computed:g}")


def latency_of(perf: PerfText, log: str, warmup_excluded: bool | None = None) -> Latency | None:
    """End-to-end latency of a perf run; None without a summary (a killed run prints progress lines only)."""
    mean_us = perf.us("mean_ms")
    if not perf.has_summary or mean_us is None:
        return None
    match = _CORE_FLAG.search(log)
    return Latency(
        mean_us=mean_us,
        min_us=perf.us("min_ms"),
        max_us=perf.us("max_ms"),
        fps=perf.get("fps"),
        frames=perf.integer("frames"),
        threads=perf.integer("threads"),
        core=match[1] if match else "",
        total_us=perf.us("run_ms"),
        warmup_excluded=warmup_excluded,
        problems=tuple(perf.problems),
    )


# --------------------------------------------------------------------------- infer


def read_infer(text: str) -> Latency | None:
    """Frames of an `infer` run. One frame is the first after loading: no latency to compare a night by."""
    samples = []
    for line, whole in plain(text).numbered():
        match = _INFER.match(line) if whole or line.endswith("ms") else None
        if match and (cost_ms := number(match[1])) is not None:
            samples.append(cost_ms * 1000.0)
    if not samples:
        return None
    return Latency(
        mean_us=sum(samples) / len(samples),
        min_us=min(samples),
        max_us=max(samples),
        frames=len(samples),
        threads=1,
        samples_us=tuple(samples),
        warmup_excluded=False,
        notes=("one cold frame: not a latency measurement",) if len(samples) == 1 else (),
    )


# --------------------------------------------------------------------------- profiler.csv

_CSV_KEYS = ("ucp_version", "thread_num", "core_id", "frame_count", "run_time", "model_name", "average_latency", "FPS")


def read_profiler_csv(text: str) -> dict[str, str]:
    """`key,value` lines with section lines between them, as the UCP tool writes; a value may hold commas."""
    values: dict[str, str] = {}
    for line, whole in plain(text).numbered():
        key, comma, value = line.strip().partition(",")
        if comma and whole and key in _CSV_KEYS:
            values.setdefault(key, value.strip())
    return values


def csv_problems(csv: Mapping[str, str], log: Mapping[str, float | str | None]) -> list[str]:
    """Where profiler.csv and profiler.log of one run disagree."""
    problems = []
    for key in ("average_latency", "FPS", "run_time", "frame_count", "thread_num"):
        in_csv, other = number(csv.get(key, "")), log.get(key)
        if (
            in_csv is not None
            and isinstance(other, int | float)
            and abs(in_csv - other) > TOLERANCE * max(abs(in_csv), abs(other))
        ):
            problems.append(f"profiler.csv says {key} {in_csv:g}, profiler.log {other:g}")
    return problems
