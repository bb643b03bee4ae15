"""Checks of the profile: where time is lost, and how far the figures carry."""

from __future__ import annotations

from collections.abc import Sequence

from harness.diagnosis.rules import Findings, RunView, finding
from harness.profiling.distribution import distribution
from harness.profiling.split import LAYOUT, OUTLIERS, OUTLIERS_SHARE, QUANTIZE, shares
from harness.records import Distribution, Finding, OpTime, Profile

UNATTRIBUTED_SHARE = 0.20  # captured single-thread profiles of X3 leave 1 to 5 %; X5 of small models up to 22 %
BORDER_SHARE = 0.15
HOST_SHARE = 0.50
SPREAD = 2.0  # mean over min: 6.3 ms against 12.4 ms was a board shared with another program
_BORDER = ("quantize", "dequantize", "layout")


def cuts(view: RunView) -> Findings:
    """An op off the accelerator between two subgraphs, with what its borders cost."""
    profile = view.profile
    if profile is None or not profile.order_known:
        return
    ops = [op for op in profile.ops if op.category != "wait"]
    for index, op in enumerate(ops):
        if op.category == "compute" and op.kind != "subgraph" and _between_subgraphs(ops, index):
            yield _cut(profile, ops, index)


def _between_subgraphs(ops: Sequence[OpTime], index: int) -> bool:
    return any(op.kind == "subgraph" for op in ops[:index]) and any(op.kind == "subgraph" for op in ops[index:])


def _cut(profile: Profile, ops: Sequence[OpTime], index: int) -> Finding:
    op = ops[index]
    border = [other for other in _around(ops, index) if other.category in _BORDER]
    border_us = sum(other.mean_us for other in border)
    whole = profile.latency.mean_us
    share = f", {(op.mean_us + border_us) / whole:.1%} of the latency" if whole > 0 else ""
    evidence = f"{op.name} ({op.kind}) takes {op.mean_us:.1f} us on the {op.unit or 'CPU'}"
    if border:
        evidence += f", plus quantize and layout conversion {border_us:.1f} us"
    return finding("T-201", evidence + share, subject=op.name)


def _around(ops: Sequence[OpTime], index: int) -> list[OpTime]:
    """Ops between the subgraph before and the subgraph after; those of two neighbours are counted for each."""
    first, last = index, index
    while first > 0 and ops[first - 1].category in _BORDER:
        first -= 1
    while last + 1 < len(ops) and ops[last + 1].category in _BORDER:
        last += 1
    return list(ops[first : last + 1])


def unattributed(view: RunView) -> Findings:
    """T-202: a share of the usual latency that no op accounts for, slow frames left out. Not where ops were lost or
    several threads ran."""
    profile = view.profile
    if profile is None or not profile.ops or (profile.latency.threads or 1) > 1:
        return
    usual_us = profile.latency.mean_us - profile.split_us.get(OUTLIERS, 0.0)
    share = profile.unattributed_us / usual_us if usual_us > 0 else 0.0
    if share > UNATTRIBUTED_SHARE and not _lost_ops(profile):
        yield finding("T-202", f"{profile.unattributed_us:.1f} us of {usual_us:.1f} us ({share:.1%})")


def _lost_ops(profile: Profile) -> bool:
    """The table of ops was not read whole: what it leaves unattributed is what was lost (R-301 says so)."""
    return any("is truncated" in p or "is damaged" in p or "no avg_time" in p for p in profile.latency.problems)


def borders(view: RunView) -> Findings:
    """T-203: the share of the latency that goes to quantizing, dequantizing and changes of layout."""
    if view.profile is None:
        return
    parts = shares(view.profile)
    share = parts.get(QUANTIZE, 0.0) + parts.get(LAYOUT, 0.0)
    if share > BORDER_SHARE:
        evidence = (
            f"quantize and dequantize {parts.get(QUANTIZE, 0.0):.1%}, layout conversion {parts.get(LAYOUT, 0.0):.1%}"
        )
        yield finding("T-203", evidence + " of the latency")


def on_the_host(view: RunView) -> Findings:
    """T-204: the share of the latency that goes to ops on the CPU, with the slowest three."""
    if view.profile is None or not any(op.kind == "subgraph" for op in view.profile.ops):
        return
    share = shares(view.profile).get("CPU", 0.0)
    if share > HOST_SHARE:
        slow = sorted((op for op in view.profile.ops if op.unit == "CPU"), key=lambda op: -op.mean_us)[:3]
        yield finding("T-204", f"CPU {share:.1%}; slowest: " + ", ".join(f"{o.name} {o.mean_us:.1f} us" for o in slow))


def spread(view: RunView) -> Findings:
    """T-205: a few frames make the mean, or all of them vary."""
    profile = view.profile
    if profile is None or (profile.latency.threads or 1) > 1:
        return
    latency, known = profile.latency, profile.distribution or distribution(profile.latency)
    if known and known.outliers and known.outliers_add_us > OUTLIERS_SHARE * known.median_us:
        yield _slow_frames(known, latency.mean_us)
    usual_us = latency.mean_us - known.outliers_add_us if known else latency.mean_us
    if latency.min_us and usual_us > SPREAD * latency.min_us:
        yield finding("T-205", f"mean {usual_us:.1f} us, least {latency.min_us:.1f} us")


def _slow_frames(known: Distribution, mean_us: float) -> Finding:
    """`1 of 200 frames took 20.0 ms`."""
    slow = dict.fromkeys(f"{(value or 0.0) / 1000:.3g} ms" for value in (known.outliers_from_us, known.outliers_to_us))
    title = f"{known.outliers} of {known.frames} frames took {' to '.join(slow)}"
    usual = "without it the mean is" if known.basis == "bounds" else "the median is"
    return finding("T-205", f"{usual} {known.median_us:.1f} us; the mean, {mean_us:.1f} us, has it in", title=title)


DRIFT = 0.05  # of the median, between the first and the last quarter of the frames


def drift(view: RunView) -> Findings:
    """T-210: the latency rises or falls while it is measured."""
    known = view.profile.distribution if view.profile else None
    if known is not None and known.drift is not None and abs(known.drift) > DRIFT:
        yield finding("T-210", f"median of the last quarter of {known.frames} frames: {known.drift:+.1%} of the first")


def how_far(view: RunView) -> Findings:
    """Notes on what the figures are."""
    profile = view.profile
    if profile is None:
        return
    if profile.latency.frames == 1:
        yield finding("T-206", "one frame was timed")
    if (profile.latency.threads or 1) > 1:
        yield finding("T-207", f"{profile.latency.threads} threads")
    if profile.estimated:
        units = sorted({op.unit for op in profile.ops if op.estimated})
        yield finding("T-208", f"estimated: times of the {', '.join(units)}" if units else "estimated: end to end")
    if profile.ops and not profile.order_known:
        yield finding("T-209", "the profiler's table is sorted by name")


def unread(view: RunView) -> Findings:
    """R-301: what could not be read in the model's description and in the times."""
    problems = [("model_info", p) for p in (view.run.model_info.problems if view.run.model_info else ())]
    if view.profile:
        problems += (("times", p) for p in view.profile.latency.problems)
    for subject, problem in problems:
        yield finding("R-301", problem, subject=subject)


CHECKS = (cuts, unattributed, borders, on_the_host, spread, drift, how_far, unread)
