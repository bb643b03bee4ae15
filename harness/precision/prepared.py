"""A float model and its calibration data, prepared once for everything that is asked of its precision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray

from harness.emulator.compiler import calibration, prepare_model
from harness.emulator.compiler.placement import Placement, place
from harness.emulator.compiler.quantize import Quantizer
from harness.emulator.compiler.tail_reshapes import with_tail_reshapes
from harness.emulator.model.nodes import ModelGraph
from harness.emulator.rooms import room_of_soc
from harness.emulator.socs import Soc
from harness.errors import InputError
from harness.precision.switches import SwitchGraph

Feed = dict[str, NDArray[Any]]
SUFFIXES = (".npy", ".bin", ".nv12")


@dataclass(frozen=True)
class PreparedModel:
    """What is measured: the model as the emulated compiler sees it, where its ops run, samples and ranges."""

    path: Path
    soc: Soc
    samples_folder: Path
    model: onnx.ModelProto
    placements: Mapping[str, Placement]
    ranges: calibration.Ranges
    feeds: tuple[Feed, ...]
    stems: tuple[str, ...]  # of the samples, in their order
    reference: onnx.ModelProto | None = None  # whose float outputs are right, where it is not `model` (edited.py)
    calibration: tuple[Feed, ...] = ()  # every sample that the ranges are of, also where fewer are measured

    def switches(self) -> SwitchGraph:
        """The float and the int8 graph as one."""
        units = {name: one.unit for name, one in self.placements.items()}
        quantizer = Quantizer(self.model, units, self.ranges, is_unsigned=self.soc.is_unsigned)
        return SwitchGraph(self.model, quantizer.run(), units)

    @property
    def network(self) -> ModelGraph:
        """Look-ups over the prepared model."""
        return ModelGraph(self.model)


def prepare(
    path: Path, soc: Soc, folder: Path, shapes: Mapping[str, tuple[int, ...]], most_samples: int = 0
) -> PreparedModel:
    """Read model and samples, place the ops and calibrate. `most_samples` of 0 takes all.

    Errors: InputError for a model that is quantized already, and for samples that do not fit it.
    """
    source = prepare_model.load(path)
    if prepare_model.is_quantized(source):
        raise InputError(f"{path}: quantized already", "give the float ONNX that it was made of")
    model = prepare_model.folded(prepare_model.unfolded(source, shapes, lambda one: one))
    rules = room_of_soc(soc).op_rules(soc)
    placements = place(ModelGraph(model), rules)
    if rules.gemm_is_convolution:
        model, placements = with_tail_reshapes(model, placements)
    samples = calibration.read_samples(folder, model, {})
    count = min(most_samples or len(samples.feeds), len(samples.feeds))
    ranges = calibration.ranges(model, samples)
    stems = stems_of(folder, ModelGraph(model).input_names[0], len(samples.feeds))
    return PreparedModel(
        path, soc, folder, model, placements, ranges, samples.feeds[:count], stems[:count], calibration=samples.feeds
    )


def stems_of(folder: Path, name: str, count: int) -> tuple[str, ...]:
    """The samples' names, in the order in which calibration reads them; numbers where they are rows of an archive."""
    place = folder / name if (folder / name).is_dir() else folder
    files = sorted(file for file in place.iterdir() if file.suffix in SUFFIXES) if place.is_dir() else []
    stems = tuple(file.stem for file in files)
    return stems if len(stems) == count else tuple(map(str, range(count)))
