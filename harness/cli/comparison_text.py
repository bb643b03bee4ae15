"""A comparison in the terminal, and its rows as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from harness.cli.common import clean
from harness.cli.tables import table

if TYPE_CHECKING:
    from harness.dumps.hashes import HashedLayer
    from harness.records import Comparison, Layer, Metrics, NoiseRow

WIDE = 100  # columns of a terminal that have room for reasons
COLUMNS = ("#", "tensor", "op", "verdict", "error", "alone", "why")
SHOWN_NAMES = 10
CSV_COLUMNS = (
    *("index", "name", "op", "op_kind", "verdict", "reason", "role", "match", "unit", "dtype", "shape", "size_bytes"),
    *("mismatch_share", "max_step", "relative_l2", "sqnr_db", "max_abs", "one_minus_cosine"),
    *("single_max_step", "single_relative_l2", "fault", "certain"),
    *("valid_md5_board", "valid_md5_reference", "file_md5_board", "board_file", "note"),
)


def _line(text: str) -> str:
    """Text on one line of the terminal, whatever a file's name holds."""
    return clean(text).replace("\n", "\\n")


def show(comparison: Comparison, limit: int) -> None:
    """The whole comparison with at most `limit` rows of its table."""
    verdict, coverage = comparison.verdict, comparison.coverage
    share = coverage.bytes_compared / coverage.bytes_total if coverage.bytes_total else 0.0
    click.echo(_line(f"{verdict.word}: {verdict.detail}"))
    click.echo(
        f"compared {coverage.layers_compared} of {coverage.layers_total} layers, {share:.1%} of bytes; "
        f"policy {comparison.policy}; graph {comparison.graph_source or 'unknown, file order'}"
    )
    if comparison.reading.name:
        click.echo(_line(comparison.reading.sentence))
    rows = sorted((layer for layer in comparison.layers if not _unmatched(layer)), key=_rank)
    _show_rows(rows[:limit])
    _show_rest(rows[limit:])
    _show_origins(comparison)
    if not _is_wide():
        _show_damaged(rows)
    _show_unmatched([layer for layer in comparison.layers if _unmatched(layer)])
    for note in comparison.notes:
        click.echo(_line(f"note: {note}"))


def _show_rows(rows: Sequence[Layer]) -> None:
    """The table; the reasons only where the terminal has room for them."""
    cells = [_row(layer) for layer in rows]
    alone = any(row["alone"] for row in cells)
    columns = [c for c in COLUMNS if (c != "alone" or alone) and (c != "why" or _is_wide())]
    table("", columns, [[row[c] for c in columns] for row in cells], right=["#"])


def _is_wide() -> bool:
    import shutil
    import sys

    return not sys.stdout.isatty() or shutil.get_terminal_size().columns >= WIDE


def _unmatched(layer: Layer) -> bool:
    return layer.verdict == "not_compared" and layer.reason in ("no_reference", "no_dump", "missing", "ambiguous")


def _rank(layer: Layer) -> tuple[int, float, int]:
    """Where differences are born first, then the worst, then what could not be read, what is within, what is equal."""
    if layer.role in ("origin", "suspect"):
        return 0, 0.0, layer.index
    group = {"differs": 1, "not_compared": 2, "within": 3, "exact": 4}[layer.verdict]
    return group, -_badness(layer.metrics), layer.index


def _badness(metrics: Metrics | None) -> float:
    if metrics is None:
        return 0.0
    return metrics.relative_l2 if metrics.relative_l2 is not None else float(metrics.mismatched)


def _row(layer: Layer) -> dict[str, str]:
    fault = layer.fingerprint.kind if layer.fingerprint else ""
    exact = layer.verdict == "exact"
    why = "; ".join(part for part in (fault, "" if exact else layer.reason, layer.note) if part)
    error = "" if exact else error_text(layer.metrics)
    values = (str(layer.index), layer.name, layer.op_kind, _word(layer), error, error_text(layer.single), why)
    return dict(zip(COLUMNS, map(_line, values), strict=True))


def _word(layer: Layer) -> str:
    """One word: the role of what differs, the reason of what was not compared, else the verdict."""
    if layer.role in ("origin", "suspect"):
        return layer.role.upper()
    return layer.role or (layer.reason if layer.verdict == "not_compared" else layer.verdict)


def error_text(metrics: Metrics | None) -> str:
    """One short figure of an error: steps for integers, relative L2 or SQNR for floats."""
    if metrics is None:
        return ""
    if metrics.mismatched == 0 and metrics.nonfinite_agree:
        return "0"
    if not metrics.nonfinite_agree:
        return "NaN/Inf"
    if metrics.max_step is not None:
        return f"{metrics.max_step:.3g} steps, {metrics.mismatch_share:.2g}"
    if metrics.relative_l2 is not None:
        return f"rel L2 {metrics.relative_l2:.2g}"
    return f"max abs {metrics.max_abs:.2g}" if metrics.max_abs is not None else "undefined"


