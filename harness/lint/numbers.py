"""Numbers of a config: what people write there may be no number, or one that Python does not turn into text again."""

from __future__ import annotations

import re

MOST_DIGITS = 300  # of a whole number that is one; Python itself writes no more than 4300
_WHOLE = re.compile(rf"\s*([+-]?[0-9]{{1,{MOST_DIGITS}}})\s*")


def whole(text: str) -> int | None:
    """A whole number written in ASCII digits; None for all else, also for more than `MOST_DIGITS` of them."""
    match = _WHOLE.fullmatch(text)
    return int(match[1]) if match else None


def number(text: str) -> float | None:
    """A number as Python's float() reads it, which may be infinite; None for a text that is none."""
    try:
        return float(text)
    except ValueError:
        return None


def is_too_long(value: object) -> bool:
    """Whether this is a whole number of more than `MOST_DIGITS` digits."""
    return isinstance(value, int) and value.bit_length() > MOST_DIGITS * 10 // 3
