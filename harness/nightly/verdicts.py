"""The word on one pair: from its run and its earlier nights. Pure: a run and a history in, a cell out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from harness.agent.words import Refused
from harness.errors import (
    GOOD,
    MEASURED_BAD,
    AgentError,
    BoardError,
    HarnessError,
    HostError,
    LinkError,
    ToolError,
    UserError,
)
from harness.profiling.distribution import SIGMA_OF_MAD, distribution
from harness.records import Run
from harness.records.nights import Cell, CellLatency
from harness.session.alongside.sensors import HotBoardError

NIGHTS = 14  # of the level
FEW_NIGHTS = 7  # below, tonight's interval is held against the level instead of the nights' spread
SIGMAS = 4.0
LEAST_SPREAD = 0.003  # of the level: a series that is quieter is a coincidence
LEAST_CHANGE_US = 20.0  # of what is measured: timers of boards are no better
_HOT_RULES = ("E-111", "E-113")  # clocks went down; a sensor near its limit
_EPOCH_VERSIONS = ("runtime", "hbrt", "platform")  # of the board, never of what built the model


@dataclass(frozen=True)
class Limits:
    """What a pair's latency may do, in percent."""

    max_slower_percent: float = 2.0
    max_drift_percent: float = 2.0


def cell_of(cell: Cell, run: Run, limits: Limits, history: Sequence[Cell]) -> Cell:
    """The cell of a run that was judged. `history`: earlier cells of this pair, oldest first."""
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


def _timed(cell: Cell, run: Run, limits: Limits, history: Sequence[Cell]) -> Cell:
    """The word of a run whose values are good, or were held against nothing."""
    is_compared = cell.consistency not in ("not_compared", "")
    if cell.latency is None:
        if is_compared:
            return replace(cell, word="pass")
        return replace(cell, word="unmeasured", reason="not_compared")
    if invalid := invalid_latency(run, limits.max_drift_percent):
        return replace(cell, word="unmeasured", reason=invalid[0], detail=invalid[1], latency=None)
    series = [one.latency for one in history if one.epoch == cell.epoch and one.latency is not None]
    word, judged = against_level(cell.latency, series[-NIGHTS:], limits.max_slower_percent)
    is_timed_by_case = any(mode.mode.split("-")[0] == "profile" for mode in run.modes)
    if not is_timed_by_case:  # a latency that a release run tells beside its values: shown, not judged
        return replace(cell, word="pass" if is_compared else "new", latency=replace(judged, sentence=""))
    return replace(cell, word=word, latency=judged)


def epoch_of(run: Run) -> str:
    """Board, image, runtime, clocks and workload in one word: another one starts a new series."""
    facts, case = run.board.facts, run.case
    parts = {
        "board": [
            run.board.name,
            run.board.soc,
            run.board.emulated,
            str(facts.get("image", "")),
            str(facts.get("kernel", "")),
        ],
        "versions": {name: run.versions.get(name, "") for name in _EPOCH_VERSIONS},
        "governors": dict(run.telemetry.governors),
        "workload": [
            case.model_name,
            str(case.core),
            case.threads,
            case.frames,
            case.time_s,
            case.beside,
            dict(case.options),
        ],
        "modes": sorted({mode.mode.split("-")[0] for mode in run.modes}),
    }
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.md5(text.encode("utf-8", "backslashreplace"), usedforsecurity=False).hexdigest()[:12]


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


def against_level(
    now: CellLatency, before: Sequence[CellLatency], max_slower_percent: float
) -> tuple[str, CellLatency]:
    """`slower`, `faster`, `pass` or `new`, with the level and the sentence.

    From FEW_NIGHTS on the limit is the spread of the nights (4 sigmas, by MAD) and `max_slower_percent`, whichever is
    more. With fewer, all of tonight's 95 % interval must lie beyond `max_slower_percent` of the level.
    """
    values = [one.median_us for one in before if one.median_us > 0]
    if not values:
        return "new", replace(now, sentence="no earlier night of this board, image and workload")
    level = median(values)
    percent = (now.median_us / level - 1) * 100
    judged = replace(now, level_us=level, percent=round(percent, 3), nights=len(values))
    low, high = now.low_us or now.median_us, now.high_us or now.median_us
    share = max_slower_percent / 100
    if len(values) >= FEW_NIGHTS:
        spread = max(SIGMA_OF_MAD * median(abs(value - level) for value in values), LEAST_SPREAD * level)
        reach = max(SIGMAS * spread, share * level, LEAST_CHANGE_US if not now.estimated else 0.0)
        is_slower, is_faster = now.median_us > level + reach, now.median_us < level - reach
    else:
        floor_us = LEAST_CHANGE_US if not now.estimated else 0.0
        is_slower = low > level * (1 + share) and now.median_us - level > floor_us
        is_faster = high < level * (1 - share) and level - now.median_us > floor_us
    word = "slower" if is_slower else "faster" if is_faster else "pass"
    nights = f"{len(values)} night{'s' if len(values) > 1 else ''}"
    sentence = f"{now.median_us:.0f} µs, {percent:+.1f} % of the level of {nights} ({level:.0f} µs)"
    return word, replace(judged, sentence=sentence + (", estimated" if now.estimated else ""))


# --------------------------------------------------------------------------- what was not measured


def unmeasured(cell: Cell, reason: str, detail: str) -> Cell:
    """The cell of a pair that gave no result."""
    return replace(cell, state="ended", word="unmeasured", reason=reason, detail=detail, latency=None)


def reason_of(error: Exception) -> str:
    """One of CELL_REASONS for what was raised."""
    if isinstance(error, HotBoardError):
        return "hot"
    if isinstance(error, Refused) and error.word == "leased":
        return "leased"
    kinds: tuple[tuple[type[Exception], str], ...] = (
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
