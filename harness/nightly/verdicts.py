"""The word on one pair: from its run and its earlier nights. Pure: a run and a history in, a cell out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.agent.words import Refused
from harness.errors import (
    GOOD,
    MEASURED_BAD,
    AgentError,
    BoardError,
    BoardInUseError,
    HarnessError,
    HostError,
    LinkError,
    ToolError,
    UserError,
)
from harness.history.epochs import epoch_of
from harness.profiling.distribution import distribution
from harness.records import Run
from harness.records.nights import Cell, CellLatency
from harness.regressions.gate import LEAST_CHANGE_US, GateLimits
from harness.regressions.judge import JudgedLatency, SuspectedPair, final, suspected
from harness.regressions.series import NightPoint
from harness.session.alongside.sensors import HotBoardError

_HOT_RULES = ("E-111", "E-113")  # clocks went down; a sensor near its limit


@dataclass(frozen=True)
class Limits:
    """What a pair's latency may do, in percent."""

    max_slower_percent: float = 2.0
    max_drift_percent: float = 2.0


def cell_of(cell: Cell, run: Run, limits: Limits, history: Sequence[NightPoint]) -> Cell:
    """The cell of a run that was judged. `history`: earlier nights of this pair, oldest first."""
    word = run.verdict.word if run.verdict else ""
    detail = "; ".join(run.verdict.detail.splitlines()) if run.verdict else "the run was not judged"
    cell = replace(
        cell,
        state="ended",
        consistency=word,
        detail=detail,
        model_md5=run.case.model.md5 if run.case.model else "",
        epoch=epoch_of(run),
        outputs=outputs_of(run),
        tool_s=round(sum(mode.duration_s or 0.0 for mode in run.modes), 3),
        latency=_latency(run),
    )
    code = run.verdict.exit_code if run.verdict else None
    if code == MEASURED_BAD and word != "slower":
        return replace(cell, word="differs")
    if code not in (GOOD, MEASURED_BAD) or run.damage or run.state != "complete":
        return replace(cell, word="unmeasured", reason=_why_incomplete(run), latency=None)
    return _timed(cell, run, limits, history)


def _why_incomplete(run: Run) -> str:
    """A tool that failed is the tool's; layers that could not be compared leave the cell incomplete."""
    return "tool" if any(mode.failure for mode in run.modes) else "incomplete"


def _timed(cell: Cell, run: Run, limits: Limits, history: Sequence[NightPoint]) -> Cell:
    """The word of a run whose values are good, or were held against nothing."""
    is_compared = cell.consistency not in ("not_compared", "")
    if cell.latency is None:
        if is_compared:
            return replace(cell, word="pass")
        return replace(cell, word="unmeasured", reason="not_compared")
    is_timed_by_case = any(mode.mode.split("-")[0] == "profile" for mode in run.modes)
    if invalid := invalid_latency(run, limits.max_drift_percent):
        if is_compared and not is_timed_by_case:  # nobody asked for its time, and heat changes no value
            return replace(cell, word="pass", latency=None)
        return replace(cell, word="unmeasured", reason=invalid[0], detail=invalid[1], latency=None)
    suspect = suspect_of(replace(cell, word="pass"), history, limits.max_slower_percent)
    assert suspect is not None
    judged = final(suspect)
    if not is_timed_by_case:  # a latency that a release run tells beside its values: shown, not judged
        plain = replace(with_level(cell.latency, suspect, judged), sentence="", alarm="")
        return replace(cell, word="pass" if is_compared else "new", latency=plain)
    return replace(cell, word=judged.word, latency=with_level(cell.latency, suspect, judged))


def outputs_of(run: Run) -> dict[str, str]:
    """md5 of every output's valid bytes, by name: what boards vote by. Empty where some output has none."""
    if run.comparison is not None:
        rows = [layer for layer in run.comparison.layers if layer.is_output]
        hashes = {layer.name: layer.valid_md5_board or layer.file_md5_board for layer in rows}
    else:
        mode = next((mode for mode in run.modes if mode.mode == "release" and not mode.failure), None)
        files = [file for file in mode.files if file.name != "log.txt"] if mode else []
        hashes = {file.name: file.valid_md5 or file.md5 for file in files if file.name.endswith((".bin", ".npy"))}
    return hashes if all(hashes.values()) else {}


# --------------------------------------------------------------------------- latency


def _latency(run: Run) -> CellLatency | None:
    if run.profile is None or not run.profile.latency.mean_us > 0:
        return None
    known = distribution(run.profile.latency)
    if known is None:
        return CellLatency(run.profile.latency.mean_us, estimated=run.profile.estimated)
    return CellLatency(known.median_us, known.low_us, known.high_us, run.profile.estimated)


def invalid_latency(run: Run, max_drift_percent: float) -> tuple[str, str] | None:
    """(reason, sentence) for a session that is no point of a series: clocks went down, heat, or drift."""
    for finding in run.findings:
        if finding.rule in _HOT_RULES:
            return "throttled", f"{finding.title}: {finding.evidence}"
    if run.profile is None:
        return None
    known = distribution(run.profile.latency)
    rounds = run.profile.latency.rounds_us
    drifts = [known.drift if known else None, rounds[-1] / rounds[0] - 1 if len(rounds) > 1 and rounds[0] > 0 else None]
    worst = max((drift for drift in drifts if drift is not None), key=abs, default=0.0)
    if abs(worst) * 100 > max_drift_percent:
        return "drift", f"the latency drifted by {worst:+.1%} within the session, more than {max_drift_percent:g} %"
    return None


