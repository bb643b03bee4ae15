"""One look at calibration data: on its own, and against what a run was fed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx

from harness.emulator.compiler import calibration, prepare_model
from harness.emulator.compiler.calibration import Feed
from harness.emulator.model.nodes import ModelGraph
from harness.emulator.thresholds.statistics import collect
from harness.errors import InputError
from harness.precision.judged.duplicates import duplicates
from harness.precision.judged.observations import BAD, CalibrationObservation, TensorRange
from harness.precision.judged.preprocessing import InputComparison, compare_input, observations_of
from harness.precision.judged.ranges import beyond, coverage, left, outliers, tensor_ranges
from harness.precision.prepared import stems_of
from harness.records import Run
from harness.records.callbacks import ProgressCallback


@dataclass(frozen=True)
class JudgedCalibration:
    """Everything that was seen; `inputs` is how many inputs of a run it was held against."""

    samples: int
    inputs: int
    observations: tuple[CalibrationObservation, ...]
    tensors: tuple[TensorRange, ...]
    preprocessing: tuple[InputComparison, ...]

    @property
    def is_bad(self) -> bool:
        """Whether anything is wrong, as opposed to worth a look."""
        return any(one.severity == BAD for one in self.observations)


def float_model(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> onnx.ModelProto:
    """The model as the emulated compiler sees it. Errors: InputError for one that is quantized already."""
    source = prepare_model.load(path)
    if prepare_model.is_quantized(source):
        raise InputError(f"{path}: quantized already", "give the float ONNX that it was made of")
    return prepare_model.folded(prepare_model.unfolded(source, shapes, lambda one: one))


def judge(model: onnx.ModelProto, folder: Path, run: Sequence[Feed], step: ProgressCallback) -> JudgedCalibration:
    """The samples of `folder`, and against them what a run is fed (none: nothing is said of it). Errors: InputError."""
    network = ModelGraph(model)
    feeds = calibration.read_samples(folder, model, {}).feeds
    stems = stems_of(folder, network.input_names[0], len(feeds))
    statistics = collect(model, feeds, step=step)
    tensors = tensor_ranges(network, statistics, stems)
    if run:
        shares = beyond(model, statistics, run)
        tensors = [replace(one, clipped=shares[one.tensor][0], used=shares[one.tensor][1]) for one in tensors]
    compared = tuple(_comparisons(network, feeds, run)) if run else ()
    observations = (
        *observations_of(compared),
        *left(tensors, network.input_names),
        *outliers(tensors, len(feeds)),
        *coverage(statistics, len(feeds), stems),
        *duplicates(feeds, stems),
    )
    return JudgedCalibration(len(feeds), len(run), observations, tuple(tensors), compared)


def _comparisons(network: ModelGraph, feeds: Sequence[Feed], run: Sequence[Feed]) -> Iterator[InputComparison]:
    for name in network.input_names:
        if feeds[0][name].dtype.kind == "f":
            yield compare_input(name, [feed[name] for feed in feeds], [feed[name] for feed in run])


# --------------------------------------------------------------------------- what a run is fed


def feeds_of_folder(folder: Path, model: onnx.ModelProto) -> tuple[Feed, ...]:
    """Inputs of a run as calibration samples lie: a folder, one per input, or an .npz. Errors: InputError."""
    return calibration.read_samples(folder, model, {}).feeds


def feed_of_run(folder: Path, run: Run, model: onnx.ModelProto) -> tuple[Feed, ...]:
    """The copies that a run folder keeps of what the board was fed.

    Errors: InputError for a run on seeded noise, and for files that are not float values of the model's inputs.
    """
    network, feed = ModelGraph(model), {}
    for fed in run.case.inputs:
        if fed.generated:
            raise InputError(
                f"{folder}: the run was fed seeded noise, no data", "run it with --input, or give --inputs"
            )
        name = fed.tensor if fed.tensor in network.input_names else ""
        name = name or (network.input_names[0] if len(network.input_names) == 1 else "")
        path = folder / fed.file
        is_own = bool(fed.file) and not Path(fed.file).is_absolute() and ".." not in Path(fed.file).parts
        if not name or not is_own or not path.is_file():
            raise InputError(f"{folder}: no copy of input {fed.tensor!r} in it", "give the files: --inputs DIR")
        feed[name] = _values(path, name, network)
    if set(feed) != set(network.input_names):
        raise InputError(f"{folder}: not all inputs of the model are in it", "give the files: --inputs DIR")
    return (feed,)


def _values(path: Path, name: str, network: ModelGraph) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    shape = network.shape(name) or ()
    size = int(np.prod(shape))
    try:
        data = np.load(path, allow_pickle=False) if path.suffix == ".npy" else np.fromfile(path, np.float32)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: cannot be read ({error})", "give the files: --inputs DIR") from None
    if data.size != size:
        why = f"holds {data.size} values of float32, input {name!r} has {size}"
        raise InputError(f"{path}: {why} (a picture as pixels?)", "give the model's own values: --inputs DIR")
    return np.asarray(data, np.float32).reshape(shape)