def _show_rest(rows: Sequence[Layer]) -> None:
    if rows:
        counts = {
            word: sum(row.verdict == word for row in rows) for word in ("differs", "not_compared", "within", "exact")
        }
        message = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
        click.echo(f"and {message} (--all shows them)")


def _show_origins(comparison: Comparison) -> None:
    for origin in comparison.origins[:SHOWN_NAMES]:
        fingerprint = origin.fingerprint
        if fingerprint is not None:
            sure = "" if fingerprint.certain else "probably "
            click.echo(_line(f"{origin.op or origin.tensor}: {sure}{fingerprint.kind}: {fingerprint.evidence}"))
    if any(origin.op_kind == "input" for origin in comparison.origins):
        from harness.diagnosis import RULES

        click.echo(f"advice: {RULES['C-103'].advice}")
    for effect in comparison.extras.outputs:
        same = {True: ", same top-1", False: ", different top-1", None: ""}[effect.top1_same]
        size = "undefined" if effect.relative_l2 is None else f"{effect.relative_l2:.2g}"
        click.echo(_line(f"output {effect.name}: relative L2 {size}{same}"))
    stage_comparison = comparison.extras.stages
    for row in stage_comparison.steps if stage_comparison else ():
        click.echo(_line(f"stage {row.before} to {row.after}: {row.word}: {row.detail}"))
    if stage_comparison:
        click.echo(_line(stage_comparison.detail))
    _show_three_way(comparison.extras.three_way)
    if comparison.extras.quantization is not None:
        click.echo(_line(f"quantization itself: {comparison.extras.quantization.detail}"))


def _show_three_way(rows: Sequence[NoiseRow] | None) -> None:
    """The noise ratios of --float: the worst by name, or that none is worth a look."""
    if rows is None:
        return
    worst = [row for row in rows if row.word in ("look", "differs")]
    compared = sum(row.word != "not_compared" for row in rows)
    if not worst:
        message = f"three-way: {compared} of {len(rows)} layers have a float tensor"
        click.echo(message + (", no noise ratio above the limits" if compared else ": no result"))
    for row in worst[:SHOWN_NAMES]:
        click.echo(_line(f"three-way: {row.name}: noise ratio {row.ratio:.3g}: {row.word}"))


def _show_damaged(rows: Sequence[Layer]) -> None:
    for row in [r for r in rows if r.verdict == "not_compared"][:SHOWN_NAMES]:
        click.echo(_line(f"not compared ({row.reason}): {row.name}: {row.note}"))


def _show_unmatched(rows: Sequence[Layer]) -> None:
    for row in [row for row in rows if row.reason in ("missing", "ambiguous")][:SHOWN_NAMES]:
        click.echo(_line(f"not compared ({row.reason}): {row.name}: {row.note}"))
    if any(row.reason == "missing" for row in rows):
        click.echo("tensors that a board never dumps: list them under `coverage: optional:` in a policy file")
    for reason, why in (("no_dump", "no board dump of"), ("no_reference", "not in the reference:")):
        names = [row.name for row in rows if row.reason == reason]
        if names:
            more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
            click.echo(_line(f"not compared ({reason}): {why} {', '.join(names[:SHOWN_NAMES])}{more}"))
        if names and reason == "no_dump":
            click.echo("such a layer may never be dumped, or its dump is missing; --min-coverage sets a minimum")


# --------------------------------------------------------------------------- csv


def print_csv(layers: Sequence[Layer]) -> None:
    """Every row under CSV_COLUMNS."""
    import csv
    import sys

    writer = csv.DictWriter(sys.stdout, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for layer in layers:
        writer.writerow({name: clean(str(value)) for name, value in csv_row(layer).items()})


def print_list_csv(layers: Sequence[HashedLayer]) -> None:
    """Every file of a comparison with a list of md5s."""
    import csv
    import sys

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("name", "verdict", "file_md5_board", "file_md5_reference"))
    for one in layers:
        writer.writerow([clean(text) for text in (one.name, one.verdict, one.md5_board, one.md5_reference)])


def csv_row(layer: Layer) -> dict[str, object]:
    """One row of the CSV; empty where a figure does not apply."""
    row: dict[str, object] = dict.fromkeys(CSV_COLUMNS, "")
    for name in CSV_COLUMNS:
        value = getattr(layer, name, None)
        if value is None and layer.metrics is not None:
            value = getattr(layer.metrics, name, None)
        row[name] = "" if value is None else value
    row["shape"] = "x".join(map(str, layer.shape))
    if layer.single is not None:
        row["single_max_step"] = "" if layer.single.max_step is None else layer.single.max_step
        row["single_relative_l2"] = "" if layer.single.relative_l2 is None else layer.single.relative_l2
    if layer.fingerprint is not None:
        row["fault"], row["certain"] = layer.fingerprint.kind, layer.fingerprint.certain
    return row
