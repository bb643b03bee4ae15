"""Suspected pairs measured once more: tonight's model and the last good one in turns, on the board, in one sitting."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import nan
from pathlib import Path

from harness.errors import HarnessError
from harness.history.artefacts import kept
from harness.nightly.cells import History
from harness.nightly.control import CaseClock, NightControl
from harness.nightly.pairing import PROFILE, CasePair
from harness.nightly.verdicts import invalid_latency, reason_of, suspect_of, with_level
from harness.profiling.distribution import quiet_us, usual_us
from harness.records import Board, Case, Run
from harness.records.callbacks import LogCallback, ProgressCallback
from harness.records.nights import Cell, SittingRecord
from harness.regressions import confirmation as sittings
from harness.regressions.judge import SuspectedPair, final
from harness.session import Interrupted
from harness.session.judged import run_and_judge

FOLDER = "sittings"  # of a night
SIDES = {"A": "last-good", "B": "tonight"}
RunAndJudge = Callable[[Board, Case, Path, ProgressCallback], tuple[Path, Run]]


@dataclass
class SuspectedCell:
    """A pair that is suspected, with what its sitting needs and gives: its blocks, in order."""

    cell: Cell
    pair: CasePair
    suspect: SuspectedPair
    model: Path | None = None  # the last good one
    problem: str = ""
    blocks: list[sittings.SittingBlock] = field(default_factory=list)

    @property
    def key(self) -> str:
        """A name for it among the suspects of a night."""
        return f"{self.cell.case}\0{self.cell.board}"


def settled_suspicions(
    cells: Sequence[Cell],
    pairs: Sequence[CasePair],
    history: History,
    folder: Path,
    control: NightControl,
    log: LogCallback,
    measure: RunAndJudge = run_and_judge,
) -> list[Cell]:
    """Every cell with the final word on its latency. `folder`: of the night, two below that of all nights; `measure`
    runs one block on its board, wherever that is."""
    suspects = _suspects(cells, pairs, history, folder.parents[1])
    wanted = [one for one in suspects if one.model is not None]
    if wanted:
        log(f"{len(wanted)} pairs are suspected: each model in turns with the last good one")
    by_board: dict[str, list[SuspectedCell]] = {}
    for one in wanted:
        by_board.setdefault(one.cell.board, []).append(one)
    count = sittings.pairs_for(len(wanted))
    work = [_Sitting(folder, control, log, count, own, measure) for own in by_board.values()]
    threads = [threading.Thread(target=one.sit, name="sitting", daemon=True) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return _with_words(cells, suspects)


def _suspects(cells: Sequence[Cell], pairs: Sequence[CasePair], history: History, nights: Path) -> list[SuspectedCell]:
    by_place = {(pair.case.name, pair.board.name): pair for pair in pairs}
    suspects = []
    for cell in cells:
        pair = by_place.get((cell.case, cell.board))
        if pair is None or cell.latency is None or cell.latency.alarm in ("", "confirmed", "noise"):
            continue
        points = history.get((cell.case, cell.board), ())
        suspect = suspect_of(replace(cell, word="pass"), points, pair.max_slower_percent)
        if suspect is not None and suspect.gate.suspicion is not None:
            suspects.append(_prepared(SuspectedCell(cell, pair, suspect), nights))
    return suspects


def _prepared(one: SuspectedCell, nights: Path) -> SuspectedCell:
    """With the model that the sitting needs, or why there is none."""
    if not one.suspect.wants_a_sitting:
        return one
    if not one.pair.confirm:
        return replace(one, problem="`confirm: false` in the suite")
    model = kept(nights, one.suspect.artefact)
    return replace(one, model=model, problem="" if model else "the last good model is not kept any more")


# --------------------------------------------------------------------------- on one board


@dataclass
class _Sitting:
    """The suspects of one board, one after another."""

    folder: Path
    control: NightControl
    log: LogCallback
    pairs: int
    suspects: Sequence[SuspectedCell]
    measure: RunAndJudge

    def sit(self) -> None:
        for one in self.suspects:
            clock = CaseClock(self.control, one.pair.budget_s, lambda _step: None)
            try:
                self._measure(one, clock)
            except (KeyboardInterrupt, Interrupted):
                one.problem = "the time for it was over" if not self.control.over else "the night ended before it"
            except HarnessError as error:
                one.problem = error.message
            except Exception as error:  # a night does not end for one sitting, whatever it is
                one.problem = f"{reason_of(error)}: {type(error).__name__}: {error}"
            self.log(f"{one.cell.board}: {one.cell.case}: sitting: {one.problem or f'{len(one.blocks)} blocks'}")

    def _measure(self, one: SuspectedCell, clock: CaseClock) -> None:
        count, percent = self.pairs, one.pair.max_slower_percent
        while not one.blocks or sittings.goes_on(one.blocks, percent):
            for side in sittings.order_of(count):
                one.blocks.append(self._block(one, side, clock))
            count = len(one.blocks) // 2

    def _block(self, one: SuspectedCell, side: str, clock: CaseClock) -> sittings.SittingBlock:
        """One block. Errors: those of a run."""
        assert one.model is not None
        case = _block_case(one.pair.case, one.model if side == "A" else one.pair.case.model, side)
        _, run = self.measure(one.pair.board, case, self.folder / FOLDER, clock.tell)
        return _block_of(side, run, one.pair.max_drift_percent)


def _block_case(case: Case, model: Path, side: str) -> Case:
    """Times alone: nothing is compared, and nothing is held against an earlier run."""
    return Case(
        name=f"{case.name}.{SIDES[side]}",
        model=model,
        inputs=case.inputs,
        modes=(PROFILE,),
        model_name=case.model_name,
        core=case.core,
        threads=case.threads,
        frames=case.frames,
        time_s=case.time_s,
        start_c=case.start_c,
        cool_s=case.cool_s,
        options=case.options,
        timeout_s=case.timeout_s,
        wait_s=case.wait_s,
        beside=case.beside,
    )


def _block_of(side: str, run: Run, max_drift_percent: float) -> sittings.SittingBlock:
    """A block that throttled has no figure; where its frames drifted, as under others' load, the quiet ones count."""
    invalid = invalid_latency(run, max_drift_percent)
    if run.profile is None or (invalid and invalid[0] != "drift"):
        return sittings.SittingBlock(side, nan)
    quiet = quiet_us(run.profile.latency)
    return sittings.SittingBlock(
        side, nan if invalid else usual_us(run.profile.latency), nan if quiet is None else quiet
    )