def point_of(cell: Cell, night: str) -> NightPoint | None:
    """A pair as a point of its series; None where it gave no latency."""
    if cell.latency is None or cell.state != "ended" or cell.word in ("", "unmeasured"):
        return None
    latency = cell.latency
    return NightPoint(night, latency.median_us, cell.epoch, cell.model_md5, cell.word, latency.alarm)


def gate_limits(latency: CellLatency, max_slower_percent: float) -> GateLimits:
    """Times that are computed change only where something else does: no timer hides in them."""
    return GateLimits(max_slower_percent, 0.0 if latency.estimated else LEAST_CHANGE_US)


def suspect_of(cell: Cell, points: Sequence[NightPoint], max_slower_percent: float) -> SuspectedPair | None:
    """What the history says of a pair that ended; None where its latency is not judged."""
    now = point_of(cell, TONIGHT)
    if now is None or cell.latency is None:
        return None
    return suspected(points, now, gate_limits(cell.latency, max_slower_percent))


RESTLESS_PCT = 5.0  # a pair that shows only larger changes says so
TONIGHT = "tonight"  # as a point beside nights, which are called SUITE/UTC


def with_level(latency: CellLatency, suspect: SuspectedPair, judged: JudgedLatency) -> CellLatency:
    """The latency with its level, the change, what became of an alarm, and the sentence."""
    level = suspect.gate.level
    if level is None:
        return replace(latency, sentence="no earlier night of this board, image and workload")
    suspicion = suspect.gate.suspicion
    level_us = suspicion.level_us if suspicion is not None and judged.word != "pass" else level.level_us
    percent = (latency.median_us / level_us - 1) * 100
    nights = f"{level.nights} night{'s' if level.nights > 1 else ''}"
    sentence = f"{latency.median_us:.0f} µs, {percent:+.1f} % of the level of {nights} ({level_us:.0f} µs)"
    sentence += (", estimated" if latency.estimated else "") + _outcome(latency, suspect, judged)
    finds_pct = suspect.gate.finds.in_1_night_pct if suspect.gate.finds else None
    if finds_pct is not None and finds_pct > RESTLESS_PCT:
        sentence += f"; so restless that less than {finds_pct:.1f} % is not seen in one night"
    return replace(latency, level_us=level_us, percent=round(percent, 3), nights=level.nights, sentence=sentence,
                   can_find_pct=finds_pct, alarm=judged.alarm,
                   since=suspect.known_since if judged.alarm == "known" else "")  # fmt: skip


def _outcome(latency: CellLatency, suspect: SuspectedPair, judged: JudgedLatency) -> str:
    """What became of an alarm, as the end of its sentence."""
    sitting = latency.sitting
    figures = ""
    if sitting is not None and sitting.percent is not None and sitting.p is not None:
        of = f" of {sitting.figure}" if sitting.figure not in ("", "median") else ""
        figures = f" {sitting.percent:+.1f} % in {sitting.pairs} pairs{of} with the last good model, p {sitting.p:.2g}"
        if sitting.can_find_pct is not None and sitting.can_find_pct > abs(latency.percent or 0.0):
            figures += f" (the board is so restless that less than {sitting.can_find_pct:.1f} % is not confirmed)"
    problem = sitting.problem if sitting is not None else ""
    return {
        "confirmed": f"; confirmed in one sitting:{figures}",
        "known": f"; the same model as in {suspect.known_since}, which found it",
        "noise": f"; not confirmed:{figures}",
        "waiting": "; the model is what it was: it is the board's if it lasts",
        "lasting": f"; it lasts, and no new model explains it{figures and ':'}{figures}",
        "unconfirmed": f"; not confirmed: {problem or 'no sitting with the last good model'}",
    }.get(judged.alarm, "")


# --------------------------------------------------------------------------- what was not measured


def unmeasured(cell: Cell, reason: str, detail: str) -> Cell:
    """The cell of a pair that gave no result."""
    return replace(cell, state="ended", word="unmeasured", reason=reason, detail=detail, latency=None)


def reason_of(error: Exception) -> str:
    """One of CELL_REASONS for what was raised."""
    if isinstance(error, HotBoardError):
        return "hot"
    if isinstance(error, Refused) and error.word in ("leased", "stale_lease"):  # somebody else has it, or had it since
        return "leased"
    kinds: tuple[tuple[type[Exception], str], ...] = (
        (BoardInUseError, "leased"),
        (LinkError, "link"),
        (ToolError, "tool"),
        (HostError, "host"),
        (UserError, "input"),
        (BoardError, "board"),
        (AgentError, "board"),
        (HarnessError, "board"),
        (OSError, "host"),
    )
    return next((word for kind, word in kinds if isinstance(error, kind)), "bug")


OF_THE_BOARD = ("link", "board", "tool", "throttled", "drift", "hot")  # reasons that speak against the board
