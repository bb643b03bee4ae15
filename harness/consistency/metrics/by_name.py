"""Metrics that a policy asks for by name: harness's own are in named/, others come by entry points."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.consistency.metrics.pointwise import quantizations
from harness.consistency.reading.pairs import Pair
from harness.errors import ConfigError
from harness.extensions import Registry
from harness.records import Quantization

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Metric:
    """One figure that grows with the error; `measure` takes both sides dequantized, as float64 of one shape."""

    title: str  # for people, a few words
    measure: Callable[[Array, Array], float]


METRICS = Registry("metric", "harness.metrics", Metric, "harness.consistency.named")


def measured(names: Iterable[str], pair: Pair) -> Mapping[str, float]:
    """Those figures of a pair, both sides whole in memory; one that is undefined (not finite) is left out.

    Errors: ConfigError for an unknown name, or for a package that fails at it.
    """
    metrics = {name: METRICS.get(name) for name in names}
    if not metrics:
        return {}
    scales = quantizations(pair.board, pair.reference, pair.spec_board, pair.spec_reference)
    sides = _real(pair.board, scales[0]), _real(pair.reference, scales[1])
    result = {name: _figure(name, metric, *sides) for name, metric in metrics.items()}
    return {name: value for name, value in result.items() if np.isfinite(value)}


def _figure(name: str, metric: Metric, board: Array, reference: Array) -> float:
    try:
        return float(metric.measure(board, reference))
    except Exception as error:
        if name in METRICS.built_in:
            raise
        message = f"metric {name!r} of an installed package failed: {type(error).__name__}: {error}"
        raise ConfigError(message, "repair or uninstall its package, or take the metric out of the policy") from error


def _real(array: Array, scale: Quantization | None) -> Array:
    values: Array = array.astype(np.float64)
    if scale is None:
        return values
    along = [1] * array.ndim
    if scale.axis is not None:
        along[scale.axis] = -1
    zeros = np.asarray(scale.zero_points or (0,), np.float64).reshape(along if len(scale.zero_points) > 1 else [1])
    steps = np.asarray(scale.scales, np.float64).reshape(along if len(scale.scales) > 1 else [1])
    return np.asarray((values - zeros) * steps)
