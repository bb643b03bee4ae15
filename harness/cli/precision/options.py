"""Options that the commands about precision share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from harness.cli.common import named_shape
from harness.errors import InputError

if TYPE_CHECKING:
    from harness.precision.figures import Figure
    from harness.precision.prepared import PreparedModel
    from harness.precision.sensitivity import TaskScore

Command = TypeVar("Command", bound=Callable[..., Any])
PATH = click.Path(exists=True, path_type=Path)
FIGURE = click.Choice(["sqnr", "channel", "cosine", "task"])


@dataclass(frozen=True)
class DataOptions:
    """What is measured, on what, for which chip, and how a task is judged."""

    calibration: Path | None
    soc: str
    most_samples: int | None
    shapes: tuple[str, ...]
    task_metric: str
    truth: Path | None
    figure: str

    def prepared(self, model: Path) -> PreparedModel:
        """The model with its samples. Errors: InputError, UserError."""
        from harness.emulator.rooms import soc_named
        from harness.precision.prepared import prepare

        if self.calibration is None:
            raise InputError("no --calibration given", "give the folder of calibration samples: --calibration DIR")
        if not self.soc:
            raise InputError("no --soc given", "name the chip, for example --soc x5")
        shapes = dict(named_shape(text) for text in self.shapes)
        return prepare(model, soc_named(self.soc), self.calibration, shapes, self.most_samples or 0)

    def wanted_figure(self) -> Figure:
        """What `--figure` names. Errors: InputError for a task without a metric."""
        from harness.precision.figures import FIGURES, task_figure

        if self.figure == "task" and not self.task_metric:
            raise InputError("--figure task needs --task-metric and --truth", "for example --task-metric top1")
        return task_figure(self.task_metric) if self.figure == "task" else FIGURES[self.figure]

    def task_score(self, prepared: PreparedModel) -> TaskScore:
        """How the outputs of all samples are judged. Errors: InputError, ConfigError."""
        from harness.precision.figures import task_score

        return task_score(self.task_metric, self.truth, prepared.stems)


def data_options(command: Command) -> Command:
    """Options of `DataOptions`, in the order of the help."""
    options = (
        click.option("--calibration", type=PATH, help="Calibration samples: folder of .npy/.bin, or an .npz."),
        click.option(
            "--soc", default="", metavar="SOC", help="Chip that the model is quantized for: x5, j6e, t40, ..."
        ),
        click.option("--samples", "most_samples", type=click.IntRange(1), metavar="N", help="The first N samples."),
        click.option("--shape", "shapes", multiple=True, metavar="INPUT=1,3,224,224", help="Of a dynamic input."),
        click.option("--task-metric", default="", metavar="NAME", help="Metric of the task: top1, mpjpe, ..."),
        click.option("--truth", type=PATH, help="CSV of what is right for each sample (docs/samples.md)."),
        click.option(
            "--figure",
            type=FIGURE,
            default="sqnr",
            show_default=True,
            help="What is looked at; channel: SQNR of an output's worst channel.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command
