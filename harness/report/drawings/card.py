"""What a card for chat holds, with its places in pixels. Pure. A card has no script, no link and no outside font."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from harness.report.drawings.drawings import split_bar
from harness.report.tables.run import part_label
from harness.report.values import Row, share, shortened, time_us, utc

WIDTH_PX = 720
_MARGIN_PX, _LINE_PX, _BAR_PX = 28, 21, 18
_TEXT_PX = WIDTH_PX - 2 * _MARGIN_PX
_ADVANCE = {"title": 13.5, "text": 7.9}  # of one narrow character, generous: no font of the reader is known
_MOST_LINES, _MOST_PARTS = 4, 4
_SMALL_PERCENT = 1.0  # parts of the bar below it are drawn as one
# Glyph and colours (light, readable on white with 4.5 : 1) of a tone of the headline.
_TONES = {
    "good": ("\u2713", "#06573f", "#e1f3ec"),
    "part": ("\u25d1", "#124e77", "#e2f0f9"),
    "bad": ("\u2716", "#8a1811", "#fbe6e4"),
    "none": ("\u2013", "#414d58", "#e9edf0"),
    "stop": ("!", "#6a4700", "#fdf3dc"),
}
_COLOURS = ("#1f6fb2", "#c2660a", "#a1478b", "#56737f", "#8a7350")


def card(data: Row) -> Row:
    """The card of `tables(run)`: lines with their baselines, the bar of the time split, the height."""
    head = data["headline"]
    glyph, ink, ground = _TONES.get(head["tone"], _TONES["none"])
    title = _cut(f"{glyph} {head['title']} {shortened(head['subject'])}".strip(), _TEXT_PX / _ADVANCE["title"])
    lines = _wrapped(head["sentences"], _TEXT_PX / _ADVANCE["text"])[:_MOST_LINES]
    top = 92 + _LINE_PX * len(lines)
    time, bar = data["time"], []
    if time:
        bar = _parts(split_bar(time), top + 14)
    facts = top + (66 + _LINE_PX * _rows_of(bar) if time else 14)
    return {
        "width": WIDTH_PX, "height": facts + 44, "margin": _MARGIN_PX, "ink": ink, "ground": ground, "title": title,
        "said": [{"text": line, "y": 86 + _LINE_PX * place} for place, line in enumerate(lines)],
        "latency": _latency(data) if time else "", "latency_y": top + 8, "bar": bar, "bar_px": _BAR_PX,
        "facts": _cut(_facts(data), _TEXT_PX / _ADVANCE["text"]), "facts_y": facts + 18,
    }  # fmt: skip


def _latency(data: Row) -> str:
    mean = next((row for row in data["numbers"] if row["label"] == "end to end, mean"), None)
    if mean is None:
        return "no latency was read"
    word = "simulated" if data["time"]["simulator"] else "estimated"
    return f"{time_us(mean['value'])} end to end{f', {word}' if mean['estimated'] else ', measured'}"


def _parts(parts: Sequence[Row], top: int) -> list[Row]:
    """Rectangles of the bar; what is small is one, and each has its words below."""
    large = [part for part in parts if part["w"] >= _SMALL_PERCENT][:_MOST_PARTS]
    rest = [part for part in parts if part not in large]
    rows = [(part_label(part["part"]), part["w"], part["share"], part["time_us"]) for part in large]
    if rest:
        known = [part["share"] for part in rest if part["share"] is not None]
        percent, spent_us = sum(part["w"] for part in rest), sum(part["time_us"] for part in rest)
        rows.append(("other", percent, sum(known) if known else None, spent_us))
    drawn, at = [], 0.0
    for place, (label, percent, part_share, spent_us) in enumerate(rows):
        width = _TEXT_PX * percent / 100
        text = f"{shortened(label, 24)} {time_us(spent_us)}{f' ({share(part_share)})' if part_share else ''}"
        column, line = place % 2, place // 2
        drawn.append(
            {
                "x": round(_MARGIN_PX + at, 1), "y": top + 8, "w": round(max(width, 1.0), 1), "text": text,
                "colour": _COLOURS[place % len(_COLOURS)], "key_x": _MARGIN_PX + column * _TEXT_PX // 2,
                "key_y": top + 48 + _LINE_PX * line,
            }
        )  # fmt: skip
        at += width
    return drawn


def _rows_of(bar: Sequence[Row]) -> int:
    return (len(bar) + 1) // 2


def _facts(data: Row) -> str:
    shown = {fact["label"]: fact for fact in data["facts"]}
    flags = [fact["label"] for fact in data["facts"] if fact["flag"]]
    named = [shortened(shown[key]["value"], 60) for key in ("model", "board", "soc") if key in shown]
    return " \u00b7 ".join([*flags, *named, utc(data["run"]["started_utc"])])


def _advance(text: str) -> int:
    """Narrow characters; those of East Asia count twice."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _cut(text: str, most: float) -> str:
    if _advance(text) <= most:
        return text
    kept = text
    while kept and _advance(kept) > most - 2:
        kept = kept[:-1]
    return f"{kept} \u2026"


def _wrapped(sentences: Sequence[str], most: float) -> list[str]:
    lines: list[str] = []
    for sentence in sentences:
        line = ""
        for word in shortened(sentence, 600).split():
            longer = f"{line} {word}".strip()
            if line and _advance(longer) > most:
                lines.append(line)
                longer = word
            line = longer
        lines.append(_cut(line, most))
    return [_cut(line, most) for line in lines if line]