# --------------------------------------------------------------------------- all of them together


def _with_words(cells: Sequence[Cell], suspects: Sequence[SuspectedCell]) -> list[Cell]:
    results = {
        one.key: sittings.sitting(one.blocks, one.pair.max_slower_percent) for one in suspects if not one.problem
    }
    whole = {key: result for key, result in results.items() if result is not None}
    words = sittings.confirmed(whole, {one.key: one.pair.max_slower_percent for one in suspects})
    changed = {(one.cell.case, one.cell.board): _judged(one, whole, words) for one in suspects}
    return [changed.get((cell.case, cell.board), cell) for cell in cells]


def _judged(one: SuspectedCell, results: Mapping[str, sittings.Confirmation], words: Mapping[str, str]) -> Cell:
    assert one.cell.latency is not None
    record, result = None, results.get(one.key)
    if result is not None:
        record = SittingRecord(one.suspect.artefact, result.pairs, round(result.percent, 3), result.p,
                               can_find_pct=result.can_find_pct, figure=result.figure)  # fmt: skip
    elif one.model is not None or one.problem:
        record = SittingRecord(one.suspect.artefact, problem=one.problem or "too few of its blocks gave a time")
    judged = final(one.suspect, words.get(one.key, ""))
    latency = with_level(replace(one.cell.latency, sitting=record), one.suspect, judged)
    return replace(one.cell, word=judged.word, latency=latency)


def kept_models(cells: Sequence[Cell], pairs: Sequence[CasePair], keep: Callable[[Path, str], bool]) -> list[str]:
    """Keep the models of all pairs that were measured; gives why some were not. Errors are none: each is a sentence."""
    by_place = {(pair.case.name, pair.board.name): pair for pair in pairs}
    problems = []
    for cell in cells:
        pair = by_place.get((cell.case, cell.board))
        if pair is None or cell.latency is None or not cell.model_md5 or not cell.latency.sentence:
            continue
        try:
            if not keep(pair.case.model, cell.model_md5):
                problems.append(f"{cell.case}: its model changed during the night: it is not kept")
        except (OSError, HarnessError) as error:
            problems.append(f"{cell.case}: its model is not kept: {error}")
    return list(dict.fromkeys(problems))
