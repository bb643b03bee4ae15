"""The figure that is wanted of a model: SQNR, that of the worst channel, cosine, or a metric of the task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from harness.errors import InputError
from harness.precision.sensitivity import NO_TASK, OutputAnswer, TaskScore
from harness.tasks.metric import METRICS
from harness.tasks.truth import read_truth, refuse_missing

Array = NDArray[Any]


@dataclass(frozen=True)
class Figure:
    """What is looked at. `unit` is that of its values; larger is better unless `is_loss`."""

    name: str  # sqnr, channel, cosine or task
    label: str
    unit: str = ""
    is_loss: bool = False

    def of(self, answer: OutputAnswer) -> float | None:
        """The worst output's value; None for a task that could not be judged, and without float outputs."""
        if self.name == "task":
            return answer.task
        values = [getattr(level, _FIELDS[self.name]) for level in answer.outputs.values()]
        return min(values, default=None)

    def reaches(self, value: float | None, wanted: float) -> bool:
        """Whether a value is as good as what is wanted."""
        if value is None:
            return False
        return value <= wanted if self.is_loss else value >= wanted

    def loss(self, value: float | None) -> float:
        """For sorting: larger is worse; what could not be judged is last."""
        if value is None:
            return float("-inf")
        return value if self.is_loss else -value


_FIELDS = {"sqnr": "sqnr_db", "channel": "channel_sqnr_db", "cosine": "cosine"}
SQNR = Figure("sqnr", "SQNR of the worst output", "dB")
CHANNEL = Figure("channel", "SQNR of the worst channel", "dB")
COSINE = Figure("cosine", "cosine of the worst output")
FIGURES = {one.name: one for one in (SQNR, CHANNEL, COSINE)}


def task_figure(metric: str) -> Figure:
    """Of a task's metric. Errors: UserError for an unknown one."""
    known = METRICS.get(metric)
    return Figure("task", known.label, known.unit, not known.higher_is_better)


def task_score(metric: str, truth: Path | None, stems: Sequence[str]) -> TaskScore:
    """The mean of the metric over the samples. Errors: InputError for a truth that lacks a sample, UserError."""
    if not metric:
        return NO_TASK
    if truth is None:
        raise InputError(f"--task-metric {metric} needs --truth", "give a CSV of what is right (docs/samples.md)")
    measure, truths = METRICS.get(metric).measure, read_truth(truth)
    refuse_missing(truth, truths, stems)

    def score(outputs: Sequence[Mapping[str, Array]]) -> float | None:
        values = [measure(one, truths[stem]) for one, stem in zip(outputs, stems, strict=True)]
        judged = [value for value in values if value is not None]
        return sum(judged) / len(judged) if judged else None

    return score
