"""One case on one board: begin, go on, bring a board back. The only meeting of transport and platform.

The run folder is written as it goes: whatever breaks, run.json says what was done and where it stopped.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import secrets
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness.agent.words import REBOOTED, Refused
from harness.boards import power
from harness.boards.connect import open_board
from harness.boards.managers import lender, lent
from harness.errors import HarnessError, HostKeyError, InputError, LinkError, MeasurementError
from harness.files import safe
from harness.files.packed import refuse_packed
from harness.platforms.base import Platform
from harness.records import Board, BoardIdentity, Case, TypedCommand
from harness.records.callbacks import ProgressCallback
from harness.review import identity
from harness.review.case_reference import CaseReference
from harness.runs import folder as store
from harness.runs.resume import Resume
from harness.runs.resume import load as load_resume
from harness.session import record as run_record
from harness.session import unchanged
from harness.session.alongside.monitors import OPTION as MONITOR
from harness.session.alongside.monitors import is_wanted
from harness.session.job import job_of
from harness.session.progress import RunProgress
from harness.session.steps import Session
from harness.session.turns import turns
from harness.transports import Patience, Prompt

__all__ = ["Interrupted", "check_case", "resumable", "resume_case", "run_case"]


def run_case(
    board: Board,
    case: Case,
    runs: Path,
    tell: ProgressCallback,
    expected: CaseReference,
    prompt: Prompt | None = None,
    command: TypedCommand | None = None,
) -> Path:
    """Run one case; returns the run folder, whose run.json holds everything measured but no judgement yet.

    `expected` is opened on the way, once the model's inputs are known. `prompt` asks a person for a password.
    `command` is what was typed, for run.json.

    Errors: InputError before anything is sent when the case cannot be right. What fails later (link, board,
    tool) is recorded in run.json first and then raised, with the run folder in the error.
    """
    check_case(expected.platform, board.identity, board.folders.work, case)
    tell("hashing this run's files", 0, -1)
    files = unchanged.files_of(board.identity, board.folders.work, case, expected.platform)
    settings = unchanged.settings_of(board.identity, board.environment, board.commands)
    folder = store.new_run_folder(runs, case.name, board.name)
    reached = run_record.board_record(board.identity, board.endpoint)
    record = run_record.RunFile(folder, run_record.new_record(reached, case, folder, files, command))
    place = f"{folder.name}-{secrets.token_hex(8)}"
    resume = Resume(board.name, case, secrets.token_hex(8), place, files=files, settings=settings)
    with store.claimed(folder):
        return _to_the_end(Session(board, expected, RunProgress(folder, tell, record, resume)), prompt)


def resumable(board: Board, folder: Path, platform: Platform) -> Resume:
    """What a broken run needs to go on. Ask before anything reads its files: they may be others by now.

    Errors: InputError when there is nothing to resume, or where files or the board's settings are not what they were.
    """
    resume, record = load_resume(folder), store.load_run(folder)
    unchanged.refuse_unknown(resume, record)
    files = unchanged.files_of(board.identity, board.folders.work, resume.case, platform)
    settings = unchanged.settings_of(board.identity, board.environment, board.commands)
    unchanged.refuse_other(resume, record, files, settings)
    return resume


def resume_case(
    board: Board, folder: Path, tell: ProgressCallback, expected: CaseReference, prompt: Prompt | None = None
) -> Path:
    """Go on with a broken run: what it measured is kept, a run that still goes on the board is picked up.

    Files that are not what they were are refused when they are sent, or when the run is judged; `resumable` refuses
    them before that. Errors: as `run_case`; InputError when there is nothing to resume, or the run is still going on.
    """
    with store.claimed(folder):
        return _to_the_end(_reopened(board, folder, tell, expected), prompt)


def _reopened(board: Board, folder: Path, tell: ProgressCallback, expected: CaseReference) -> Session:
    resume = load_resume(folder)
    run = store.load_run(folder)
    unchanged.refuse_unknown(resume, run)
    check_case(expected.platform, board.identity, board.folders.work, resume.case)
    settings = unchanged.settings_of(board.identity, board.environment, board.commands)
    resume = replace(resume, settings=settings)
    store.check_names(run, folder / "run.json")
    if run.damage:
        raise InputError(f"{folder}: run.json is damaged: {run.damage[0]}", "start a new run")
    if run.state == "running":  # and it is claimed by us, so whoever wrote that is gone
        run = store.broken_off(run)
    run = replace(
        run,
        verdict=None,
        state="running",
        stopped_at="",
        resumed=run.resumed + 1,
        notes=(*run.notes, *(f"an earlier attempt failed: {problem}" for problem in run.problems)),
        problems=(),
        modes=tuple(mode for mode in run.modes if mode.mode != "info" and (not mode.failure or mode.at_s is not None)),
    )
    return Session(board, expected, RunProgress(folder, tell, run_record.RunFile(folder, run), resume))


def _to_the_end(session: Session, prompt: Prompt | None) -> Path:
    try:
        with _lent(session), power.power_hooks(session.board.endpoint, session.board.power):
            _with_recovery(session, prompt)
    except HarnessError as error:
        _close(session, "failed", error.message, error.hint)
        error.hint = _with_resume(session, error)  # for a terminal; the record goes into tickets, without paths
        error.run_folder = session.progress.folder
        raise
    except OSError as error:
        _close(session, "failed", f"this PC: {safe.words_of(error)}", "")
        raise
    except KeyboardInterrupt:
        _close(session, "interrupted", "interrupted from the keyboard", "")
        clean = (
            "the board was cleaned up" if session.left_clean else "the board could not be cleaned up: the link is down"
        )
        stopped = Interrupted(f"interrupted; {clean}", f"resume: {_command(session)}")
        stopped.run_folder = session.progress.folder
        raise stopped from None
    session.progress.stop("complete", "", "")
    return session.progress.folder


@contextlib.contextmanager
def _lent(session: Session) -> Iterator[None]:
    """Hold a board that others manage to the end of the run, power cycles included."""
    lending = session.board.lending
    if not lending.manager:
        yield
        return
    with lent(session.board, session.case.wait_s, session.progress.say) as board:
        session.board = board
        session.record.reached_by(board.endpoint)
        session.record.note(f"the board was lent by {lender(lending)}")
        yield


def _with_resume(session: Session, error: HarnessError) -> str:
    """The hint of an error, with what goes on with the run where its board only was away or restarted."""
    away = isinstance(error, LinkError) and not isinstance(error, HostKeyError)
    if not away and not (isinstance(error, Refused) and error.word == REBOOTED):
        return error.hint
    go_on = f"resume: {_command(session)}"
    return f"{error.hint}; then {go_on}" if error.hint else go_on


def _command(session: Session) -> str:
    """What goes on with the run."""
    command = "sweep" if session.case.sweep else "soak" if session.case.soak else "run"
    if session.case.samples and session.case.samples.sequence:
        command = "jitter"
    return f"harness {command} --resume {shlex.quote(str(session.progress.folder))}"


def _close(session: Session, state: str, message: str, hint: str) -> None:
    """Record how a run ended, where this PC's disk lets us; a record that says "running" is read as broken off."""
    files = session.progress.resume.files
    with contextlib.suppress(OSError):
        session.progress.stop(state, identity.for_record(message, files), identity.for_record(hint, files))


