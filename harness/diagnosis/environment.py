"""Checks of the board and its surroundings: versions, failures, clocks, heat, company on the accelerator."""

from __future__ import annotations

from harness.diagnosis.rules import Findings, RunView, finding
from harness.profiling.telemetry import busy_before, hottest, slowed

# Failure.kind of a platform -> rule
_FAILURES = {
    "wrong_march": "E-102", "memory": "E-103", "no_space": "E-103", "board_state": "E-104", "missing_tool": "E-105",
    "missing_library": "E-105", "missing_file": "E-107", "crash": "E-106", "timeout": "E-106", "killed": "E-106",
    "version_skew": "E-101", "wrong_library": "M-507", "unwritable_names": "M-506",
}  # fmt: skip
HOT_C = 95.0  # junction limits of these chips lie at 105 to 125 degrees; below this no board was seen to slow down
DAY_S = 86400.0  # boards without a battery start in 2000 or at the day of their kernel


def version_skew(view: RunView) -> Findings:
    """E-101: the board's runtime and the model's are of different versions."""
    versions = view.run.versions
    board, model = versions.get("hbrt"), versions.get("model_hbrt")
    if board and model and board != model:
        yield finding("E-101", f"the board's HBRT is {board}, the model was built for {model}")
        return
    for warning in view.run.model_info.warnings if view.run.model_info else ():
        if warning.startswith("version skew:"):
            yield finding("E-101", warning)


def failures(view: RunView) -> Findings:
    """A finding for every mode that failed, by the kind of its failure; E-107 where the kind has none of its own."""
    for mode in view.run.modes:
        failure = mode.failure
        if failure is None:
            continue
        evidence = f"{mode.mode}: {failure.message}" + (f" ({failure.evidence!r})" if failure.evidence else "")
        yield finding(_FAILURES.get(failure.kind, "E-107"), evidence, subject=mode.mode, advice=failure.hint)


def governor(view: RunView) -> Findings:
    """E-110: a clock of the board may change while it is measured."""
    wrong = {
        f"{where}: {word}"
        for sense in view.senses
        for where, word in sense.governors.items()
        if word not in ("performance", "userspace")
    }
    if wrong:
        yield finding("E-110", ", ".join(sorted(wrong)))


def throttled(view: RunView) -> Findings:
    """E-111: clocks went down during the run."""
    for notice in slowed(view.senses):
        yield finding("E-111", notice)


def accelerator_busy(view: RunView) -> Findings:
    """E-112: the accelerator was busy before the run."""
    evidence = busy_before(view.senses)
    if evidence:
        yield finding("E-112", evidence)


def overheated(view: RunView) -> Findings:
    """E-113: a sensor reached HOT_C degrees Celsius."""
    hottest_sense = hottest(view.senses)
    if hottest_sense and hottest_sense[1] >= HOT_C:
        yield finding("E-113", f"{hottest_sense[0]} reached {hottest_sense[1]:g} C")


def wrong_clock(view: RunView) -> Findings:
    """E-114: the board's clock and this PC's are more than a day apart."""
    offset = view.run.board.facts.get("clock_offset_s")
    if isinstance(offset, int | float) and abs(offset) > DAY_S:
        yield finding("E-114", f"{offset / DAY_S:+.0f} days from this PC's clock")


CHECKS = (version_skew, failures, governor, throttled, accelerator_busy, overheated, wrong_clock)
