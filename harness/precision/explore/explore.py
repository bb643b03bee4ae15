"""From a model and its samples to the table of configurations, and from one row of it to a config."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from harness.emulator.thresholds.calibrate import needs_histograms
from harness.emulator.thresholds.statistics import collect
from harness.files.safe import make_folder, write_file
from harness.lint.findings import LintFinding
from harness.precision.base import CalibrationOffer, room_of
from harness.precision.explore.configurations import Configuration, ConfigurationPlan, chosen
from harness.precision.explore.kept import KeptRows
from harness.precision.explore.measured import ExploredRow, Explorer
from harness.precision.figures import Figure
from harness.precision.kept import fingerprint, journal
from harness.precision.prepared import PreparedModel
from harness.precision.sensitivity import Sensitivity, TaskScore, measure
from harness.precision.tune import linted, target_of, written
from harness.records import SequencePlan
from harness.records.callbacks import ProgressCallback


@dataclass(frozen=True)
class ExploreRequest:
    """What is asked: names of configurations (empty: all), how a task is judged, whether samples are one sequence.

    `export` is the name that shall become a config: refused before anything is measured where there is none.
    """

    names: tuple[str, ...]
    task: TaskScore
    task_metric: str = ""
    sequence: SequencePlan | None = None
    export: str = ""


@dataclass(frozen=True)
class Explored:
    """All rows in the order in which they were tried, what the toolchain has no option for, and rows known before."""

    rows: tuple[ExploredRow, ...]
    offer: CalibrationOffer
    known: int = 0

    def ordered(self, figure: Figure) -> list[ExploredRow]:
        """Best first; of two that are equally good the one that is estimated to be faster."""
        return sorted(self.rows, key=lambda row: (figure.loss(figure.of(row.answer)), _latency_us(row)))


@dataclass(frozen=True)
class Exported:
    """The files of one configuration, how the toolchain is called with it, and what lint finds in it."""

    name: str
    files: tuple[Path, ...]
    command: str
    samples: Path
    findings: tuple[LintFinding, ...]


def _latency_us(row: ExploredRow) -> float:
    return row.price.latency_us if row.price else 0.0


def explore(subject: PreparedModel, request: ExploreRequest, folder: Path, step: ProgressCallback) -> Explored:
    """Measure every configuration that was named; answers are kept in `folder` as they come.

    Errors: InputError for an unknown configuration, or a chip whose toolchain is not known.
    """
    vendor = room_of(subject.soc)
    plan = ConfigurationPlan(subject, vendor)
    chosen(plan.all(), (request.export,) if request.export else ())
    wanted = chosen(plan.all(), request.names)
    make_folder(folder)
    if any(one.is_ranked for one in wanted):
        result = _sensitivity(subject, folder, step)
        wanted = chosen(ConfigurationPlan(subject, vendor, result).all(), request.names)
    kept = KeptRows(folder / "explore.part.jsonl", _mark(subject, request))
    rows = [kept.row(one) for one in wanted]
    known = sum(row is not None for row in rows)
    if known < len(wanted):
        rows = _measured(subject, request, wanted, kept, step)
    return Explored(tuple(row for row in rows if row is not None), plan.offer, known)


def _measured(
    subject: PreparedModel,
    request: ExploreRequest,
    wanted: Sequence[Configuration],
    kept: KeptRows,
    step: ProgressCallback,
) -> list[ExploredRow | None]:
    cut = any(needs_histograms(one.calibrating) for one in wanted)
    statistics = collect(subject.model, subject.calibration, histograms=cut, step=step)
    explorer = Explorer(subject, room_of(subject.soc), statistics, request.task, request.sequence)
    rows: list[ExploredRow | None] = []
    for number, configuration in enumerate(wanted):
        step(configuration.name, number, len(wanted))
        row = kept.row(configuration)
        if row is None:
            row = explorer.row(configuration)
            kept.keep(row)
        rows.append(row)
    return rows


def _sensitivity(subject: PreparedModel, folder: Path, step: ProgressCallback) -> Sensitivity:
    """Which ops are worst: every one alone in int8. Answers stay in the folder, for the next call."""
    mark = fingerprint(subject.path, subject.samples_folder, subject.soc.name, str(len(subject.feeds)))
    return measure(subject, step, kept=journal(folder / "sensitivity.part.jsonl", mark), modes=("alone",))


def _mark(subject: PreparedModel, request: ExploreRequest) -> str:
    sequence = "" if request.sequence is None else str(asdict(request.sequence))
    settings = (subject.soc.name, str(len(subject.feeds)), request.task_metric, sequence)
    return fingerprint(subject.path, subject.samples_folder, "explore", *settings)


# --------------------------------------------------------------------------- one of them as config


def export(subject: PreparedModel, configuration: Configuration, folder: Path) -> Exported:
    """Write the configuration as its toolchain's config into `folder`, and hold it against lint.

    Where only some samples count, they are written beside it: a config names a folder. Errors: ConfigError.
    """
    vendor = room_of(subject.soc)
    make_folder(folder)
    samples = _own_samples(subject, configuration, folder) if configuration.samples else subject.samples_folder
    target = replace(
        target_of(subject),
        calibration=samples.resolve(),
        file_count=len(configuration.samples) or len(subject.calibration),
        calibrating=configuration.calibrating,
        on_accelerator=configuration.on_accelerator,
    )
    config = vendor.write(target, configuration.changes)
    files = written(folder, config)
    return Exported(configuration.name, files, config.command, samples, linted(files[0], subject.path))


def _own_samples(subject: PreparedModel, configuration: Configuration, folder: Path) -> Path:
    """The samples of the configuration, a file each, one folder per input where there are several."""
    place = folder / "calibration"
    for number in configuration.samples:
        feed = subject.calibration[number]
        for name, value in feed.items():
            inside = place / name if len(feed) > 1 else place
            make_folder(inside)
            content = io.BytesIO()
            np.save(content, value)
            write_file(inside / f"{number:06}.npy", content.getvalue())
    return place


# --------------------------------------------------------------------------- as JSON


def record(explored: Explored, figure: Figure, exported: Exported | None) -> dict[str, object]:
    """The answer of `--json`, without what the command itself knows."""
    return {
        "emulated": True,
        "missing": dict(explored.offer.missing),
        "configurations": [_row(row, figure) for row in explored.ordered(figure)],
        "exported": None if exported is None else _exported(exported),
    }


def _row(row: ExploredRow, figure: Figure) -> Mapping[str, object]:
    one, price = row.configuration, row.price
    return {
        "name": one.name,
        "what": one.what,
        "group": one.group,
        "value": figure.of(row.answer),
        "answer": asdict(row.answer),
        "jitter": dict(row.jitter),
        "latency_us": price.latency_us if price else None,
        "band": [price.low, price.high] if price else None,
        "band_of": price.of if price else "",
        "method": row.method,
        "same_as": row.same_as,
        "refused": list(row.refused),
        "changes": [{"op": change.op, "option": change.option} for change in one.changes],
        "on_accelerator": list(one.on_accelerator),
        "samples": list(one.samples),
    }


def _exported(exported: Exported) -> Mapping[str, object]:
    return {
        "name": exported.name,
        "files": [str(path) for path in exported.files],
        "command": exported.command,
        "calibration": str(exported.samples),
        "lint": [asdict(one) for one in exported.findings],
    }
