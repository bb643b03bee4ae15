"""Differences of runs on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

import click

from harness.cli.common import clean
from harness.cli.tables import Rows, hanging, table
from harness.report.differences import words
from harness.report.values import DASH, Row, shortened

MOST = 20  # rows of a table here; the page and --json have more


def print_differences(data: Row) -> None:
    """Runs, a sentence for each, then what is not the same, each as a table."""
    labels = [run["label"] for run in data["runs"]]
    table(
        "",
        ("run", "id", "board", "verdict", "latency"),
        [_run(*pair) for pair in zip(data["runs"], data["latency"], strict=True)],
    )
    click.echo("")
    for sentence in data["sentences"]:
        click.echo(hanging(clean(shortened(sentence, 900)), 2))
    if not data["different"]:
        click.echo("no difference found" + _uncompared(data))
    _matrix("Not run alike", ("of", "what", *labels), [_condition(row) for row in data["conditions"]])
    _matrix("Outputs", ("output", "op", *labels), [_layer(row) for row in data["layers"]["outputs"]])
    rest = [_layer(row) for row in data["layers"]["rows"] if not row["is_output"]]
    _matrix("Layers that are not the same", ("layer", "op", *labels), rest)
    changed = [row for row in data["ops"]["rows"] if row["largest_us"] or any(cell["moved"] for cell in row["cells"])]
    _matrix("Ops, the largest change first", ("op", "kind", *labels), [_op(row) for row in changed])


def _uncompared(data: Row) -> str:
    names = ", ".join(data["uncompared"])
    return f"; neither layers nor times of {names} could be held against {data['runs'][0]['label']}" if names else ""


def _run(run: Row, latency: Row) -> Sequence[str]:
    verdict = shortened(run["verdict"].replace("_", " ") or run["state"] or DASH, 40)
    return (
        run["label"],
        shortened(run["id"] or DASH, 120),
        shortened(run["board"], 40),
        verdict,
        words.usual_words(latency),
    )


def _condition(row: Row) -> Sequence[str]:
    values = [DASH if value is None else shortened(value, 60) for value in row["values"]]
    return (row["group"], shortened(row["what"], 60), *values)


def _layer(row: Row) -> Sequence[str]:
    cells = [shortened(words.layer_words(cell), 60) for cell in row["cells"]]
    return (shortened(row["name"], 80), shortened(row["op_kind"], 30), *cells)


def _op(row: Row) -> Sequence[str]:
    cells = [shortened(words.op_words(cell), 160) for cell in row["cells"]]
    return (shortened(row["name"], 80), shortened(row["kind"], 30), *cells)


def _matrix(title: str, columns: Sequence[str], rows: Rows) -> None:
    if not rows:
        return
    click.echo("")
    table(title, columns, rows[:MOST])
    if len(rows) > MOST:
        click.echo(f"... {len(rows) - MOST} more: -o FILE or --json")
