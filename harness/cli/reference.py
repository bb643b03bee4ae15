"""`harness reference`: run an ONNX on this PC and keep every intermediate tensor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import emit_json, json_option, progress
from harness.cli.tables import table

if TYPE_CHECKING:
    from harness.reference import Reference

SHOWN_ROWS = 12


def match_inputs(model: Path, given: Sequence[str]) -> dict[str, Path]:
    """`TENSOR=FILE` or, in the model's input order, `FILE`. Errors: InputError for more files than inputs."""
    from harness.errors import InputError
    from harness.reference import model_inputs

    names = [spec.name for spec in model_inputs(model)]
    named = {n: Path(f) for n, sep, f in (g.partition("=") for g in given) if sep and not Path(f"{n}={f}").exists()}
    twice = [name for name in named if sum(g.startswith(f"{name}=") for g in given) > 1]
    if twice:
        raise InputError(f"--input {twice[0]}=...: given more than once", "give each tensor one file")
    unnamed = [Path(g) for g in given if g.partition("=")[0] not in named]
    free = [name for name in names if name not in named]
    if len(unnamed) > len(free):
        raise InputError(
            f"{model}: {len(given)} input files for {len(names)} inputs ({', '.join(names)})",
            "give each as --input TENSOR=FILE",
        )
    return {**named, **dict(zip(free, unnamed, strict=False))}


@click.command(name="reference")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--input", "inputs", multiple=True, metavar="[TENSOR=]FILE", help="Input file: .npy, or raw bytes.")
@click.option(
    "-o", "--output", "--out", "out", type=click.Path(path_type=Path), required=True, help="Folder for the tensors."
)
@click.option(
    "--optimizations",
    type=click.Choice(["disabled", "basic", "extended", "all"]),
    default="disabled",
    show_default=True,
    help="onnxruntime's graph optimizations; with them on, results depend on the CPU and on what is dumped.",
)
@click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True, help="Threads within an op.")
@json_option
def command(model: Path, inputs: tuple[str, ...], out: Path, optimizations: str, threads: int, as_json: bool) -> None:
    """Run an ONNX on this PC and keep every intermediate tensor.

    \b
    Example:
      harness reference model_quantized.onnx --input images=photo.npy -o reference
      harness compare reference board-dumps
    """
    from harness.reference import read_inputs, run_reference
    from harness.toolchains.vendor_runtime import runtime_of

    if runtime_of(model):
        _by_vendor(model, inputs, out, as_json)
        return
    feed = read_inputs(model, match_inputs(model, inputs))
    with progress("reference") as step:
        reference = run_reference(model, feed, out, optimizations=optimizations, threads=threads, progress=step)
    if as_json:
        emit_json(_summary(reference, out))
    else:
        _show(reference, out)


def _by_vendor(model: Path, inputs: tuple[str, ...], out: Path, as_json: bool) -> None:
    """A model that only the vendor's own runtime can run: its outputs as one .npz."""
    from harness.reference import open_reference
    from harness.toolchains.vendor_runtime import read_named, write_vendor_reference

    reference = open_reference(write_vendor_reference(model, read_named(inputs), out))
    if as_json:
        emit_json(_summary(reference, out))
    else:
        _show(reference, out)


def _summary(reference: Reference, out: Path) -> dict[str, Any]:
    tensors = [
        {"name": t.name, "op": t.op, "dtype": t.spec.dtype, "shape": t.spec.shape, "md5": t.md5}
        for t in reference.tensors.values()
        if t.spec is not None
    ]
    ops = len(reference.graph.ops) if reference.graph else 0
    return {"folder": out, "ops": ops, "tensors": tensors, "provenance": reference.provenance}


def _show(reference: Reference, out: Path) -> None:
    runner = reference.provenance.get("runner", {})
    rows = [
        [t.name, t.op_kind or "input", t.spec.dtype, "x".join(map(str, t.spec.shape)), t.md5[:12]]
        for t in reference.tensors.values()
        if t.spec is not None
    ]
    table("", ["tensor", "op", "dtype", "shape", "md5"], rows[:SHOWN_ROWS])
    if len(rows) > SHOWN_ROWS:
        click.echo(f"... {len(rows) - SHOWN_ROWS} more in {out / 'manifest.json'}")
    click.echo(
        f"{len(rows)} tensors in {out}, onnxruntime {runner.get('onnxruntime')}, "
        f"optimizations {runner.get('optimizations')}"
    )
    if runner.get("vnni") is False and runner.get("optimizations") != "disabled":
        click.echo("warning: this CPU has no VNNI: with optimizations on, 8-bit sums can saturate")
    if runner.get("dumping_changed_outputs"):
        click.echo("warning: keeping the intermediate tensors changed the outputs; use --optimizations disabled")
