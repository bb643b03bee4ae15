"""The word on a whole run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.consistency.checks import repeatability
from harness.consistency.checks.quantization import gated
from harness.errors import COULD_NOT_MEASURE, GOOD, MEASURED_BAD
from harness.records import Case, Checks, Comparison, DebugVsRelease, ModeOfRun, Verdict


def verdict(modes: Sequence[ModeOfRun], comparison: Comparison | None, checks: Checks | None = None) -> Verdict:
    """One word for the run, as `_of_board` says it; --min-quantization-sqnr changes its exit code alone."""
    word = _of_board(modes, comparison, checks)
    return _after_gate(word, comparison, checks or Checks())


def _of_board(modes: Sequence[ModeOfRun], comparison: Comparison | None, checks: Checks | None = None) -> Verdict:
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


def gated_checks(case: Case, comparison: Comparison | None, checks: Checks) -> tuple[Comparison | None, Checks]:
    """Both as they are, with what --min-quantization-sqnr says."""
    level = case.min_quantization_sqnr_db
    if level is None:
        return comparison, checks
    if comparison is None:
        return None, replace(checks, quantization=gated(checks.quantization, level))
    extras = comparison.extras
    return replace(comparison, extras=replace(extras, quantization=gated(extras.quantization, level))), checks


def _after_gate(word: Verdict, comparison: Comparison | None, checks: Checks) -> Verdict:
    """The board's word, with the exit code of --min-quantization-sqnr: 1 for a level that was missed, 3 for none."""
    quantization = (comparison.extras if comparison else checks).quantization
    gate = quantization.gate if quantization else ""
    if gate == "missed" and word.exit_code != MEASURED_BAD:
        return replace(word, exit_code=MEASURED_BAD)
    return replace(word, exit_code=COULD_NOT_MEASURE) if gate == "not_judged" and word.exit_code == GOOD else word


def not_measured(why: str) -> Verdict:
    """The word on a run that could not be made."""
    return Verdict("not_measured", why, COULD_NOT_MEASURE)
