"""One sample: its outputs on the board against the reference, the reference against the float model, and the task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.consistency.compare import CompareSettings, compare
from harness.consistency.policy import load_policy
from harness.consistency.reading.layouts import TensorError
from harness.consistency.reading.pairs import open_pair, real_values
from harness.consistency.reading.tensor_files import open_tensor
from harness.dumps.folders import each_once
from harness.errors import ConfigError
from harness.platforms.base import Platform
from harness.records import Case, Comparison, Dump, Layer, ModelInfo, Sample
from harness.reference.folder import Reference, ReferenceTensor
from harness.tasks.metric import METRICS, TaskMetric, Truth

Array = npt.NDArray[Any]
Values = dict[str, Array]  # real values of outputs, by the reference's names
ORDER = ("failed", "differs", "not_compared", "within", "exact")  # the worst first


@dataclass(frozen=True)
class JudgedSample:
    """A sample with the real values of its outputs, by stage."""

    sample: Sample
    values: Mapping[str, Values] = field(default_factory=dict)


class SampleJudge:
    """Judges one sample after the other by the case's policy."""

    def __init__(self, case: Case, platform: Platform, info: ModelInfo, truths: Mapping[str, Truth]) -> None:
        self._platform, self._info, self._truths = platform, info, truths
        self.metrics = METRICS.all() if truths else {}
        self._settings = CompareSettings(
            storages=platform.storages,
            policy=load_policy(case.policy, case.min_coverage),
            mapping=Path(case.mapping) if case.mapping else None,
            hypotheses=False,
            platform=platform.name,
            runs_onnxruntime=platform.runs_onnxruntime,
            toolchain=info.versions.get("builder", ""),
        )

    def layers(self, folder: Path, log: str, reference: Reference) -> Comparison:
        """All layers of one sample that ran in debug mode."""
        layers = self._platform.read_dumps(folder, log, self._info)
        dumps = each_once(layers, self._platform.read_outputs(folder, log, self._info))
        return compare(reference, dumps, replace(self._settings, gaps=self._platform.gaps(dumps)))

    def judge(
        self, stem: str, folder: Path, log: str, reference: Reference | None, floats: Reference | None, tool_s: float
    ) -> JudgedSample:
        """`folder` holds what the board's tool left for the sample, `log` what it printed."""
        dumps = self._platform.read_outputs(folder, log, self._info)
        dumps = dumps or self._platform.read_dumps(folder, log, self._info)
        quantized = {} if reference is None else values_of(reference)
        given = {} if floats is None else _named_alike(values_of(floats), quantized)
        layers = self._layers(reference, dumps)
        board = self._board(reference, dumps, layers)
        values = {name: side for name, side in (("float", given), ("quantized", quantized), ("board", board)) if side}
        worst = min(layers, key=_badness, default=None)
        metrics = worst.metrics if worst else None
        loss = _losses(quantized, given)
        sample = Sample(
            stem,
            worst.verdict if worst else "not_compared",
            worst.name if worst else "",
            metrics.relative_l2 if metrics else None,
            metrics.one_minus_cosine if metrics else None,
            metrics.max_step if metrics else None,
            max((one for one, _ in loss), default=None),
            max((one for _, one in loss), default=None),
            self._tasks(stem, values),
            {layer.name: layer.verdict for layer in layers},
            tool_s,
        )
        return JudgedSample(sample, values)

    def _layers(self, reference: Reference | None, dumps: Sequence[Dump]) -> list[Layer]:
        if reference is None:
            return []
        comparison = compare(reference, dumps, replace(self._settings, isolate=False))
        has_outputs = any(tensor.is_output for tensor in reference.tensors.values())
        return [row for row in comparison.layers if row.is_output or (not has_outputs and row.board_file)]

    def _board(self, reference: Reference | None, dumps: Sequence[Dump], layers: Sequence[Layer]) -> Values:
        """Real values of the outputs, under the reference's names; without a reference as the platform reads them."""
        if reference is None:
            opened = {dump.name: _alone(dump) for dump in dumps}
            return {name: value for name, value in opened.items() if value is not None}
        by_file = {dump.path.name: dump for dump in dumps}
        values: Values = {}
        for layer in layers:
            tensor, dump = reference.tensors.get(layer.name), by_file.get(Path(layer.board_file).name)
            if tensor is not None and dump is not None and layer.verdict != "not_compared":
                values |= self._pair(layer.name, tensor, dump)
        return values

    def _pair(self, name: str, tensor: ReferenceTensor, dump: Dump) -> Values:
        try:
            pair = open_pair(tensor, dump, self._platform.storages)
        except TensorError:
            return {}
        return {name: real_values(pair.board, pair.spec_board)}

    def _tasks(self, stem: str, values: Mapping[str, Values]) -> dict[str, dict[str, float]]:
        truth = self._truths.get(stem)
        if truth is None:
            return {}
        values_by_stage = {name: _measured(name, metric, values, truth) for name, metric in self.metrics.items()}
        return {name: stages for name, stages in values_by_stage.items() if stages}


