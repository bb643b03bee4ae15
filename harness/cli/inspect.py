"""`harness inspect`: identify files and show their contents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import clean, emit_json, json_option, say_error
from harness.cli.tables import table
from harness.errors import ASKED_WRONGLY, InputError

if TYPE_CHECKING:
    from harness.toolchains.records import Artifact

EPILOG = """\b
Examples:
  harness inspect hb_mapper_makertbin.log
  harness inspect model.onnx model_quant_info.json --json
  harness inspect model_node_info.csv --nodes CPU
"""
ROWS = 60
MOST_IN_A_LINE, MOST_IN_A_CELL = 300, 120  # characters


def _print_kinds(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from harness.toolchains import board_readers, readers
        from harness.toolchains.files import LAST

        of_boards, of_consoles = board_readers()
        every = (*readers(), *of_boards, *of_consoles, *LAST)
        click.echo("\n".join(dict.fromkeys(reader.title for reader in every)))
        ctx.exit()


@click.command(epilog=EPILOG)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--nodes", default="", metavar="TEXT", help="Only nodes whose row contains TEXT (a name, CPU, Softmax).")
@click.option("--all", "everything", is_flag=True, help=f"Show every row (default: at most {ROWS} per table).")
@click.option(
    "--kinds", is_flag=True, is_eager=True, expose_value=False, callback=_print_kinds, help="List the known file types."
)
@json_option
def command(files: tuple[Path, ...], nodes: str, everything: bool, as_json: bool) -> None:
    """Identify files and show their contents.

    Knows ONNX models, models of emulated boards, toolchain logs (hb_mapper, hb_compile, hb_perf, hb_verifier,
    hb_model_info), quant_info.json, node_info.csv, advice.json, sensitivity and similarity tables, runs,
    reference folders, arrays, and what board tools print and dump. An unrecognised file is exit 2.
    """
    refused: list[InputError] = []
    shown: list[dict[str, object]] = []
    for path in files:
        try:
            artifact = _read(path)
        except InputError as error:
            refused.append(error)
            shown.append({"file": str(path), "error": error.message})
            continue
        shown.append({"file": str(path), **_plain(artifact)})
        if not as_json:
            _show(path, artifact, nodes, None if everything else ROWS)
    if as_json:
        emit_json("inspect", {"files": shown})
    _end(refused)


def _end(refused: list[InputError]) -> None:
    """What could not be read is said last, where it is seen, and makes the exit code."""
    for number, error in enumerate(refused, 1):  # one hint for several of them, once
        repeated = number < len(refused) and refused[number].hint == error.hint
        say_error(InputError(error.message) if repeated else error)
    if refused:
        raise SystemExit(ASKED_WRONGLY)


def _read(path: Path) -> Artifact:
    from harness.files.packed import refuse_packed
    from harness.toolchains import board_readers, read_any
    from harness.toolchains.base import FileProbe

    refuse_packed(path, "an unpacked file")
    of_boards, of_consoles = board_readers()
    artifact = read_any(path, of_boards, of_consoles)
    if artifact is not None:
        return artifact
    probe = FileProbe(path)
    if path.is_file() and not probe.size_bytes:
        raise InputError(f"{path}: empty file", "copy or create it again")
    what = "a folder" if path.is_dir() else f"{probe.size_bytes} bytes, {'binary' if probe.binary else 'text'}"
    start = clean(probe.text[:60].strip()) if probe.text else probe.head[:8].hex(" ")
    raise InputError(f"{path}: unrecognised file type ({what}; begins with {start!r})", "see harness inspect --kinds")


def _plain(artifact: Artifact) -> dict[str, object]:
    from harness.records.codec import to_json

    value: dict[str, object] = to_json(artifact)
    return value


def _show(path: Path, artifact: Artifact, wanted: str, limit: int | None) -> None:
    click.echo(clean(f"{path}: {artifact.title}"))
    for line in _summary(artifact):
        click.echo(clean(f"  {line}"))
    if artifact.kind != "emulator_model":
        _show_tables(artifact.facts, limit)
    _show_settings(artifact, limit)
    _show_nodes(artifact, wanted, limit)
    _show_rest(artifact, limit)
    for message in artifact.messages:
        more = f" (x{message.count})" if message.count > 1 else ""
        where = f"line {message.line}: " if message.line else ""
        click.echo(clean(f"  {message.severity}: {where}{message.text}{more}"))
        if message.meaning:
            click.echo(clean(f"      means: {message.meaning}"))
    for problem in artifact.problems:
        click.echo(clean(f"  not read: {problem}"))


def _summary(artifact: Artifact) -> list[str]:
    lines = []
    if artifact.versions:
        lines.append("versions  " + ", ".join(f"{tool} {version}" for tool, version in artifact.versions.items()))
    if artifact.march:
        lines.append(f"march     {artifact.march}")
    if artifact.finished is not None:
        lines.append(f"result    {'success' if artifact.finished else 'FAILED'}")
    lines.extend(_placement(artifact))
    unit = _accelerator(artifact)
    for one in artifact.estimates:
        ddr = f", {one.ddr_bytes} bytes of DDR" if one.ddr_bytes is not None else ""
        frames = f" for {one.frames_per_run} frames" if (one.frames_per_run or 1) > 1 else ""
        lines.append(f"estimate  {one.subgraph}: {one.latency_us} us{frames}, {one.fps} FPS{ddr} ({unit} only, static)")
    facts = _of_played(artifact.facts) if artifact.kind == "emulator_model" else artifact.facts
    lines.extend(
        f"{_label(key)}{_short(value)}"
        for key, value in facts.items()
        if value not in ("", None) and not _is_table(value)
    )
    return lines


def _is_table(value: Any) -> bool:
    """Whether a fact is rows with more columns, or more of them, than a line can show."""
    rows = _objects(value)
    return bool(rows) and len(rows) == len(value) and (max(map(len, rows)) > 3 or len(_words(value)) > MOST_IN_A_LINE)


def _show_tables(facts: Mapping[str, object], limit: int | None) -> None:
    for key, value in facts.items():
        if _is_table(value):
            rows = _objects(value)
            columns = tuple(dict.fromkeys(column for row in rows for column in row))
            cells = [tuple(_cell(row.get(column)) for column in columns) for row in rows]
            numbers = tuple(c for c in columns if all(isinstance(r.get(c, 0), int | float) for r in rows))
            _table(key, columns, cells, limit, numbers)


def _show_settings(artifact: Artifact, limit: int | None) -> None:
    """The build's settings: of a model's console as a table, of a build log with --all."""
    rows = [(group, key, _cell(value)) for group, values in artifact.settings.items() for key, value in values.items()]
    if rows and (limit is None or artifact.kind in ("model_desc", "board_console")):
        _table("settings", ("group", "key", "value"), rows, limit)
    elif rows:
        click.echo(f"  settings  {len(rows)} in {len(artifact.settings)} groups (--all shows them)")


def _cell(value: Any) -> str:
    text = f"{value:.10g}" if isinstance(value, float) else _words(value, 1)
    return text if len(text) <= MOST_IN_A_CELL else f"{text[:MOST_IN_A_CELL]}... (--json shows all)"


def _of_played(facts: Mapping[str, object]) -> dict[str, object]:
    """What a person asks of a model for an emulated board; --json has every member as it is."""
    meta = facts.get("meta.json")
    models = _objects(meta.get("models")) if isinstance(meta, dict) else []
    if not models:
        return dict(facts)
    shown: dict[str, object] = {"bytes": facts.get("bytes")}
    for place, model in enumerate(models):
        name = f"model {place + 1}" if len(models) > 1 else "model"
        units = Counter(str(op.get("unit", "")) for op in _objects(model.get("ops")))
        outputs = model.get("outputs")
        shown |= {
            name: f"{model.get('name')} for {model.get('march')}, of {model.get('source')}",
            f"{name}'s inputs": [_input(one) for one in _objects(model.get("inputs"))],
            f"{name}'s outputs": outputs if isinstance(outputs, list) else "",
            f"{name}'s ops": ", ".join(f"{count} {unit}" for unit, count in units.most_common())
            if len(units) > 1
            else units.total(),
        }
    return shown


def _objects(value: Any) -> list[dict[str, object]]:
    """The objects of a list; the file may hold anything."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _input(facts: dict[str, object]) -> str:
    spec = facts.get("spec")
    shape = spec.get("shape") if isinstance(spec, dict) else None
    sizes = "x".join(map(str, shape)) if isinstance(shape, list) else "?"
    return f"{facts.get('name')} {facts.get('kind')} {sizes}"


