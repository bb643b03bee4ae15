"""The word on a whole run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.consistency.checks import repeatability
from harness.errors import COULD_NOT_MEASURE, MEASURED_BAD
from harness.records import Checks, Comparison, DebugVsRelease, ModeOfRun, Verdict


def verdict(modes: Sequence[ModeOfRun], comparison: Comparison | None, checks: Checks | None = None) -> Verdict:
    """One word for the run. A mode that failed can never be good; nothing compared is never consistent.

    Instability comes first: the layers of an unstable run say little. Then what the comparison found; then a debug
    build that computes something else than the release build, whose layers are those of another run. `checks` is what
    the board says against itself where there was no comparison.
    """
    failed = [(mode.mode, mode.failure) for mode in modes if mode.failure]
    extras = comparison.extras if comparison else Checks()
    alone = repeatability.without_reference(checks or Checks())
    if comparison is None and alone.exit_code == MEASURED_BAD:
        return alone
    if comparison is not None:
        word = repeatability.final_verdict(comparison.verdict, extras)
        if word.exit_code == MEASURED_BAD:
            return word
    other = extras.debug_vs_release or DebugVsRelease()
    if other.same is False and not other.within:
        return Verdict("diverges", other.detail, MEASURED_BAD)
    if failed:
        mode, failure = failed[0]
        return not_measured(f"{mode}: {failure.message}")
    if comparison is not None and comparison.verdict.word == "consistent" and other.within:
        return replace(comparison.verdict, word="consistent_within", detail=other.detail)
    return comparison.verdict if comparison is not None else alone


def not_measured(why: str) -> Verdict:
    """The word on a run that could not be made."""
    return Verdict("not_measured", why, COULD_NOT_MEASURE)
