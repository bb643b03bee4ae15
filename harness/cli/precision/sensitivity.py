"""`harness sensitivity`: what each op's int8 costs the outputs, beside the toolchain's table and the board's layers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import emit_json, json_option, note
from harness.cli.precision.options import PATH, DataOptions, data_options

if TYPE_CHECKING:
    from harness.precision.figures import Figure
    from harness.precision.sensitivity import Sensitivity
    from harness.precision.tables import JoinedOp, ToolchainTable

SHOWN = 20
EPILOG = """\b
Examples:
  harness sensitivity model.onnx --calibration samples/ --soc x5
  harness sensitivity model.onnx --calibration samples/ --soc x5 --truth labels.csv --task-metric top1
  harness sensitivity model.onnx --calibration samples/ --soc x5 --table node_sensitivity.log --run runs/model
  harness sensitivity --table quant_info.json --run runs/model
"""


@click.command(epilog=EPILOG)
@click.argument("model", required=False, type=PATH)
@data_options
@click.option("--table", type=PATH, help="A toolchain's table or log with cosines or sensitivities of nodes.")
@click.option("--run", "run_path", type=PATH, help="A run: its layers stand beside each op.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="JSON file. Default: <model>_sensitivity.json.")
@click.option("--top", type=click.IntRange(1), default=SHOWN, show_default=True, metavar="N", help="Rows to show.")
@json_option
def command(model: Path | None, table: Path | None, run_path: Path | None, as_json: bool, **given: Any) -> None:
    """Measure what int8 costs a model, one op at a time quantized or kept in float.

    All of it is computed on this PC by the emulated compiler's quantization; no board and no vendor's tool is asked.
    A measurement that was stopped goes on where it ended. Without MODEL a --table is shown, joined with a --run.
    """
    from harness.precision.tables import join, read_table
    from harness.runs.folder import load_run

    output, top = given.pop("output"), given.pop("top")
    options = DataOptions(**given)
    if model is None and table is None:
        raise click.UsageError("Give MODEL with --calibration, or --table.")
    read = read_table(table) if table is not None else None
    run = load_run(run_path) if run_path is not None else None
    if model is None:
        assert read is not None
        _show_joined(read, join((), read, run), as_json, top)
        return
    wanted = options.wanted_figure()
    result, facts = _measured(model, options, output)
    ops = sorted(result.ops, key=lambda op: wanted.loss(wanted.of(op.answers["alone"])), reverse=True)
    joined = join(ops, read, run)
    if as_json:
        emit_json("sensitivity", {**facts, "figure": wanted.name, "baseline": result.baseline, "ops": joined})
        return
    _show(result, joined[:top], wanted, facts)


def _measured(model: Path, options: DataOptions, output: Path | None) -> tuple[Sensitivity, dict[str, object]]:
    """The answers, written beside the model, and what they are of."""
    from harness.cli.progress import progress
    from harness.files.safe import output_file
    from harness.precision.kept import fingerprint, journal, to_json
    from harness.precision.sensitivity import measure

    prepared = options.prepared(model)
    score = options.task_score(prepared)
    file = output or model.with_name(f"{model.stem}_sensitivity.json")
    part = file.with_suffix(".part.jsonl")
    settings = (options.soc, options.task_metric, str(len(prepared.feeds)))
    kept = journal(part, fingerprint(model, prepared.samples_folder, *settings))
    if kept.answers:
        note(f"going on with {len(kept.answers)} answers of {part}")
    with progress("sensitivity") as step:
        result = measure(prepared, step, score, kept)
    facts: dict[str, object] = {
        "model": model.name,
        "soc": prepared.soc.name,
        "samples": len(prepared.feeds),
        "calibration": prepared.samples_folder.name,
        "task_metric": options.task_metric,
        "emulated": True,
        "file": str(file),
    }
    with output_file(file) as target:
        target.write((json.dumps(to_json(result, facts)) + "\n").encode())
    part.unlink(missing_ok=True)
    return result, facts


# --------------------------------------------------------------------------- shown


def _show(result: Sensitivity, ops: Sequence[JoinedOp], wanted: Figure, facts: Mapping[str, object]) -> None:
    from harness.cli.tables import table

    click.echo(f"{facts['model']} on {facts['soc']}, emulated on this PC; {facts['samples']} samples")
    for name, level in result.baseline.outputs.items():
        worst = f", worst channel {level.channel_sqnr_db:.1f} dB"
        click.echo(f"all int8  {name}: SQNR {level.sqnr_db:.1f} dB{worst}, cosine {level.cosine:.6f}")
    if result.baseline.task is not None:
        click.echo(f"task      float {result.float_task:.4g}, all int8 {result.baseline.task:.4g}")
    extra = [name for name in ("verdict", "table") if any(getattr(op, name) for op in ops)]
    rows = [(*_cells(op, wanted), *_more(op, extra)) for op in ops]
    columns = ("op", "type", "on", "only it int8", "all but it", "own", "up to it", *extra)
    table(f"{wanted.label}{f' in {wanted.unit}' if wanted.unit else ''}, worst first", columns, rows)
    click.echo(f"wrote {facts['file']}")


def _cells(op: JoinedOp, wanted: Figure) -> tuple[str, ...]:
    answers = op.measured.answers if op.measured else {}
    outputs = [wanted.of(answers[mode]) if mode in answers else None for mode in ("alone", "without")]
    own = (op.measured.own_db, op.measured.cumulative_db) if op.measured else (None, None)
    return op.name, op.kind, op.unit, *(_number(value) for value in (*outputs, *own))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.5f}" if 0.9 < value <= 1 else f"{value:.1f}"


def _more(op: JoinedOp, extra: Sequence[str]) -> list[str]:
    cells = {
        "verdict": op.verdict,
        "table": ", ".join(f"{name} {value:.6g}" for name, value in op.table.items()),
    }
    return [cells[name] for name in extra]


def _show_joined(read: ToolchainTable, ops: Sequence[JoinedOp], as_json: bool, top: int) -> None:
    from harness.cli.tables import table

    if as_json:
        emit_json("sensitivity-table", {"title": read.title, "ops": ops, "problems": read.problems})
        return
    for problem in read.problems:
        note(problem)
    rows = [(op.name, op.kind, op.unit, *_more(op, ("table", "verdict"))) for op in ops[:top]]
    table(f"{read.title}, in the tool's order", ("op", "type", "on", "table", "board"), rows)
