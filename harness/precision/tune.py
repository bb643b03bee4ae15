"""From "this op is bad" to the config that is good: measured, searched, written, checked by lint, built and run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from harness import vendors
from harness.consistency.reading.tensor_files import dequantize
from harness.emulator.build import build
from harness.emulator.compiler.compile import BuildOptions
from harness.emulator.model.compiled import CompiledFile
from harness.emulator.model.execute import Executor
from harness.emulator.rooms import room_of_soc
from harness.emulator.thresholds.settings import PLAIN_CALIBRATION
from harness.files.safe import make_folder, write_file
from harness.lint.base import LintVendor, vendor_of
from harness.lint.findings import LintFinding
from harness.precision.base import ConfigTarget, WrittenConfig, room_of
from harness.precision.changed import ChangedModel, makers_of_outputs
from harness.precision.edited import EditedModel, edits_of, write_edited
from harness.precision.figures import Figure
from harness.precision.kept import fingerprint, journal
from harness.precision.levels import OutputSums
from harness.precision.masks import MaskEdit
from harness.precision.on_board import BoardAnswer, run_on
from harness.precision.output_tails import OutputTail, output_tails
from harness.precision.pictures import write_pictures
from harness.precision.prepared import PreparedModel
from harness.precision.search import Point, Search, Tuned
from harness.precision.sensitivity import Array, OutputAnswer, TaskScore, measure
from harness.records import Board
from harness.records.callbacks import ProgressCallback

SEARCH_MODES = ("alone", "weights")
PART = "_sensitivity.part.jsonl"  # of a measurement that goes on where it was stopped


@dataclass(frozen=True)
class Wanted:
    """The figure, the value that it has to reach, and how the task is judged."""

    figure: Figure
    value: float
    task: TaskScore


@dataclass(frozen=True)
class Verified:
    """What the built file gave on the emulated board's executor, on every sample; `refused` is what the build kept in
    int8 although the config asks for more."""

    model: Path
    value: float | None
    is_reached: bool
    refused: tuple[str, ...] = ()


@dataclass(frozen=True)
class TunePlan:
    """What a search may do beside types of ops, and on which board the build is run (None: on none)."""

    allow_edits: bool = False
    board: Board | None = None


@dataclass(frozen=True)
class ConfigProposal:
    """The search's end, the files that say it, what lint finds in them, the check by a build, and a run of it.

    `edits` are those of `edited`, or where the model was not edited those that could be made.
    """

    tuned: Tuned
    config: WrittenConfig
    files: tuple[Path, ...]
    findings: tuple[LintFinding, ...]
    verified: Verified | None
    nodes: int  # of the network
    tails: tuple[OutputTail, ...] = ()  # how its outputs leave with all ops in int8
    edits: tuple[MaskEdit, ...] = ()
    edited: EditedModel | None = None
    why_not_edited: str = ""
    ran: BoardAnswer | None = None

    @property
    def changed(self) -> int:
        """Ops that are changed: their type, or a constant of theirs; one with both counts once."""
        made = {edit.op for edit in self.edits} if self.edited is not None else set()
        return len(made | {change.op for change in self.tuned.chosen.changes})

    @property
    def is_good(self) -> bool:
        """Reached by the search, by the build, and by the board where one ran it."""
        built = self.verified is not None and self.verified.is_reached
        return self.tuned.is_reached and built and (self.ran is None or self.ran.is_reached)


def tune(
    subject: PreparedModel, wanted: Wanted, folder: Path, step: ProgressCallback, plan: TunePlan = TunePlan()
) -> ConfigProposal:
    """Measure, search, write into `folder`, check and run.

    Errors: InputError for a chip whose toolchain is not known; those of a run on a board.
    """
    make_folder(folder)
    edits = edits_of(subject)
    chosen = _searched(subject, wanted, folder, step)
    edited, why_not = None, "--allow-model-edits clips it"
    if edits and plan.allow_edits:
        step("clipping masks, and running both models", 0, -1)
        made = write_edited(subject, edits, folder / f"{subject.path.stem}_clipped_masks.onnx")
        other = _searched(made.subject, wanted, folder, step) if made.is_same else chosen
        why_not = f"float outputs would change by {made.difference:.2g} of the largest value"
        if made.is_same:
            why_not = "" if _is_better(other, chosen, edits, wanted) else "as few ops are enough without clipping it"
        if not why_not:
            chosen, edited = other, made
    own = edited.subject if edited else subject
    model_edits = tuple(edit.why for edit in edits) if edited else ()
    proposal = _written_and_built(own, chosen, wanted, folder, model_edits, step)
    ran = None
    if plan.board is not None and proposal.verified is not None:
        built = proposal.verified.model
        ran = run_on(plan.board, built, own, wanted.figure, wanted.value, wanted.task, step)
    return replace(proposal, edits=edits, edited=edited, why_not_edited=why_not if edits else "", ran=ran)


def _is_better(edited: Tuned, plain: Tuned, edits: Sequence[MaskEdit], wanted: Wanted) -> bool:
    """Whether a model with edits gets further, or as far with fewer ops changed, those that were edited included."""
    if edited.is_reached and plain.is_reached:
        ops = {edit.op for edit in edits} | {change.op for change in edited.chosen.changes}
        return len(ops) < len(plain.chosen.changes)
    loss = wanted.figure.loss
    return edited.is_reached or (not plain.is_reached and loss(edited.chosen.value) < loss(plain.chosen.value))


def _searched(subject: PreparedModel, wanted: Wanted, folder: Path, step: ProgressCallback) -> Tuned:
    vendor = room_of(subject.soc)
    mark = fingerprint(subject.path, subject.samples_folder, subject.soc.name, str(len(subject.feeds)))
    kept = journal(folder / f"{subject.path.stem}{PART}", mark)
    result = measure(subject, step, kept=kept, modes=SEARCH_MODES)
    model = ChangedModel(subject, vendor, wanted.task)
    return Search(model, wanted.figure, wanted.value, step).run(result)


def _written_and_built(
    subject: PreparedModel,
    tuned: Tuned,
    wanted: Wanted,
    folder: Path,
    model_edits: tuple[str, ...],
    step: ProgressCallback,
) -> ConfigProposal:
    vendor = room_of(subject.soc)
    target = replace(target_of(subject), model_edits=model_edits)
    changes = [replace(one, why=f"{one.why} ({vendor.sources(subject.soc.march)})") for one in tuned.chosen.changes]
    config = vendor.write(target, changes)
    files = written(folder, config)
    if config.pictures:
        write_pictures(subject, folder / config.pictures)
    findings = linted(files[0], subject.path, config.command)
    step("building and running it", 0, -1)
    verified = verify(subject, files[0], folder, wanted)
    return ConfigProposal(tuned, config, files, findings, verified, len(subject.network.nodes), output_tails(subject))


def target_of(subject: PreparedModel) -> ConfigTarget:
    """What a config of the subject is written for."""
    network = subject.network
    inputs = tuple((name, network.shape(name) or ()) for name in network.input_names)
    return ConfigTarget(
        subject.path.resolve(),
        subject.soc,
        subject.samples_folder.resolve(),
        inputs,
        makers_of_outputs(network),
        len(subject.feeds),
        tuple(network.output_names),
    )


def written(folder: Path, config: WrittenConfig) -> tuple[Path, ...]:
    """The files of a config in the folder."""
    for name, text in config.files.items():
        write_file(folder / name, text.encode())
    return tuple(folder / name for name in config.files)


def linted(config: Path, model: Path, command: str = "") -> tuple[LintFinding, ...]:
    """What `harness lint` says of a config and its command, with the ONNX beside it. Errors: ConfigError."""
    rooms = vendors.parts("lint", LintVendor)
    room = vendor_of(rooms, "", config.read_text(encoding="utf-8"))
    typed = command if room.takes_command else ""
    return room.lint_file(config, "", typed, model if room.takes_model else None)


def verify(subject: PreparedModel, config: Path, folder: Path, wanted: Wanted) -> Verified:
    """Build with the config and run every sample as the emulated board does. Errors: InputError, ConfigError."""
    room = room_of_soc(subject.soc)
    settings = room.node_settings(config, subject.soc)
    shapes = {name: subject.network.shape(name) or () for name in subject.network.input_names}
    options = BuildOptions(
        subject.soc,
        subject.samples_folder,
        shapes=shapes,
        on_cpu=settings.on_cpu,
        on_accelerator=settings.on_accelerator,
        types=settings.types,
        calibrating=settings.calibrating or PLAIN_CALIBRATION,
    )
    output = folder / f"{subject.path.stem}_{subject.soc.name}{subject.soc.suffix}"
    built = build([subject.path], options, output)
    answer = answer_of(built.output, subject, wanted.task)
    value = wanted.figure.of(answer)
    reached = wanted.figure.reaches(value, wanted.value)
    return Verified(built.output, value, reached, built.builds[0].refused)


def answer_of(compiled: Path, subject: PreparedModel, task: TaskScore) -> OutputAnswer:
    """Levels of a compiled file's outputs against the float model, on the emulated board's executor."""
    file = CompiledFile(compiled)
    executor = Executor(file, file.models[0])
    exact = ChangedModel.exact_outputs(subject)
    sums, given = OutputSums(), [_outputs(executor, feed) for feed in subject.feeds]
    for one, wanted in zip(given, exact, strict=True):
        sums.add(one, wanted)
    return OutputAnswer(sums.levels(), task(given))


def _outputs(executor: Executor, feed: Mapping[str, Array]) -> dict[str, Array]:
    """Real values: integers that the graph hands on are dequantized, as the board's own step does."""
    values = executor.run(feed, executor.model.outputs)
    return {name: dequantize(value, executor.model.tensor(name).spec.quantization) for name, value in values.items()}


