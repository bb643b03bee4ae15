"""A build on the emulated board: the same run as `harness run --samples`, and the figure of what the board gave."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.boards.inventory import find_board, load_inventory
from harness.errors import InputError, MeasurementError
from harness.files.safe import make_folder, write_file
from harness.precision.changed import ChangedModel
from harness.precision.figures import Figure
from harness.precision.levels import OutputSums
from harness.precision.pictures import pixels_of
from harness.precision.prepared import PreparedModel
from harness.precision.sensitivity import Array, OutputAnswer, TaskScore
from harness.records import Board, Case, Run, SamplesPlan
from harness.records.callbacks import ProgressCallback
from harness.session.judged import run_and_judge
from harness.session.samples.evaluating import values_file

MODES = ("release", "debug")
WAIT_S = 600.0  # for an emulated board that another run on this PC has


@dataclass(frozen=True)
class BoardAnswer:
    """What the board gave. `value` is None where not every sample ran, `why_none` says it."""

    board: str
    run: Path
    verdict: str
    samples: int
    value: float | None
    is_reached: bool
    why_none: str = ""


def emulated_board(name: str, subject: PreparedModel) -> Board | None:
    """The board that was named, else the emulated one of the subject's chip; None where there is none.

    Errors: ConfigError for an unknown name, InputError for a real board and for another chip's.
    """
    if not name:
        own = [one for one in load_inventory().values() if one.emulated and one.identity.soc == subject.soc.name]
        return min(own, key=lambda one: len(one.name), default=None)
    board = find_board(name)
    if not board.emulated:
        hint = "build with the vendor's toolchain and the written config, then harness run"
        raise InputError(f"{name}: a real board takes no emulated build", hint)
    if board.identity.soc != subject.soc.name:
        raise InputError(f"{name}: a board with {board.identity.soc}, not {subject.soc.name}", "give another --board")
    return board


def run_on(
    board: Board,
    built: Path,
    subject: PreparedModel,
    figure: Figure,
    wanted: float,
    task: TaskScore,
    tell: ProgressCallback,
) -> BoardAnswer:
    """Run every sample, layers compared with the build's quantized model. `built` has its ONNX files beside it.

    A board that cannot be run has no value, and why. Errors: InputError for samples that it does not take.
    """
    folder = built.parent
    case = Case(
        name=built.stem,
        model=built.absolute(),
        reference=str(built.with_name(f"{built.stem}_quantized_model.onnx").absolute()),
        modes=MODES,
        samples=SamplesPlan(tuple(_sources(subject, folder)), keep_values=True),
        timeout_s=board.limits.timeout_s,
        wait_s=WAIT_S,
    )
    try:
        place, run = run_and_judge(board, case, folder / "runs", tell)
    except MeasurementError as error:  # the search was long: what it gave is written all the same
        place = error.run_folder or folder / "runs"
        return BoardAnswer(board.name, place, "not_measured", 0, None, False, error.message)
    verdict = run.verdict.word if run.verdict else "not_measured"
    answer = _answer(place, run, subject, task)
    if answer is None:
        why = run.verdict.detail if run.verdict else "it did not end"
        return BoardAnswer(board.name, place, verdict, 0, None, False, f"not all samples gave outputs: {why}")
    value = figure.of(answer)
    reached = figure.reaches(value, wanted) and run.verdict is not None and run.verdict.exit_code == 0
    return BoardAnswer(board.name, place, verdict, len(subject.feeds), value, reached)


def _answer(place: Path, run: Run, subject: PreparedModel, task: TaskScore) -> OutputAnswer | None:
    """Levels of the board's outputs against the float model; None where a sample has none."""
    given: list[dict[str, Array]] = []
    for number, sample in enumerate(run.samples.samples if run.samples else ()):
        file = values_file(place, sample.stem, number)
        if not file.is_file():
            return None
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as arrays:
            given.append({name: np.asarray(arrays[name]) for name in arrays.files})
    exact = ChangedModel.exact_outputs(subject)
    if len(given) != len(exact) or any(one.keys() - two.keys() for one, two in zip(exact, given, strict=True)):
        return None
    sums = OutputSums()
    for one, wanted in zip(given, exact, strict=True):
        sums.add({name: one[name].reshape(value.shape) for name, value in wanted.items()}, wanted)
    return OutputAnswer(sums.levels(), task(given))


def _sources(subject: PreparedModel, folder: Path) -> Iterator[tuple[str, Path]]:
    """A folder of samples for each input, in the order in which they were measured, as the board takes them."""
    names = subject.network.input_names
    for name in names:
        place = folder / "samples" / f"input{names.index(name)}"
        make_folder(place)
        for number, feed in enumerate(subject.feeds):
            data, suffix = _as_fed(feed[name], subject)
            write_file(place / f"{number:06}{suffix}", data)
        yield name if len(names) > 1 else "", place


def _as_fed(value: Array, subject: PreparedModel) -> tuple[bytes, str]:
    """An .npy; of chips that take pictures the bytes of one. Errors: InputError for what is no picture of 8 bits."""
    if not subject.soc.takes_pictures:
        held = io.BytesIO()
        np.save(held, value)
        return held.getvalue(), ".npy"
    return pixels_of(value, subject).tobytes(), ".bin"
