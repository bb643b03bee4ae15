"""`harness history replay`: a series of one's own, judged as nights are."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.common import FiniteRange, clean, emit_json, json_option
from harness.cli.tables import table
from harness.errors import GOOD, MEASURED_BAD, InputError

if TYPE_CHECKING:
    from harness.regressions.confirmation import SittingBlock
    from harness.regressions.replay import MeasuredNight, ReplayedNight

COLUMNS = ("night", "median_us", "epoch", "model", "sitting", "series")
SITTINGS = ("", "slower", "faster", "noise")
MOST_BYTES = 64_000_000

EPILOG = """\b
Examples:
  harness history replay x5-01.csv
  harness history replay x5-01.csv --percent 3 --json

\b
The file: one row a night, oldest first, with a header:
  night,median_us,epoch,model,sitting
  2026-11-01,5012.4,image-3.7.2,04f1d899,
Only night and median_us are needed. A new epoch (board, image, runtime) begins a new level; model tells one model
file from another; sitting is what a measurement against the model before said that night: slower, faster or noise,
or its own figures, `A5012.1 B5020.3 B5018.0 A5011.7 ...`: median us of the model before (A) and of tonight's (B), in
turns, eight pairs and more; `A5012.1/4890.7` gives that of its quickest frames (the lowest 2 %) too.
series tells pairs of one farm apart, whose nights are judged together.

\b
Exit codes: 0 no night is slower; 1 a night is.
"""


@click.command(name="replay", epilog=EPILOG)
@click.argument("file", metavar="SERIES.csv", type=click.Path(path_type=Path))
@click.option("--percent", type=FiniteRange(0, 100), default=2.0, show_default=True, help="A smaller change is none.")
@click.option("--floor-us", type=FiniteRange(0), default=20.0, show_default=True, help="Nor is one below this.")
@json_option
def replay(file: Path, percent: float, floor_us: float, as_json: bool) -> None:
    """Judge the nights of a series of your own, one after another, as `harness nightly` judges its own."""
    from harness.regressions.gate import GateLimits
    from harness.regressions.replay import in_order, replayed

    series = _series(file)
    order = in_order(series)
    if order is None:
        raise InputError(f"{file}: its series have their nights in different orders", "all rows in the order of time")
    nights = replayed(series, order, GateLimits(percent, floor_us))
    if as_json:
        emit_json("history-replay", {"file": str(file), "nights": nights})
    else:
        _show(nights)
    raise SystemExit(MEASURED_BAD if any(night.word == "slower" for night in nights) else GOOD)


def _series(file: Path) -> dict[str, list[MeasuredNight]]:
    """The nights of every series. Errors: InputError with file and line of what cannot be read."""
    series: dict[str, list[MeasuredNight]] = {}
    seen: set[tuple[str, str]] = set()
    for line, row in _rows(file):
        name, measured = (row.get("series") or "").strip(), _night(f"{file}, line {line}", row)
        key = name, measured.point.night
        if key in seen:
            raise InputError(f"{file}, line {line}: night {key[1]!r} is there twice", "one row a night")
        seen.add(key)
        series.setdefault(name, []).append(measured)
    if not seen:
        raise InputError(f"{file}: no nights in it", "a header and one row a night: harness history replay --help")
    return series


def _rows(file: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    hint = "harness history replay --help shows the columns"
    try:
        if file.stat().st_size > MOST_BYTES:
            raise InputError(f"{file}: {file.stat().st_size} bytes, limit {MOST_BYTES}", hint)
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, strict=True)
            header = reader.fieldnames or ()
            unknown = [name for name in header if name not in COLUMNS]
            if unknown or not {"night", "median_us"} <= set(header) or len(set(header)) < len(header):
                raise InputError(f"{file}: columns {', '.join(header) or 'none'}; known: {', '.join(COLUMNS)}", hint)
            for row in reader:
                if None in row or None in row.values():
                    raise InputError(
                        f"{file}, line {reader.line_num}: {len(header)} columns in the header, not here", hint
                    )
                yield reader.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file}: {getattr(error, 'strerror', None) or error}", hint) from error


def _night(place: str, row: Mapping[str, str]) -> MeasuredNight:
    from harness.regressions.replay import MeasuredNight
    from harness.regressions.series import NightPoint

    night, text, sitting = row["night"].strip(), row["median_us"].strip(), (row.get("sitting") or "").strip()
    try:
        value_us = float(text)
    except ValueError:
        value_us = math.nan
    if not night or not math.isfinite(value_us) or value_us <= 0:
        raise InputError(f"{place}: night {night!r} of {text!r} µs", "a name, and a positive number of microseconds")
    point = NightPoint(night, value_us, (row.get("epoch") or "").strip(), (row.get("model") or "").strip())
    if sitting in SITTINGS:
        return MeasuredNight(point, sitting)
    return MeasuredNight(point, blocks=tuple(_block(place, word) for word in sitting.split()))


def _block(place: str, word: str) -> SittingBlock:
    """`A5012.1` or `A5012.1/4890.7`: side, median, and that of the quickest frames. Errors: InputError."""
    from harness.regressions.confirmation import SittingBlock

    match = re.fullmatch(r"([AB])(\d{1,12}(?:\.\d{0,9})?)(?:/(\d{1,12}(?:\.\d{0,9})?))?", word)
    figures = [float(one) for one in match.groups()[1:] if one] if match else []
    if match is None or min(figures) <= 0:
        known = f"one of {', '.join(SITTINGS[1:])}, or blocks as A5012.1 B5020.3 B5018.0 A5011.7"
        raise InputError(f"{place}: sitting {word!r}", known)
    return SittingBlock(match[1], *figures)


def _show(nights: list[ReplayedNight]) -> None:
    is_farm = any(night.series for night in nights)
    rows = [
        (
            f"{night.series} {night.night}" if is_farm else night.night,
            night.word,
            f"{night.median_us:.1f} µs",
            "" if night.percent is None else f"{night.percent:+.1f} %",
            night.alarm,
        )
        for night in nights
        if night.word != "pass" or night.alarm
    ]
    if rows:
        table("", ("night", "verdict", "latency", "of level", "alarm"), rows, right=("latency", "of level"))
    passed = sum(night.word == "pass" for night in nights)
    slower = sum(night.word == "slower" for night in nights)
    click.echo(clean(f"{len(nights)} nights: {passed} pass, {slower} slower, {len(nights) - passed - slower} other"))
