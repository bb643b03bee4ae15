"""What a toolchain does: place, quantize, cut into subgraphs, and say how far quantizing went from the float model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path

import onnx

from harness.emulator.compiler import calibration, prepare_model
from harness.emulator.compiler.accuracy import distances
from harness.emulator.compiler.assembly import Assembly
from harness.emulator.compiler.node_types import TypeWishes, offered
from harness.emulator.compiler.options import EVERY_NODE, BuildOptions
from harness.emulator.compiler.pixels import insert_preprocess, pixel_samples
from harness.emulator.compiler.placement import Placement, place
from harness.emulator.compiler.quantize import Quantizer
from harness.emulator.compiler.result import Build
from harness.emulator.compiler.tail_reshapes import with_tail_reshapes
from harness.emulator.model.nodes import ModelGraph
from harness.emulator.rooms import room_of_soc, socs
from harness.emulator.thresholds.calibrate import calibrate
from harness.emulator.thresholds.settings import CalibratedRanges
from harness.errors import InputError

__all__ = ["Build", "BuildOptions", "compile_model"]


def compile_model(path: Path, options: BuildOptions, number: int = 0) -> Build:
    """Compile one ONNX, float or QDQ. `number` is its place in a file that packs several. Errors: InputError."""
    _check_cores(options)
    _check_times(options)
    source = prepare_model.load(path)
    if prepare_model.is_quantized(source):
        return _compile_quantized(path, source, options, number)
    planes, named = options.soc.has_planes, options.soc.step_names.preprocess
    original = prepare_model.unfolded(
        source, options.shapes, lambda m: insert_preprocess(m, options.pixels, planes, named)
    )
    prepared = prepare_model.folded(original)
    network = ModelGraph(prepared)
    _check_forced(network, options)
    options, refused = _with_types(network, options)
    rules = room_of_soc(options.soc).op_rules(options.soc)
    placements = place(network, rules, options.on_cpu, options.on_accelerator)
    if rules.gemm_is_convolution and options.output_type == "float":
        prepared, placements = with_tail_reshapes(prepared, placements)
    if options.times_only:
        no_ranges = CalibratedRanges(calibration.no_ranges(prepared))
        quantized = _quantized(prepared, placements, options, no_ranges)
        assembly = Assembly(quantized, placements, options, rules, number)
        return Build(assembly.result(path, calibration.NONE), {}, quantized, calibration.NONE)
    samples = _samples(prepared, options)
    units = {name: placement.unit for name, placement in placements.items()}
    quantize = partial(_quantized, prepared, placements, options)
    calibrated = calibrate(prepared, units, samples, options.calibrating, quantize)
    quantized = quantize(calibrated)
    assembly = Assembly(quantized, placements, options, rules, number)
    model = assembly.result(path, samples.source)
    distance = distances(model, assembly.files[model.graph], prepared, samples.feeds[0], options.picture_inputs)
    return Build(
        model,
        assembly.files,
        quantized,
        samples.source,
        prepared,
        distance,
        prepare_model.with_names(original),
        refused,
        calibrated.settings.words,
    )


def _with_types(network: ModelGraph, options: BuildOptions) -> tuple[BuildOptions, tuple[str, ...]]:
    """The options with the types of single nodes that the chip offers, and what it refuses."""
    wished = options.types.of(network)
    if wished and options.soc.is_unsigned:
        raise InputError(f"types of nodes: {options.soc.name} is emulated with 8 bits only", "leave them out")
    room = room_of_soc(options.soc)
    types, refused = offered(network, wished, partial(room.takes_type, options.soc))
    return replace(options, types=TypeWishes(types)), refused


def _quantized(
    prepared: onnx.ModelProto,
    placements: Mapping[str, Placement],
    options: BuildOptions,
    calibrated: CalibratedRanges,
) -> onnx.ModelProto:
    units = {name: placement.unit for name, placement in placements.items()}
    pixels = frozenset(options.picture_inputs)
    is_unsigned = options.soc.is_unsigned
    return Quantizer(
        prepared,
        units,
        calibrated.ranges,
        output_type=options.output_type,
        pixels=pixels,
        is_unsigned=is_unsigned,
        types=options.types.nodes,
        is_asymmetric=calibrated.settings.asymmetric and not is_unsigned,
        channels=calibrated.channels,
        means=calibrated.means,
    ).run()


def _compile_quantized(path: Path, source: onnx.ModelProto, options: BuildOptions, number: int) -> Build:
    if options.times_only:
        raise InputError(f"{path}: --times-only does not apply to a quantized model", "give the float ONNX")
    remark = "already quantized, used as is"
    completed = prepare_model.complete(source, options.shapes)
    assembly = Assembly(completed, {}, options, room_of_soc(options.soc).op_rules(options.soc), number)
    model = assembly.result(path, remark)
    return Build(model, assembly.files, completed, remark)


def _samples(model: onnx.ModelProto, options: BuildOptions) -> calibration.Samples:
    if options.calibration is None and options.soc.takes_pictures:
        return calibration.pixel_samples(model, options.mean, options.var, options.seed)
    if options.calibration is None:
        return calibration.random_samples(model, options.seed, options.picture_inputs)
    readers = pixel_samples(model, options.pixels, options.soc.has_planes)
    return calibration.read_samples(options.calibration, model, readers)


def _check_cores(options: BuildOptions) -> None:
    """Errors: InputError for more cores than the chip has, or a family whose forms for several are not public."""
    soc = options.soc
    if options.cores == 1:
        return
    if not soc.joins_cores or options.cores > soc.cores:
        has = f"{soc.name} has {soc.cores} {soc.unit} core{'s' if soc.cores > 1 else ''}"
        why = has if options.cores > soc.cores else f"what {soc.name}'s tools print of such models is not public"
        raise InputError(f"--cores {options.cores}: {why}", _emulated_cores())


def _check_times(options: BuildOptions) -> None:
    """Errors: InputError for a model of times alone where the chip has none."""
    if options.times_only and options.soc.not_estimated:
        why = f"no estimate of times on {options.soc.name}: {options.soc.not_estimated}"
        raise InputError(f"--times-only: {why}", "leave --times-only out, or give another --soc")


def _emulated_cores() -> str:
    """For which chips one inference on several cores is emulated."""
    several = [soc for soc in socs().values() if soc.joins_cores and soc.cores > 1]
    known = ", ".join(f"{soc.name} (1 to {soc.cores})" for soc in several)
    return f"supported for {known}" if several else "leave --cores out"


def _check_forced(network: ModelGraph, options: BuildOptions) -> None:
    names = [node.name for node in network.nodes]
    int16 = tuple(name for name in options.int16 if name != EVERY_NODE)
    for option, given in (
        ("--on-cpu", options.on_cpu),
        ("--on-bpu", options.on_accelerator),
        ("--int16", int16),
        ("types of nodes", tuple(options.types.nodes)),
    ):
        for name in (name for name in given if name not in names):
            near = get_close_matches(name, names, n=1)
            some = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            hint = f"did you mean {near[0]!r}?" if near else f"known: {some}"
            raise InputError(f"{option} {name!r}: no such node", hint)
    for name in set(options.on_cpu) & set(options.on_accelerator):
        raise InputError(f"{name!r} is in both --on-cpu and --on-bpu", "give it with one of them")
