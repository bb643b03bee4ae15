"""`harness emulator`: compile for emulated boards, serve them over ssh, list the faults they can have."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import WholeHelp, emit_json, json_option, named_shape, note
from harness.cli.tables import table
from harness.errors import InputError

SHOWN_REFUSALS = 5

if TYPE_CHECKING:
    from harness.emulator.build import BuildResult
    from harness.emulator.compiler.options import BuildOptions, BuildRequest
    from harness.emulator.compiler.pixels import PixelInput
    from harness.emulator.compiler.result import Build
    from harness.emulator.model.compiled import BoardTensor
    from harness.emulator.socs import Soc
    from harness.records import Board


def _known_soc(context: click.Context, option: click.Parameter, value: str) -> str:
    """A chip that some vendor's room builds models for: asked when one is given, not when the help is printed."""
    from harness.emulator.rooms import own_socs, socs

    return str(click.Choice((*socs(), *own_socs())).convert(value, option, context))


@click.group(name="emulator", cls=WholeHelp)
def command() -> None:
    """Build models for emulated boards and serve them.

    \b
    Examples:
      harness emulator build model.onnx --soc x5 --calibration samples/ -o model.bin
      harness emulator build model.onnx --soc bm1684x --calibration samples/
      harness emulator build yolo.onnx --soc x5 --input-type nv12 --scale 0.00392157
      harness emulator serve emu-x5
      harness emulator faults
    """


# --------------------------------------------------------------------------- build


@command.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--soc", required=True, callback=_known_soc, metavar="SOC", help="Target SoC: x5, j6e, t40, ...")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Compiled model. Default: beside the ONNX.")
@click.option(
    "--calibration", type=click.Path(path_type=Path), help="Calibration samples: folder of .npy/.bin, or an .npz."
)
@click.option(
    "--input-type",
    "types",
    multiple=True,
    metavar="[INPUT=]TYPE",
    help="nv12, yuv444, rgb, bgr, gray or featuremap; repeatable. Default: featuremap.",
)
@click.option("--mean", default="0", metavar="R,G,B", help="Mean of picture inputs, in the model's colour order.")
@click.option("--var", default="255", help="T40 and T41: (pixel - mean) / var, one or three numbers.")
@click.option("--scale", default="1", metavar="R,G,B", help="Scale of picture inputs: (pixel - mean) * scale.")
@click.option("--colour", type=click.Choice(["rgb", "bgr"]), default="rgb", help="The model's colour order.")
@click.option(
    "--shape", "shapes", multiple=True, metavar="INPUT=1,3,224,224", help="Shape of a dynamic input; repeatable."
)
@click.option("--on-cpu", multiple=True, metavar="NODE", help="Place a node on the CPU; repeatable.")
@click.option("--on-bpu", "on_accelerator", multiple=True, metavar="NODE", help="Place a node on the BPU; repeatable.")
@click.option(
    "--output-type",
    type=click.Choice(["float", "quantized", "int16", "int32"]),
    default="float",
    help="Type of BPU outputs: quantized is int8; int32: the last convolution's accumulators, a scale per channel.",
)
@click.option("--debug-layers/--no-debug-layers", default=True, help="Dump tensors inside subgraphs in debug mode.")
@click.option("--cores", metavar="N", default=1, type=click.IntRange(1), help="J6P and S600: cores per inference.")
@click.option(
    "--seed", metavar="N", default=0, type=click.IntRange(0), help="Seed of random calibration data (no --calibration)."
)
@click.option("--times-only", is_flag=True, help="Place and price the model without computing values; no dumps.")
@click.option("--int16", metavar="NODE|all", multiple=True, help="Feature maps of a node in int16; repeatable.")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A yaml of hb_mapper or hb_compile, or a quant_config.json: types and places of nodes, calibration.",
)
@click.option(
    "--quantize",
    type=click.Choice(["int8", "f16", "bf16"]),
    default="int8",
    help="Chips built for by the vendor's own compiler (bm1684x, ...): type of the whole model.",
)
@click.option(
    "--layer-type",
    "layer_types",
    multiple=True,
    metavar="LAYER=TYPE",
    help="The same chips: another type for one layer, by the compiler's name; repeatable.",
)
@json_option
def build(models: tuple[Path, ...], output: Path | None, as_json: bool, **given: Any) -> None:
    """Compile an ONNX (float, or quantized with Q/DQ) for an emulated board; several make a packed model.

    \b
    Examples:
      harness emulator build model.onnx --soc x5
      harness emulator build a.onnx b.onnx --soc x5 -o packed.bin
      harness emulator build big.onnx --soc x5 --times-only
      harness emulator build model.onnx --soc j6e --calibration samples/ --config quant_config.json
    """
    from harness.emulator.build import build as run_build
    from harness.emulator.compiler.options import BuildRequest
    from harness.emulator.rooms import own_socs

    request = BuildRequest(**given)
    _refuse_odd_figures(request)
    room = own_socs().get(request.soc)
    if room is not None:
        _say_files(room.build_own(models, request, output, note), as_json)
        return
    built = run_build(models, _options(models, request), output)
    if as_json:
        emit_json("emulator-build", built.facts())
        return
    _say_built(built)


