"""Numbers and names as people read them. Nothing is rounded into agreement, nothing is hidden by a control character.

Every function takes what `run.json` holds (plain JSON; NaN and infinities as the strings "nan", "inf", "-inf") and
returns text; `None` becomes a dash, never a zero.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]  # a row of the tables: plain JSON

DASH = "\u2013"
INFINITE = "\u221e"
_GAP = "\u202f"  # narrow no-break space between a number and its unit
_WORDS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_NAME_LIMIT = 240
# Format characters that people type in names on purpose; the rest (overrides, joiners that hide) are shown as escapes.
_PLAIN_FORMAT = frozenset("\u200c\u200d")
_PRINTABLE = re.compile(r"[ -~]*")


def place_in(rows: Sequence[object], place: int | None) -> int | None:
    """The place of a row, or None where run.json names one that is not there."""
    return place if place is not None and 0 <= place < len(rows) else None


def number(value: Any) -> float | None:
    """The float behind a JSON value, or None where there is none."""
    if isinstance(value, str):
        return _WORDS.get(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def as_json(value: float | None) -> float | str | None:
    """A figure of a record as the tables hold it: JSON has no word for NaN and infinities, so they are strings."""
    return value if value is None or math.isfinite(value) else repr(float(value))


def whole(value: Any) -> int | None:
    """The integer behind a JSON value, or None."""
    figure = number(value)
    return int(figure) if figure is not None and math.isfinite(figure) else None


def _odd(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return INFINITE if value > 0 else f"-{INFINITE}"


def _significant(value: float, digits: int = 3) -> str:
    """Fixed-point text with `digits` significant digits, thousands grouped."""
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}"


def time_us(value: Any) -> str:
    """A duration in the unit that suits it: 412 us, 7.00 ms, 1.25 s."""
    figure = number(value)
    if figure is None:
        return DASH
    if not math.isfinite(figure):
        return _odd(figure)
    for factor, unit in ((1e6, "s"), (1e3, "ms")):
        if abs(figure) >= factor:
            return f"{_significant(figure / factor)}{_GAP}{unit}"
    return f"{_significant(figure)}{_GAP}\u00b5s"


def seconds(value: Any) -> str:
    """A time in seconds, shown in the unit that suits it; a dash for what is no number."""
    figure = number(value)
    return DASH if figure is None else time_us(figure * 1e6)


def micro(value: Any) -> str:
    """Microseconds without the unit, for a column that names it: always one decimal, so that digits line up."""
    figure = number(value)
    if figure is None:
        return DASH
    if not math.isfinite(figure):
        return _odd(figure)
    return scientific(figure) if 0 < abs(figure) < 0.05 else f"{figure:,.1f}"


def share(value: Any) -> str:
    """A share 0..1 as a percentage; 0 % and 100 % are only written when they are exact."""
    figure = number(value)
    if figure is None:
        return DASH
    if not math.isfinite(figure):
        return _odd(figure)
    percent = figure * 100
    if percent == 0:
        return f"0{_GAP}%"
    if abs(percent) < 0.01:
        return f"{scientific(percent)}{_GAP}%"
    if abs(percent) < 10:
        return f"{percent:.2f}{_GAP}%"
    return f"{_percent(percent)}{_GAP}%"


def _percent(percent: float) -> str:
    """One decimal, more where one would read as 100, `> 99.9999` where even four would."""
    if percent == int(percent):
        return f"{int(percent)}"
    for decimals in (1, 2, 3, 4):
        text = f"{percent:.{decimals}f}"
        if float(text) != 100:
            return text
    return "> 99.9999" if percent < 100 else "< 100.0001"


def scientific(value: Any) -> str:
    """Two significant digits and the exponent: 6.1e-3. Zero only for zero."""
    figure = number(value)
    if figure is None:
        return DASH
    if not math.isfinite(figure):
        return _odd(figure)
    if figure == 0:
        return "0"
    mantissa, exponent = f"{figure:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def factor(value: Any) -> str:
    """A ratio of two figures that should be alike: 1.50, and never 1.00 unless they are equal."""
    figure = number(value)
    if figure is None or not math.isfinite(figure) or not 0.5 < figure < 2:
        return plain(value)
    for decimals in (2, 3, 4, 5, 6):
        text = f"{figure:.{decimals}f}"
        if float(text) != 1:
            return text
    return "1" if figure == 1 else "> 1.000000" if figure > 1 else "< 1.000000"


def as_printed(value: Any) -> str:
    """A figure that a tool printed with six decimals (a cosine), with all that it printed."""
    figure = number(value)
    if figure is None or not math.isfinite(figure):
        return plain(value)
    text = f"{figure:.6f}"
    return text if float(text) == figure else repr(figure)


def tenths(value: Any) -> str:
    """A rate with one decimal, more where it would read 0.0."""
    figure = number(value)
    if figure is None or not math.isfinite(figure) or 0 < abs(figure) < 0.1:
        return plain(value)
    return f"{figure:,.1f}"


def decibel(value: Any) -> str:
    """A figure in dB with one decimal; a dash for what is no number, a word for infinity."""
    figure = number(value)
    if figure is None:
        return DASH
    return f"{figure:.1f}" if math.isfinite(figure) else _odd(figure)


def plain(value: Any) -> str:
    """A number of steps, frames, elements: whole where it is whole, else three significant digits."""
    figure = number(value)
    if figure is None:
        return DASH
    if not math.isfinite(figure):
        return _odd(figure)
    if figure == int(figure) and abs(figure) < 1e15:
        return f"{int(figure):,}"
    return _significant(figure) if 1e-3 <= abs(figure) < 1e15 else scientific(figure)


def size(value: Any) -> str:
    """Bytes: exact up to five digits, then in kB, MB, GB (powers of ten)."""
    figure = number(value)
    if figure is None:
        return DASH
    if not math.isfinite(figure):
        return _odd(figure)
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e4, "kB")):
        if abs(figure) >= factor:
            return f"{_significant(figure / (1e3 if unit == 'kB' else factor))}{_GAP}{unit}"
    return f"{int(figure):,}{_GAP}bytes"


def utc(value: Any) -> str:
    """An ISO time as people read it; anything else as it is."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|\+00:00)", str(value or ""))
    return f"{match[1]} {match[2]} UTC" if match else str(value or DASH)


def shape(value: Any) -> str:
    """[1, 16, 112, 112] as 1x16x112x112."""
    return "\u00d7".join(text(axis) for axis in value) if isinstance(value, list | tuple) else ""


def text(value: Any) -> str:
    """Any JSON value as a string; None as an empty one."""
    if value is None:
        return ""
    return value if isinstance(value, str) else str(value)


def visible(value: str) -> str:
    """The same text with control characters, direction overrides and lone surrogates written as escapes."""
    if _PRINTABLE.fullmatch(value):
        return value
    return "".join(_visible_character(character) for character in value)


def _visible_character(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Cc", "Cs", "Zl", "Zp") or (category == "Cf" and character not in _PLAIN_FORMAT):
        return character.encode("unicode_escape").decode("ascii")
    return character


def shortened(value: Any, limit: int = _NAME_LIMIT) -> str:
    """A name that fits a page: the middle of a very long one is left out, and its length said."""
    name = visible(text(value))
    if len(name) <= limit:
        return name
    half = limit // 2
    return f"{name[:half]} \u2026 {name[-half:]} ({len(name):,} characters)"
