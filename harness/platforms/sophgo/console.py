"""What `bmrt_test` and `model_runner` print: times of one inference with the runtime's own NPU and CPU parts."""

from __future__ import annotations

import re
import statistics

from harness.platforms.text import NUMBER, number, plain
from harness.records import Latency, OpTime

# net[N] stage[0], launch total time is 6996 us (npu 6801 us, cpu 195 us), (launch func time 164 us, sync 6834 us)
# Older: without the last bracket, or `normal` for `cpu`; with two missions a bracket of both after the npu's time.
_LAUNCH = re.compile(
    rf"launch total time is ({NUMBER}) us \((?:npu|tpu) ({NUMBER}) us(?: \[[^\]]*\])?, (?:cpu|normal) ({NUMBER}) us\)"
)
_RUNS = re.compile(
    rf"Performance result: ([0-9]+) runs take ({NUMBER}) ms, each run takes ({NUMBER}) ms, fps ({NUMBER})"
)
_RUNTIME = re.compile(r"(?:libbmrt|bmruntime|BMRuntime)[^\n]{0,200}?[Vv]ersion[:= ]+(\S+)|BMRT Version:? ?(\S+)")


def versions(text: str) -> dict[str, str]:
    """The runtime's version where its banner tells one."""
    match = _RUNTIME.search(plain(text).joined)
    return {"runtime": next(part for part in match.groups() if part)[:100]} if match else {}


def launches(log: str) -> list[tuple[float, float, float]]:
    """(total, NPU, CPU) microseconds of every launch that bmrt_test printed, in order."""
    rows = [tuple(number(part) for part in match.groups()) for match in _LAUNCH.finditer(plain(log).joined)]
    return [(a, b, c) for a, b, c in rows if a is not None and b is not None and c is not None]


def latency(log: str) -> Latency | None:
    """End to end of a launch, without the copies of inputs and outputs; None where the log tells none."""
    runs = _RUNS.search(plain(log).joined)
    if runs:
        mean_ms, total_ms = number(runs[3]), number(runs[2])
        if mean_ms is None:
            return None
        return Latency(
            mean_us=mean_ms * 1000.0,
            fps=number(runs[4]),
            frames=int(runs[1]),
            total_us=None if total_ms is None else total_ms * 1000.0,
        )
    totals = tuple(total for total, _, _ in launches(log))
    if not totals:
        return None
    return Latency(
        mean_us=statistics.fmean(totals),
        min_us=min(totals),
        max_us=max(totals),
        frames=len(totals),
        threads=1,
        samples_us=totals,
        warmup_excluded=False,
    )


def parts(log: str) -> tuple[OpTime, ...]:
    """The network's NPU and CPU parts by the runtime's own words, where no profile tells single ops."""
    rows = launches(log)
    if not rows:
        return ()
    means = [statistics.fmean(column) for column in list(zip(*rows, strict=True))[1:]]
    named = (("NPU", means[0]), ("CPU", means[1]))
    return tuple(
        OpTime(f"{unit} part", "subgraph", unit, "compute", mean_us, count=len(rows)) for unit, mean_us in named
    )