def _say_files(files: Sequence[Path], as_json: bool) -> None:
    """What the vendor's own compiler left, the compiled model first."""
    if as_json:
        emit_json("emulator-build", {"models": [], "output": str(files[0]), "files": [str(path) for path in files]})
        return
    for path in files:
        click.echo(f"wrote {path}")


def _options(models: tuple[Path, ...], given: BuildRequest) -> BuildOptions:
    from harness.emulator.build import node_settings
    from harness.emulator.compiler.options import BuildOptions
    from harness.emulator.rooms import room_of_soc, soc_named
    from harness.emulator.thresholds.settings import PLAIN_CALIBRATION

    soc = soc_named(given.soc)
    if given.quantize != "int8" or given.layer_types:
        raise InputError(f"--quantize and --layer-type do not apply to {soc.name}", "see --on-cpu and --output-type")
    room_of_soc(soc).check_request(len(models), given)
    settings = node_settings(given, soc)
    return BuildOptions(
        soc=soc,
        calibration=given.calibration,
        pixels={} if soc.takes_pictures else _pixels(models, given),
        shapes=dict(named_shape(text) for text in given.shapes),
        on_cpu=(*given.on_cpu, *settings.on_cpu),
        on_accelerator=(*given.on_accelerator, *settings.on_accelerator),
        types=settings.types,
        calibrating=settings.calibrating or PLAIN_CALIBRATION,
        output_type=given.output_type,
        debug_layers=given.debug_layers,
        cores=given.cores,
        seed=given.seed,
        times_only=given.times_only,
        int16=given.int16 if given.times_only else (),
        mean=given.mean,
        var=given.var,
    )


def _pixels(models: tuple[Path, ...], given: BuildRequest) -> dict[str, PixelInput]:
    """Per picture input how its pixels are normalised; a bare `nv12` means every image-like input."""
    from harness.emulator.compiler.pixels import PixelInput
    from harness.emulator.model.compiled import BOARD_TYPES

    pixel = PixelInput(_three(given.mean, "--mean"), _three(given.scale, "--scale"), given.colour == "bgr")
    named: dict[str, PixelInput] = {}
    for text in given.types:
        name, equals, kind = text.rpartition("=")
        if kind not in (*BOARD_TYPES, "featuremap"):
            known = f"{', '.join(BOARD_TYPES)} or featuremap"
            raise InputError(f"--input-type {text!r}: expected {known}", "--input-type images=nv12")
        if kind != "featuremap":
            one = replace(pixel, kind=kind)
            named |= dict.fromkeys([name] if equals else _image_inputs(models, kind, one.channels), one)
    if not named and (given.mean, given.scale, given.colour) != ("0", "1", "rgb"):
        raise InputError(
            "--mean, --scale and --colour apply to picture inputs only, and there is none",
            "add --input-type nv12, or normalise samples and inputs beforehand",
        )
    return named


def _image_inputs(models: tuple[Path, ...], kind: str, channels: int) -> list[str]:
    from harness.emulator.compiler.pixels import image_inputs
    from harness.emulator.compiler.prepare_model import load

    names = [name for path in models for name in image_inputs(load(path), channels)]
    if not names:
        what = f"no input looks like an image (N x {channels} x H x W)"
        raise InputError(what, f"name it: --input-type INPUT={kind}")
    return names


def _refuse_odd_figures(given: BuildRequest) -> None:
    """Figures with which a model computes nothing. What is no figure at all is told by who reads it."""
    for option, text in (("--mean", given.mean), ("--scale", given.scale), ("--var", given.var)):
        for part in text.replace(",", " ").split():
            try:
                value = float(part)
            except ValueError:
                continue
            if not math.isfinite(value) or (value == 0 and option != "--mean"):
                why = "every pixel would be the same" if value == 0 and option == "--scale" else "no finite result"
                raise InputError(f"{option} {text}: {part} gives {why}", f"give finite numbers, for example {option} 1")