def _placement(artifact: Artifact) -> list[str]:
    units = Counter(node.unit or "unknown" for node in artifact.nodes)
    if not units:
        return []
    segments = {node.subgraph for node in artifact.nodes if node.subgraph is not None}
    parts = ", ".join(f"{count} {unit}" for unit, count in units.most_common())
    return [
        f"nodes     {len(artifact.nodes)}: {parts}"
        + (f"; {len(segments)} {_accelerator(artifact)} segments" if segments else "")
    ]


def _accelerator(artifact: Artifact) -> str:
    """What runs the segments, as the file calls it."""
    return next((node.unit for node in artifact.nodes if node.subgraph is not None and node.unit), "accelerator")


def _label(key: str) -> str:
    return f"{key:<9} " if len(key) < 9 else f"{key}: "


def _short(value: Any) -> str:
    text = _words(value)
    if len(text) <= MOST_IN_A_LINE:
        return text
    return f"{text[:MOST_IN_A_LINE]}... ({len(text)} characters; --json shows all)"


def _words(value: Any, depth: int = 0) -> str:
    """A fact as people read it: no brackets of a programming language."""
    if isinstance(value, dict):
        parts = [f"{key} {_words(one, depth + 1)}" for key, one in value.items() if one not in ("", None, [], ())]
        return "; ".join(parts) if not depth else f"({', '.join(parts)})"
    if isinstance(value, list | tuple):
        if value and all(isinstance(one, int) for one in value):
            return "x".join(map(str, value)) if depth else ", ".join(map(str, value))
        return ", ".join(_words(one, depth + 1) for one in value)
    return "" if value is None else str(value)


