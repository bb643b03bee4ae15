"""The picture of error against latency: every best point of a search, on one page of its own."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

from harness.precision.figures import Figure
from harness.precision.search import Point, Tuned

WIDTH, HEIGHT, LEFT, BOTTOM = 760, 380, 70, 50
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "svg{width:100%;height:auto}text{fill:currentColor;font-size:12px}line{stroke:currentColor}"
    "table{border-collapse:collapse}td,th{padding:.2rem .8rem .2rem 0;text-align:left;vertical-align:top}"
)


def page(tuned: Tuned, title: str, figure: Figure, wanted: float) -> str:
    """A whole HTML page without anything from elsewhere."""
    points = [one for one in tuned.points if one.price is not None and one.value is not None]
    shown = "\n".join(_picture(points, tuned.chosen, figure, wanted)) if points else "<p>No times are estimated.</p>"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style><h1>{html.escape(title)}</h1>"
        "<p>Emulated: computed on a PC with the emulated compiler's quantization; latencies are estimates. "
        f"Wanted: {html.escape(figure.label)} {wanted:g} {html.escape(figure.unit)}.</p>"
        f"{shown}<table><tr><th>ops changed</th><th>{html.escape(figure.label)}</th>"
        f"<th>latency</th><th>band</th></tr>{''.join(map(_row, tuned.points))}</table>"
    )


def _row(point: Point) -> str:
    price = point.price
    latency = f"{price.latency_us / 1e3:.3g} ms" if price else "not estimated"
    band = f"{price.latency_us * price.low / 1e3:.3g} to {price.latency_us * price.high / 1e3:.3g} ms" if price else ""
    value = "not judged" if point.value is None else f"{point.value:.4g}"
    return f"<tr><td>{len(point.changes)}</td><td>{value}</td><td>{latency}</td><td>{band}</td></tr>"


def _picture(points: Sequence[Point], chosen: Point, figure: Figure, wanted: float) -> Iterator[str]:
    times_ms = [one.price.latency_us / 1e3 for one in points if one.price is not None]
    values = [one.value for one in points if one.value is not None]
    across, up = _scale(times_ms, LEFT, WIDTH - 20), _scale([*values, wanted], HEIGHT - BOTTOM, 20)
    yield f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="error against latency">'
    yield f'<line x1="{LEFT}" y1="{HEIGHT - BOTTOM}" x2="{WIDTH - 20}" y2="{HEIGHT - BOTTOM}"/>'
    yield f'<line x1="{LEFT}" y1="20" x2="{LEFT}" y2="{HEIGHT - BOTTOM}"/>'
    level = across_at(wanted, up)
    yield f'<line x1="{LEFT}" y1="{level:.1f}" x2="{WIDTH - 20}" y2="{level:.1f}" stroke-dasharray="4 4"/>'
    yield f'<text x="{LEFT + 4}" y="{level - 4:.1f}">wanted {wanted:g} {html.escape(figure.unit)}</text>'
    for point, time_ms, value in zip(points, times_ms, values, strict=True):
        is_chosen = point.changes == chosen.changes
        x, y, radius = across_at(time_ms, across), across_at(value, up), 7 if is_chosen else 4
        fill = "#c2410c" if is_chosen else "#2563eb"
        words = f"{len(point.changes)} ops changed: {value:.4g} {figure.unit}, {time_ms:.4g} ms (estimated)"
        circle = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{fill}">'
        yield f"{circle}<title>{html.escape(words)}</title></circle>"
    yield f'<text x="{WIDTH - 20}" y="{HEIGHT - 12}" text-anchor="end">estimated latency, ms</text>'
    yield f'<text x="{LEFT}" y="{HEIGHT - 30}">{min(times_ms):.4g}</text>'
    yield f'<text x="{WIDTH - 20}" y="{HEIGHT - 30}" text-anchor="end">{max(times_ms):.4g}</text>'
    yield f'<text x="4" y="14">{html.escape(figure.label)}</text>'
    yield f'<text x="4" y="{HEIGHT - BOTTOM}">{min(*values, wanted):.4g}</text>'
    yield f'<text x="4" y="30">{max(*values, wanted):.4g}</text></svg>'


def _scale(values: Sequence[float], low: float, high: float) -> tuple[float, float, float, float]:
    return min(values), max(values), low, high


def across_at(value: float, scale: tuple[float, float, float, float]) -> float:
    """Where a value lies on the picture."""
    least, most, low, high = scale
    return low if most == least else low + (value - least) / (most - least) * (high - low)
