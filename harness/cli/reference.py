"""`harness reference`: run an ONNX on this PC and keep every intermediate tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from harness.cli.common import clean, emit_json, json_option, note
from harness.cli.progress import progress
from harness.cli.reference_options import runtime_of, runtime_options
from harness.cli.tables import table

if TYPE_CHECKING:
    from harness.records import ReferenceRuntime
    from harness.reference.open import Reference

SHOWN_ROWS = 12


def match_inputs(model: Path, given: Sequence[str]) -> dict[str, Path]:
    """`TENSOR=FILE` or, in the model's input order, `FILE`. Errors: InputError for more files than inputs."""
    from harness.errors import InputError
    from harness.reference.open import model_inputs

    names = [spec.name for spec in model_inputs(model)]
    named = {n: Path(f) for n, sep, f in (g.partition("=") for g in given) if sep and not Path(f"{n}={f}").exists()}
    twice = [name for name in named if sum(g.startswith(f"{name}=") for g in given) > 1]
    if twice:
        raise InputError(f"--input {twice[0]}=...: given more than once", "give one file per input")
    unnamed = [Path(g) for g in given if g.partition("=")[0] not in named]
    free = [name for name in _whole_pictures(names) if name not in named]
    if len(unnamed) > len(free):
        raise InputError(
            f"{model}: {len(given)} input files given, the model takes {len(names)} ({', '.join(names)})",
            "give one --input TENSOR=FILE per input",
        )
    return {**named, **dict(zip(free, unnamed, strict=False))}


def _whole_pictures(names: Sequence[str]) -> list[str]:
    """Inputs with a picture's two planes as one, where a model takes nothing else."""
    stem = names[0].removesuffix("_y") if len(names) == 2 else ""
    return [stem] if stem and names == [f"{stem}_y", f"{stem}_uv"] else list(names)


@dataclass(frozen=True)
class ReferenceOptions:
    """Options of the command line."""

    inputs: tuple[str, ...]
    optimizations: str
    threads: int
    runtime: str | None
    python: str
    image: str
    entrypoint: str
    engine: str | None
    timeout_s: float


@click.command(name="reference")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="[TENSOR=]FILE",
    help="Input file (.npy, raw bytes, NV12, or jpg and png of a camera model); repeatable.",
)
@click.option("-o", "--output", "--out", "out", type=click.Path(path_type=Path), required=True, help="Output folder.")
@click.option(
    "--optimizations",
    type=click.Choice(["disabled", "basic", "extended", "all"]),
    default="disabled",
    show_default=True,
    help="ONNX Runtime graph optimizations; when enabled, results depend on the CPU and on the dumped tensors.",
)
@click.option(
    "--threads", type=click.IntRange(1, 256), default=1, show_default=True, metavar="N", help="Threads within an op."
)
@runtime_options
@json_option
def command(model: Path, out: Path, as_json: bool, **given: Any) -> None:
    """Run an ONNX model on this PC and save every intermediate tensor.

    A model with vendor ops needs the vendor's runtime: give its interpreter (--python) or container image (--image).
    Of a compiled model (.bc, .hbm) only the outputs are saved.

    \b
    Examples:
      harness reference model_quantized.onnx --input images=photo.npy -o reference
      harness reference model_quantized.onnx --input images=photo.nv12 -o reference
      harness reference model_quantized.onnx --input images=photo.npy -o reference --image vendor/toolchain:1.2.8
      harness reference model_quantized.onnx --input images=photo.npy -o reference --python /opt/vendor/bin/python3
      harness compare reference board-dumps
    """
    options = ReferenceOptions(**given)
    reference = _compute(model, out, options, _runtime(options))
    if as_json:
        emit_json("reference", _summary(reference, out))
    else:
        _show(reference, out)


def _runtime(given: ReferenceOptions) -> ReferenceRuntime | None:
    names: tuple[str, ...] = (given.runtime,) if given.runtime else ()
    runtime = runtime_of(given.python, given.image)
    if runtime is not None:
        engine = given.engine or ""
        return replace(runtime, names=names, entrypoint=given.entrypoint, engine=engine, timeout_s=given.timeout_s)
    if names or given.engine:
        raise click.UsageError("--runtime and --engine need --python PATH or --image NAME.")
    return None


def _refuse_ignored(model: Path, runtime: ReferenceRuntime | None) -> None:
    """A vendor's runtime chooses optimizations and threads itself: an option that changes nothing is refused."""
    from harness.toolchains.vendor_runtime import PLAIN, needs_vendor

    context = click.get_current_context()
    names = runtime.names if runtime is not None else ()
    if (names and PLAIN not in names) or (not names and needs_vendor(model)):
        for name in ("optimizations", "threads"):
            if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
                raise click.UsageError(f"--{name} applies to ONNX Runtime only, not to a vendor runtime.")


def _compute(model: Path, out: Path, given: ReferenceOptions, runtime: ReferenceRuntime | None) -> Reference:
    from harness.reference.beside import resolve, write_outputs
    from harness.reference.open import open_reference, read_inputs, run_reference
    from harness.toolchains.vendor_runtime import is_compiled, read_named

    _refuse_ignored(model, runtime)
    with progress("reference") as step:
        if is_compiled(model):
            place = resolve(model, runtime)
            assert place is not None
            write_outputs(model, read_named(given.inputs), out, place, step)
            return open_reference(out)
        feed = read_inputs(model, match_inputs(model, given.inputs), note)
        return run_reference(
            model, feed, out, optimizations=given.optimizations, threads=given.threads, runtime=runtime, progress=step
        )


def _summary(reference: Reference, out: Path) -> dict[str, object]:
    tensors = [
        {"name": t.name, "op": t.op, "dtype": t.spec.dtype, "shape": t.spec.shape, "md5": t.md5}
        for t in reference.tensors.values()
        if t.spec is not None
    ]
    ops = len(reference.graph.ops) if reference.graph else 0
    skipped = reference.provenance.get("skipped", [])
    return {"folder": out, "ops": ops, "tensors": tensors, "skipped": skipped, "provenance": reference.provenance}


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
    click.echo(clean(f"{len(rows)} tensors in {out}, {_runner_text(runner)}"))
    skipped = reference.provenance.get("skipped", [])
    for row in skipped[:SHOWN_ROWS]:
        click.echo(clean(f"not saved: {row['name']}: {row['reason']}"))
    if len(skipped) > SHOWN_ROWS:
        click.echo(f"... {len(skipped) - SHOWN_ROWS} more, see `skipped` in {out / 'manifest.json'}")
    if runner.get("vnni") is False and runner.get("optimizations") != "disabled":
        click.echo("warning: this CPU has no VNNI: with optimizations, 8-bit sums can saturate")
    if runner.get("dumping_changed_outputs"):
        advice = "; use --optimizations disabled" if "optimizations" in runner else ""
        click.echo(f"warning: saving intermediate tensors changed the outputs{advice}")


def _runner_text(runner: dict[str, Any]) -> str:
    if "runtime" not in runner:
        return f"onnxruntime {runner.get('onnxruntime')}, optimizations {runner.get('optimizations')}"
    versions = ", ".join(f"{name} {version}" for name, version in runner.get("versions", {}).items())
    return f"{runner['runtime']} of {runner.get('module')} (Python {runner.get('python')}; {versions})"
