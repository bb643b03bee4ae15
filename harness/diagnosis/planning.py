"""Checks of the plan: is this build the one that ran, did it run where it was planned, was the estimate right."""

from __future__ import annotations

from harness.diagnosis.plan import is_elsewhere
from harness.diagnosis.rules import Findings, RunView, finding

LOW_COSINE = 0.95  # below this the vendors' manuals call a node lossy; it is about quantization, not the board
ESTIMATE_FACTOR = 1.5
MOST = 5


def another_build(view: RunView) -> Findings:
    """The files beside the model are of another build than the model on the board."""
    plan = view.plan
    if plan is None:
        return
    board = view.run.model_info.versions if view.run.model_info else {}
    builder, march = board.get("builder", ""), board.get("march", "")
    if builder and len(plan.versions) > 1 and builder not in plan.versions.values():
        tools = ", ".join(f"{tool} {version}" for tool, version in plan.versions.items())
        yield finding("B-501", f"the board's model was built by {builder}, the build files by {tools}")
    if march and plan.march and march != plan.march:
        yield finding("B-501", f"the board's model is for {march}, the build files for {plan.march}")


def moved(view: RunView) -> Findings:
    """Nodes that ran on another unit than planned."""
    for row in view.plan.rows if view.plan else ():
        if is_elsewhere(row.planned_unit, row.measured_unit):
            yield finding("B-502", f"planned {row.planned_unit}, ran on the {row.measured_unit}", subject=row.name)


def estimates(view: RunView) -> Findings:
    """B-503: a segment whose measured time is ESTIMATE_FACTOR times its estimate or more, either way.

    Never of an emulated board.
    """
    if view.plan is None or view.run.board.emulated:
        return
    for segment in view.plan.segments:
        ratio = segment.ratio
        if ratio is not None and not 1 / ESTIMATE_FACTOR <= ratio <= ESTIMATE_FACTOR:
            evidence = (
                f"estimated {segment.estimated_us:.1f} us, measured {segment.measured_us:.1f} us ({ratio:.2f} times)"
            )
            yield finding("B-503", evidence, subject=segment.name)


def quantization(view: RunView) -> Findings:
    """Nodes that lost accuracy in the toolchain already: no board can be better than its model."""
    if view.plan is None:
        return
    low = [row for row in view.plan.rows if row.toolchain_cosine is not None and row.toolchain_cosine < LOW_COSINE]
    if low:
        low.sort(key=lambda row: row.toolchain_cosine or 0.0)
        evidence = ", ".join(f"{row.name} {row.toolchain_cosine:.6g}" for row in low[:MOST])
        more = f" and {len(low) - MOST} more" if len(low) > MOST else ""
        yield finding("B-504", f"{len(low)} nodes below {LOW_COSINE}: {evidence}{more}", subject=low[0].name)


def messages(view: RunView) -> Findings:
    """B-505: errors and warnings that the toolchain printed while it built the model."""
    for message in view.plan.messages if view.plan else ():
        if message.severity in ("error", "warning"):
            times = f" ({message.count} times)" if message.count > 1 else ""
            yield finding("B-505", message.text[:300] + times, subject=message.subject, advice=message.meaning)


def unread(view: RunView) -> Findings:
    """R-301: what could not be read in the files of the build."""
    for problem in view.plan.problems if view.plan else ():
        yield finding("R-301", problem, subject="build")


CHECKS = (another_build, moved, estimates, quantization, messages, unread)