def _three(text: str, option: str) -> tuple[float, float, float]:
    try:
        values = [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        values = []
    if len(values) == 1:
        values *= 3
    if len(values) != 3:
        raise InputError(f"{option} {text!r}: expected one or three numbers", f"{option} 123.68,116.78,103.94")
    return values[0], values[1], values[2]


def _handed_out(tensor: BoardTensor) -> str:
    """Type of an output as the board's tool hands it over: `s32 (64 scales)`."""
    scales = tensor.handed_out.quantization.scales if tensor.handed_out.quantization else ()
    return f"{tensor.handed_out.dtype}{f' ({len(scales)} scales)' if len(scales) > 1 else ''}"


def _say_built(built: BuildResult) -> None:
    for one in built.builds:
        note(f"calibration: {one.calibration}")
        for line in one.refused[:SHOWN_REFUSALS]:
            note(f"{line}: it stays int8")
        if len(one.refused) > SHOWN_REFUSALS:
            note(f"{len(one.refused) - SHOWN_REFUSALS} more inputs stay int8 (--json lists them)")
        if built.soc.tells_units:
            _say_units(one, built.soc)
        else:
            click.echo(f"{one.model.name}: {len(one.model.ops)} ops")
    for path in built.files:
        click.echo(f"wrote {path}")


def _say_units(one: Build, soc: Soc) -> None:
    """Where the ops of a model run, and why not on the accelerator."""
    units = Counter(op.unit for op in one.model.ops)
    subgraphs = len({op.subgraph for op in one.model.ops if op.subgraph})
    placed = f"{units[soc.unit]} ops on the {soc.unit} in {subgraphs} subgraphs, {units['CPU']} on the CPU"
    click.echo(f"{one.model.name}: {placed}")
    outputs = ", ".join(f"{name} {_handed_out(one.model.tensor(name))}" for name in one.model.outputs)
    click.echo(f"outputs: {outputs}")
    if one.model.cores > 1:
        note(f"for {one.model.cores} cores; times are for one core (multi-core scaling is not public)")
    rows = [(op.name, op.kind, op.reason) for op in one.model.ops if op.unit == "CPU"]
    if rows:
        table("on the CPU", ("node", "type", "why"), rows)


# --------------------------------------------------------------------------- dump


@command.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("source", metavar="INPUT", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder to create. Default: as magik_executor names it."
)
@json_option
def dump(model: Path, source: Path, output: Path | None, as_json: bool) -> None:
    """Write the PC's layer dumps of MODEL (T40 or T41) for INPUT, as magik_executor does.

    \b
    Example:
      harness emulator dump model.bin input_data_shape_1_384_640_3.bin -o MAGIK_DATA_DUMP
    """
    from harness.emulator.model.compiled import CompiledFile
    from harness.emulator.rooms import room_of_march

    room = room_of_march(CompiledFile(model).models[0].march)
    folder = output or Path(room.dump_folder)
    written = room.write_dump(model, source, folder)
    if as_json:
        emit_json("emulator-dump", {"folder": str(folder), "files": [str(path) for path in written]})
        return
    click.echo(f"wrote {len(written)} files into {folder}")


# --------------------------------------------------------------------------- serve


@command.command()
@click.argument("board", default="emu-x5")
@click.option(
    "--server",
    type=click.Choice(["openssh", "dropbear"]),
    default=None,
    help="SSH server; dropbear has no sftp. Default: openssh; dropbear for emu-t40 and emu-t41.",
)
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Port on 127.0.0.1; 0: any free port.")
@json_option
def serve(board: str, server: str | None, port: int, as_json: bool) -> None:
    """Serve an emulated board through a real ssh server on loopback, until Ctrl-C.

    \b
    Example:
      harness emulator serve emu-x5 --server dropbear
      harness emulator serve emu-t40
    """
    from harness.config import nearest
    from harness.emulator.built_in import board_named, boards, serve_board

    record = board_named(board)
    if record is None or record.emulated is None:
        raise InputError(f"no emulated board {board!r}", nearest(board, boards()))
    with serve_board(record, server or "", port) as served:
        if as_json:
            emit_json("emulator-serve", {key: getattr(served.endpoint, key) for key in _LOGIN})
        else:
            click.echo(_hosts_entry(served))
        _wait()


_LOGIN = ("address", "port", "user", "identity", "known_hosts")


def _hosts_entry(served: Board) -> str:
    """The board as hosts.yaml takes it: JSON strings are YAML."""
    import json

    who, login = served.identity, {key: getattr(served.endpoint, key) for key in _LOGIN}
    values = {"platform": who.platform, "soc": who.soc} | login
    values |= {"work": served.folders.work, "tools": served.environment.tools, "options": who.options}
    values["emulated"] = True
    body = "\n".join(f"    {key}: {json.dumps(value)}" for key, value in values.items() if value)
    return f"# serving until Ctrl-C; entry for hosts.yaml:\nboards:\n  {served.name}-served:\n{body}"


def _wait() -> None:
    import contextlib
    import signal
    import threading

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    with contextlib.suppress(KeyboardInterrupt):
        stop.wait()


# --------------------------------------------------------------------------- faults


@command.command()
@json_option
def faults(as_json: bool) -> None:
    """List the faults that can be injected into an emulated board.

    \b
    Examples:
      harness emulator faults
      harness run model.bin --board emu-x5 --fault halved@conv1 --reference model_quantized_model.onnx
    """
    from harness.emulator.model.faults import ENVIRONMENT, catalogue

    kinds = list(catalogue().values())
    if as_json:
        faults = [{"kind": k.name, "where": k.where, "doc": k.doc, "args": dict(k.args)} for k in kinds]
        emit_json("emulator-faults", {"faults": faults})
        return
    rows = [(k.name, k.where, k.doc, ", ".join(f"{a} ({doc})" for a, doc in k.args.items())) for k in kinds]
    table("", ("kind", "at", "what", "arguments"), rows)
    click.echo(
        "\nat: op: an op or tensor of the model; input: a model input; step: a step; tool: infer, perf or model_info"
    )
    click.echo(
        f"notation: kind@name[:key=value,...], for example halved@conv1 or hang@perf; "
        f"separate several by ';' (--fault or ${ENVIRONMENT})"
    )