def _alone(dump: Dump) -> Array | None:
    """Real values by the dump's own spec; None where it has none, or does not fit it."""
    try:
        return None if dump.spec is None else real_values(open_tensor(dump.path, dump.spec), dump.spec)
    except TensorError:
        return None


def _measured(name: str, metric: TaskMetric, values: Mapping[str, Values], truth: Truth) -> dict[str, float]:
    """By stage. Errors: ConfigError for a metric of an installed package that fails."""
    try:
        values_by_stage = {stage: metric.measure(outputs, truth) for stage, outputs in values.items()}
    except Exception as error:
        if name in METRICS.built_in:
            raise
        message = f"task metric {name!r} of an installed package failed: {type(error).__name__}: {error}"
        raise ConfigError(message, "repair or uninstall its package") from error
    return {
        stage: float(value) for stage, value in values_by_stage.items() if value is not None and math.isfinite(value)
    }


def values_of(reference: Reference) -> Values:
    """Real values of a reference's outputs (of all tensors where none is marked)."""
    marked = any(tensor.is_output for tensor in reference.tensors.values())
    kept = [tensor for tensor in reference.tensors.values() if tensor.is_output or not marked]
    return {tensor.name: _real(tensor) for tensor in kept}


def _real(tensor: ReferenceTensor) -> Array:
    array = tensor.load()
    return np.array(array, np.float64) if tensor.spec is None else np.array(real_values(array, tensor.spec))


def _named_alike(values: Values, wanted: Values) -> Values:
    """The float model's outputs under the reference's names and shapes: by name, else in their order where all sizes
    agree. One of another size is none."""
    if not wanted:
        return values
    is_named = set(wanted) <= set(values)
    if not is_named and len(values) != len(wanted):
        return {}
    pairs = {name: values[name] for name in wanted} if is_named else dict(zip(wanted, values.values(), strict=True))
    named = {name: _shaped(value, wanted[name]) for name, value in pairs.items() if value.size == wanted[name].size}
    return named if is_named or len(named) == len(wanted) else {}


def _shaped(value: Array, like: Array) -> Array:
    """In the other's shape, where only axes were joined or added: axes in another order stay what they are."""
    sizes, wanted = ([size for size in array.shape if size != 1] for array in (value, like))
    return value if sizes != wanted and sorted(sizes) == sorted(wanted) else value.reshape(like.shape)


def _badness(layer: Layer) -> tuple[int, float]:
    """Sorts the worst first."""
    size = layer.metrics.relative_l2 if layer.metrics else None
    return ORDER.index(layer.verdict), -(size if size is not None else math.inf if layer.verdict == "differs" else 0.0)


def worst_first(sample: Sample) -> tuple[int, float]:
    """Sorts samples, the worst first."""
    size = sample.relative_l2
    missing = math.inf if sample.verdict == "differs" else 0.0
    return ORDER.index(sample.verdict) if sample.verdict in ORDER else 0, -(size if size is not None else missing)


def _losses(values: Values, before: Values) -> list[tuple[float, float]]:
    """(relative L2, 1 - cosine) of each output against the stage before; NaN counts as lost entirely."""
    pairs = [(values[name], before[name]) for name in values if name in before]
    return [(relative_l2(a, b), one_minus_cosine(a, b)) for a, b in pairs if a.size == b.size]


def relative_l2(values: Array, reference: Array) -> float:
    """Norm of the difference over that of the reference; infinite where only the reference is zero."""
    lost = float(np.linalg.norm(np.ravel(values) - np.ravel(reference)))
    size = float(np.linalg.norm(np.ravel(reference)))
    return lost / size if size else (0.0 if not lost else math.inf)


def one_minus_cosine(values: Array, reference: Array) -> float:
    """1 less the cosine; 0 where both are zero, 1 where one is, or where NaN leaves none."""
    a, b = np.ravel(values).astype(np.float64), np.ravel(reference).astype(np.float64)
    sizes = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    if not sizes:
        return 0.0 if not a.any() and not b.any() else 1.0
    cosine = float(np.dot(a, b)) / sizes
    return max(0.0, 1 - cosine) if math.isfinite(cosine) else 1.0