def _with_recovery(session: Session, prompt: Prompt | None) -> None:
    """Run; where the board does not come back and the inventory has power commands, cycle it and go on."""
    board = session.board
    for cycles in itertools.count():
        try:
            patience = Patience(board.endpoint.patience_s)
            with open_board(board, prompt, patience, session.progress.say) as (reached, transport):
                return session.run(reached, transport)
        except MeasurementError as error:
            if not session.may_cycle or not power.recover(
                board.endpoint, board.power, error, functools.partial(_answers, board, prompt), cycles
            ):
                raise
            session.progress.record.note(f"the board was power-cycled after: {error.message}")


def _answers(board: Board, prompt: Prompt | None) -> bool:
    with open_board(board, prompt) as (_, transport):
        return transport.alive()


class Interrupted(MeasurementError):
    """The user stopped the run."""


def check_case(platform: Platform, board: BoardIdentity, work: str, case: Case) -> None:
    """Refuse what this board cannot run, before anything is sent. Errors: InputError."""
    if not case.model.is_file():
        what = "expected a model file, got a folder" if case.model.is_dir() else "no such file"
        raise InputError(f"{case.model}: {what}", "give the compiled model, for example model.bin")
    refuse_packed(case.model, "a model")
    for mode in case.modes:
        if mode not in platform.modes:
            raise InputError(f"platform {platform.name} has no mode {mode!r}", f"known: {', '.join(platform.modes)}")
    for name in case.options:
        if name not in platform.options:
            from harness.config import nearest

            raise InputError(f"platform {platform.name} has no option {name!r}", nearest(name, platform.options))
    is_wanted(case.options.get(MONITOR))  # said before the board is touched
    platform.check_model(case.model, board)
    for turn in turns(case.modes or platform.modes, {}, case.workload, case.sweep):
        platform.invocation(board, job_of(work, turn.workload, turn.mode, "model"))  # said before anything is sent