# --------------------------------------------------------------------------- as JSON


def to_json(proposal: ConfigProposal, facts: Mapping[str, object]) -> str:
    """All of it, as it is written beside the config."""
    return json.dumps({**facts, **record(proposal)}, indent=1) + "\n"


def record(proposal: ConfigProposal) -> dict[str, object]:
    """The answer of `--json`."""
    tuned, verified = proposal.tuned, proposal.verified
    return {
        "emulated": True,
        "reached": tuned.is_reached,
        "ops": tuned.ops,
        "nodes": proposal.nodes,
        "changed": proposal.changed,
        "start": _point(tuned.start),
        "chosen": _point(tuned.chosen),
        "points": [_point(point) for point in tuned.points],
        "files": [str(path) for path in proposal.files],
        "command": proposal.config.command,
        "lint": [asdict(one) for one in proposal.findings],
        "verified": None
        if verified is None
        else {**asdict(verified), "model": str(verified.model), "refused": list(verified.refused)},
        "tails": [asdict(tail) for tail in proposal.tails],
        "edits": [asdict(edit) for edit in proposal.edits],
        "why_not_edited": proposal.why_not_edited,
        "edited": None
        if proposal.edited is None
        else {"model": str(proposal.edited.subject.path), "difference": proposal.edited.difference},
        "board": None if proposal.ran is None else {**asdict(proposal.ran), "run": str(proposal.ran.run)},
    }


def _point(point: Point) -> dict[str, object]:
    return {
        "value": point.value,
        "latency_us": point.price.latency_us if point.price else None,
        "band": [point.price.low, point.price.high] if point.price else None,
        "band_of": point.price.of if point.price else "",
        "changes": [asdict(change) for change in point.changes],
    }


def sorted_by_latency(points: Sequence[Point]) -> list[Point]:
    """Those with a price, cheapest first."""
    return sorted((p for p in points if p.price is not None), key=lambda p: p.price.latency_us if p.price else 0.0)
