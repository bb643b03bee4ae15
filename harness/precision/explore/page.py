"""Error against estimated latency with its band, one mark a configuration, and the table; one HTML page of its own."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence

from harness.precision.explore.configurations import CALIBRATION, PLACES, SAMPLES, TOGETHER, TYPES
from harness.precision.explore.explore import Explored
from harness.precision.explore.measured import ExploredRow
from harness.precision.figures import Figure
from harness.precision.page import BOTTOM, HEIGHT, LEFT, STYLE, WIDTH, across_at

COLOURS = {
    PLACES: "#2563eb",
    TYPES: "#c2410c",
    CALIBRATION: "#15803d",
    SAMPLES: "#7c3aed",
    TOGETHER: "#be185d",
}
MORE_STYLE = ".scroll{overflow-x:auto}td.n{text-align:right;font-variant-numeric:tabular-nums}.k{white-space:nowrap}"
Scale = tuple[float, float, float, float]


def page(explored: Explored, title: str, figure: Figure, facts: Mapping[str, object]) -> str:
    """A whole HTML page without anything from elsewhere. `facts` say of what: samples, chip."""
    rows = explored.ordered(figure)
    shown = [row for row in rows if row.price is not None and figure.of(row.answer) is not None]
    picture = "\n".join(_picture(shown, rows, figure)) if shown else "<p>No times are estimated for this chip.</p>"
    about = ", ".join(f"{name} {value}" for name, value in facts.items())
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}{MORE_STYLE}</style><h1>{html.escape(title)}</h1>"
        "<p>Emulated: every figure is computed on a PC with the emulated compiler's quantization; latencies are "
        f"estimates, the line through a mark is the band in which 80 % of networks like it lay. {html.escape(about)}."
        f"</p>{picture}{_legend()}{_table(rows, figure)}{_missing(explored)}</html>"
    )


def _legend() -> str:
    marks = "".join(
        f'<span class="k"><svg viewBox="0 0 12 12" style="width:.8em;height:.8em"><circle cx="6" cy="6" r="5" '
        f'fill="{colour}"/></svg> {name}</span> '
        for name, colour in COLOURS.items()
    )
    return f"<p>{marks}</p>"


def _missing(explored: Explored) -> str:
    lines = "".join(
        f"<li>{html.escape(name)}: {html.escape(why)}</li>" for name, why in sorted(explored.offer.missing.items())
    )
    return f"<h2>Not offered by this chip's toolchain</h2><ul>{lines}</ul>" if lines else ""


# --------------------------------------------------------------------------- the picture


def _picture(shown: Sequence[ExploredRow], rows: Sequence[ExploredRow], figure: Figure) -> Iterator[str]:
    ends_ms = [end for row in shown for end in _band_ms(row)]
    values = [value for row in shown if (value := figure.of(row.answer)) is not None]
    across: Scale = (min(ends_ms), max(ends_ms), LEFT, WIDTH - 20)
    up: Scale = (min(values), max(values), HEIGHT - BOTTOM, 20)
    yield f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="error against estimated latency">'
    yield f'<line x1="{LEFT}" y1="{HEIGHT - BOTTOM}" x2="{WIDTH - 20}" y2="{HEIGHT - BOTTOM}"/>'
    yield f'<line x1="{LEFT}" y1="20" x2="{LEFT}" y2="{HEIGHT - BOTTOM}"/>'
    for row in shown:
        yield from _mark(row, rows.index(row) + 1, figure, across, up)
    yield f'<text x="{WIDTH - 20}" y="{HEIGHT - 12}" text-anchor="end">estimated latency, ms</text>'
    yield f'<text x="{LEFT}" y="{HEIGHT - 30}">{across[0]:.4g}</text>'
    yield f'<text x="{WIDTH - 20}" y="{HEIGHT - 30}" text-anchor="end">{across[1]:.4g}</text>'
    yield f'<text x="4" y="14">{html.escape(_label(figure))}</text>'
    yield f'<text x="4" y="{HEIGHT - BOTTOM}">{up[0]:.4g}</text><text x="4" y="30">{up[1]:.4g}</text></svg>'


def _mark(row: ExploredRow, number: int, figure: Figure, across: Scale, up: Scale) -> Iterator[str]:
    value, price = figure.of(row.answer), row.price
    assert value is not None and price is not None
    low, middle, high = (
        across_at(one, across) for one in (*_band_ms(row)[:1], price.latency_us / 1e3, _band_ms(row)[1])
    )
    y, colour = across_at(value, up), COLOURS[row.configuration.group]
    words = (
        f"{number}. {row.configuration.name}: {value:.4g} {figure.unit}, {price.latency_us / 1e3:.4g} ms (estimated)"
    )
    yield f'<line x1="{low:.1f}" y1="{y:.1f}" x2="{high:.1f}" y2="{y:.1f}" style="stroke:{colour};opacity:.25"/>'
    circle = f'<circle cx="{middle:.1f}" cy="{y:.1f}" r="5" fill="{colour}">'
    yield f"{circle}<title>{html.escape(words)}</title></circle>"
    yield f'<text x="{middle + 6:.1f}" y="{y - 5:.1f}" style="font-size:9px">{number}</text>'


def _band_ms(row: ExploredRow) -> tuple[float, float]:
    assert row.price is not None
    return row.price.latency_us * row.price.low / 1e3, row.price.latency_us * row.price.high / 1e3


def _label(figure: Figure) -> str:
    return f"{figure.label}{f', {figure.unit}' if figure.unit else ''}"


# --------------------------------------------------------------------------- the table


def _table(rows: Sequence[ExploredRow], figure: Figure) -> str:
    outputs = list(rows[0].answer.outputs) if rows else []
    heads = ["", "configuration", _label(figure), *(f"{name}: SQNR, dB" for name in outputs)]
    heads += [f"{name}: worst channel, dB" for name in outputs]
    heads += ["task"] if any(row.answer.task is not None for row in rows) else []
    heads += [f"{name}: jitter, % of the motion" for name in outputs] if any(row.jitter for row in rows) else []
    heads += ["latency, ms", "band, ms", "what"]
    head = "".join(f"<th>{html.escape(one)}</th>" for one in heads)
    body = "".join(_row(number, row, figure, rows) for number, row in enumerate(rows, 1))
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _row(number: int, row: ExploredRow, figure: Figure, rows: Sequence[ExploredRow]) -> str:
    levels = row.answer.outputs
    cells = [str(number), row.configuration.name, _number(figure.of(row.answer))]
    cells += [_number(level.sqnr_db) for level in levels.values()]
    cells += [_number(level.channel_sqnr_db) for level in levels.values()]
    cells += [_number(row.answer.task)] if any(one.answer.task is not None for one in rows) else []
    if any(one.jitter for one in rows):
        cells += [_number(100 * row.jitter[name] if name in row.jitter else None) for name in levels]
    cells += [f"{row.price.latency_us / 1e3:.3g}" if row.price else "not estimated"]
    cells += ["{:.3g} to {:.3g}".format(*_band_ms(row)) if row.price else ""]
    words = "".join(f'<td class="n">{html.escape(cell)}</td>' if i != 1 else f"<td>{html.escape(cell)}</td>"
                    for i, cell in enumerate(cells))  # fmt: skip
    return f"<tr>{words}<td>{html.escape(words_of(row))}</td></tr>"


def words_of(row: ExploredRow) -> str:
    """What a configuration is, and what came of it that its name does not say."""
    parts = [row.configuration.what]
    if row.same_as:
        parts.append(f"the same model as {row.same_as}")
    if row.configuration.calibrating.method not in row.method:
        parts.append(f"chosen: {row.method}")
    if row.refused:
        parts.append(f"{len(row.refused)} inputs refused by the chip")
    return "; ".join(parts)


def _number(value: float | None) -> str:
    return "not judged" if value is None else f"{value:.4g}"
