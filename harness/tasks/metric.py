"""What a metric of a task is, and where they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.extensions.registry import Registry

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Truth:
    """What is right for one sample; None: its line does not tell."""

    label: int | None = None
    boxes: Array | None = None  # [n, 5]: left, top, right, bottom, class
    joints: Array | None = None  # [j, 2 or 3], NaN where a joint is not labelled


@dataclass(frozen=True)
class TaskMetric:
    """`measure(outputs by name, truth)` gives the value of one sample, None where outputs or truth do not allow it.

    `unit` "points" is for values of 0 to 1 that are told in percent. `needs` says in words what it takes.
    """

    label: str
    needs: str
    measure: Callable[[Mapping[str, Array], Truth], float | None] = field(repr=False)
    unit: str = ""
    higher_is_better: bool = True


METRICS: Registry[TaskMetric] = Registry("task metric", "harness.task_metrics", TaskMetric, "harness.tasks.named")


def scores_of(outputs: Mapping[str, Array]) -> Array | None:
    """The one output that holds a score for each class: [..., classes] with all other axes 1; None without one."""
    flat = [np.ravel(value) for value in outputs.values() if value.size > 1 and value.size == max(value.shape)]
    return np.asarray(flat[0], np.float64) if len(flat) == 1 else None
