"""One case from the board to its verdict: what `harness run`, a notebook and a night have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness import platforms
from harness.errors import InputError
from harness.records import Board, Case, Run
from harness.records.callbacks import ProgressCallback
from harness.records.run import TypedCommand
from harness.review import judge
from harness.review.case_reference import CaseReference
from harness.review.chosen_stages import REFERENCE
from harness.review.kept_references import ReferenceFolders
from harness.review.samples.summary import with_samples
from harness.session import Interrupted, run_case
from harness.toolchains.vendor_runtime import is_compiled
from harness.transports import Prompt

VERIFIED = "verified before the board was given back"
RunCallback = Callable[[CaseReference], Path]  # runs the case that this reference is of; gives the run folder


def run_and_judge(
    board: Board,
    case: Case,
    runs: Path,
    tell: ProgressCallback,
    prompt: Prompt | None = None,
    command: TypedCommand | None = None,
) -> tuple[Path, Run]:
    """Run one case on a board and judge it; returns the run folder and the run, whose verdict is there.

    Errors: InputError before anything is sent for a case that cannot be right; MeasurementError, with the run folder,
    for what fails on the way.
    """
    return judged(
        board.identity.platform,
        case,
        tell,
        lambda expected: run_case(board, case, runs, tell, expected, prompt, command),
    )


def judged(platform: str, case: Case, tell: ProgressCallback, run: RunCallback) -> tuple[Path, Run]:
    """Run a case by `run`, and judge what it left. Errors: as of `run_and_judge`."""
    case = judge.check_before(case)
    expected = CaseReference(case, platforms.load(platform), tell)
    look = judge.FirstLook(expected, tell)
    left = MeasuredRun(run(expected), case, expected)
    return left.judged(tell, look.compared)


@dataclass(frozen=True)
class MeasuredRun:
    """A run that its board is done with, without a verdict yet."""

    folder: Path
    case: Case
    expected: CaseReference

    def judged(self, tell: ProgressCallback, compared: judge.Compared | None = None) -> tuple[Path, Run]:
        """The run folder, and the run with its verdict. Errors: as of `judge.judge`; Interrupted."""
        try:
            run = judge.judge(self.folder, self.expected, tell, compared)
            return self.folder, with_samples(self.folder, run, self.case)
        except KeyboardInterrupt:
            resume = f"resume: harness run --resume {self.folder}"
            stopped = Interrupted("interrupted before the comparison finished", resume)
            stopped.run_folder = self.folder
            raise stopped from None


def measured(
    platform: str,
    case: Case,
    tell: ProgressCallback,
    run: RunCallback,
    kept: ReferenceFolders | None = None,
) -> MeasuredRun:
    """The part of a case that needs its board: nothing is compared while it is held.

    A result is no reason to doubt the board's copies then, so they are hashed once more in every run: cheaper for a
    board than to wait until this PC has compared. `kept`: references that other runs computed. Errors: as of
    `run_and_judge`.
    """
    case = judge.check_before(case)
    expected = CaseReference(case, platforms.load(platform), tell, kept)
    expected.doubted, expected.doubt_reason = None, VERIFIED
    return MeasuredRun(run(expected), case, expected)


def refuse_noise(case: Case) -> None:
    """Tensors of a reference belong to the input they were made with; seeded noise is another one. Those that only lay
    beside the model are left out by themselves.

    Errors: InputError.
    """
    path = Path(case.reference)
    is_run = path.suffix == ".onnx" or is_compiled(path) or REFERENCE in case.automatic
    if case.reference and not (case.inputs or case.samples) and path.exists() and not is_run:
        raise InputError(
            f"{path}: reference tensors come from one particular input, and no --input was given",
            "add --input FILE, the input the reference was made from, or give an ONNX as --reference",
        )