def _show_nodes(artifact: Artifact, wanted: str, limit: int | None) -> None:
    if not artifact.nodes:
        return
    columns = ("node", "on", "subgraph", "type", "in", "out", "cosine", "threshold")
    rows = []
    for n in artifact.nodes:
        out = "fused" if n.fused and not n.output_dtypes else ",".join(n.output_dtypes)
        segment = "" if n.subgraph is None else str(n.subgraph)
        rows.append((n.name, n.unit, segment, n.kind, n.input_dtype, out, _number(n.cosine), _number(n.threshold)))
    chosen = [row for row in rows if not wanted or any(wanted in cell for cell in row)]
    _table("", columns, chosen, limit, right=("cosine", "threshold"))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}" if abs(value) > 2 else f"{value:.6f}"


def _show_rest(artifact: Artifact, limit: int | None) -> None:
    outputs = [(o.name, *map(_number, (o.cosine, o.l1, o.l2, o.chebyshev))) for o in artifact.outputs]
    _table(
        "outputs, quantized against float on calibration data",
        ("output", "cosine", "L1", "L2", "Chebyshev"),
        outputs,
        limit,
    )
    _table(
        "layers (they overlap, do not add up)",
        ("layer", "operations", "compute us", "load/store us"),
        [(x.name, str(x.operations or ""), _number(x.compute_us), _number(x.load_store_us)) for x in artifact.layers],
        limit,
    )
    metrics = list(dict.fromkeys(key for row in artifact.similarities for key in row.metrics))
    _table(
        "",
        ("name", "tensor", *metrics),
        [
            (s.name, s.tensor or s.kind, *(f"{s.metrics[m]:g}" if m in s.metrics else "" for m in metrics))
            for s in artifact.similarities
        ],
        limit,
    )
    words = {True: "passed", False: "FAILED", None: "unknown"}
    _table(
        "checks",
        ("what", "result", "mismatched", "of", "max abs"),
        [
            (
                c.what,
                words[c.passed],
                str(c.mismatched if c.mismatched is not None else ""),
                str(c.total or ""),
                _number(c.max_abs_error),
            )
            for c in artifact.checks
        ],
        limit,
    )


def _table(
    title: str, columns: tuple[str, ...], rows: list[Any], limit: int | None, right: tuple[str, ...] = ()
) -> None:
    if not rows:
        return
    table(title, columns, rows[:limit], right)
    if limit is not None and len(rows) > limit:
        click.echo(f"  ... and {len(rows) - limit} more rows (--all shows them)")
