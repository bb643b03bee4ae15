"""Checks of the profile: where time is lost, and how far the figures carry."""

from __future__ import annotations

from harness.diagnosis.rules import Findings, RunView, finding
from harness.profiling.distribution import distribution
from harness.profiling.split import LAYOUT, OUTLIERS, OUTLIERS_SHARE, QUANTIZE, shares
from harness.profiling.stretches import is_whole
from harness.records import Band, Distribution, Finding, Stretch

UNATTRIBUTED_SHARE = 0.20  # captured single-thread profiles of X3 leave 1 to 5 %; X5 of small models up to 22 %
BORDER_SHARE = 0.15
HOST_SHARE = 0.50
SPREAD = 2.0  # mean over min: 6.3 ms against 12.4 ms was a board shared with another program


def cuts(view: RunView) -> Findings:
    """T-201: one finding per cut of the accelerator's graph, about the op that causes it, with what the cut costs."""
    whole = view.segmentation
    for stretch in whole.cuts if whole else ():
        if whole is not None and stretch.ops:
            yield _cut(stretch, whole.end_to_end_us)


def _cut(stretch: Stretch, whole_us: float) -> Finding:
    """Its subject is the slowest op; ops that only follow their neighbours cause no cut beside another one."""
    causes = [op for op in stretch.ops if op.reason != "passive"] or list(stretch.ops)
    op = max(causes, key=lambda one: one.time_us)
    others = [other for other in stretch.ops if other is not op]
    evidence = f"{op.name} ({op.kind}) takes {op.time_us:.1f} us on the {op.unit}"
    if others:
        names = ", ".join(other.name for other in others[:3]) + (", ..." if len(others) > 3 else "")
        evidence += f", {names} beside it {sum(other.time_us for other in others):.1f} us"
    if stretch.borders_us:
        evidence += f", plus quantize and layout conversion {stretch.borders_us:.1f} us"
    if stretch.launch_us:
        evidence += f" and one start of the accelerator {stretch.launch_us:.1f} us"
    share = f", {100 * stretch.total_us / whole_us:.1f} % of the latency" if whole_us > 0 else ""
    why = f"; {op.why}" if op.reason else ""
    return finding("T-201", f"{evidence}{share}; {_won(stretch)}{why}", subject=op.name, advice=op.advice)


def _won(stretch: Stretch) -> str:
    """What moving all of a cut to the accelerator would win, with the band of an estimate."""
    bounds = f"moving it would win {stretch.gain_low_us:.1f} to {stretch.gain_high_us:.1f} us"
    return f"{bounds}, estimated: {_between(stretch.gain_band)}" if stretch.gain_band else bounds


def unattributed(view: RunView) -> Findings:
    """T-202: a share of the usual latency that no op accounts for, slow frames left out. Not where ops were lost or
    several threads ran."""
    profile = view.profile
    if profile is None or not profile.ops or (profile.latency.threads or 1) > 1:
        return
    usual_us = profile.latency.mean_us - profile.split_us.get(OUTLIERS, 0.0)
    share = profile.unattributed_us / usual_us if usual_us > 0 else 0.0
    if share > UNATTRIBUTED_SHARE and is_whole(profile):
        yield finding("T-202", f"{profile.unattributed_us:.1f} us of {usual_us:.1f} us ({share:.1%})")


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
        what = f"times of the {', '.join(units)}" if units else "end to end"
        what = f"simulated by {profile.simulator}: {what}" if profile.simulator else f"estimated: {what}"
        off = f"end to end {_between(profile.band)}" if profile.band else "how far they may be off is not known"
        yield finding("T-208", f"{what}; {off}")
    if profile.ops and not profile.order_known:
        yield finding("T-209", "the profiler's table is sorted by name")


def _between(band: Band) -> str:
    low_ms, high_ms = band.low_us / 1e3, band.high_us / 1e3
    return f"between {low_ms:.3g} and {high_ms:.3g} ms for {band.share * 100:.0f} % of {band.of}"


def unread(view: RunView) -> Findings:
    """R-301: what could not be read in the model's description and in the times."""
    problems = [("model_info", p) for p in (view.run.model_info.problems if view.run.model_info else ())]
    if view.profile:
        problems += (("times", p) for p in view.profile.latency.problems)
    for subject, problem in problems:
        yield finding("R-301", problem, subject=subject)


CHECKS = (cuts, unattributed, borders, on_the_host, spread, drift, how_far, unread)
