"""Passwords that tools print are left out of everything that harness shows or stores."""

from __future__ import annotations

import re
from typing import Any

HIDDEN = "***"
OWN = r"(?!HARNESS_PASSWORD|\*\*\*)"  # the name of harness's variable in a hint is no password
_WORD = rf"{OWN}[^\s\"'\\,;&|)]{{1,200}}"
_NAME = r"pass(?:word|wd|phrase)s?"
_KEY = re.compile(rf"(?i)(?:\w+[_-])?{_NAME}")
_PATTERNS = (
    # "with username root and password hunter 2 failed!": up to the verb, or to the end of a truncated line
    re.compile(
        rf"(?im)(?P<lead>\buser(?:name)?[ \t]+\S{{1,100}}[ \t]+and[ \t]+{_NAME}[ \t]+)(?![ \t])[^\n]{{1,200}}?"
        r"(?=[ \t]+(?:failed|is|was)\b|[ \t]*$)"
    ),
    # password: x, password=x, "password": "x", PASSWORD='x y'
    re.compile(rf"(?i)(?P<lead>{_NAME}[\"']?[ \t]*[:=]=?[ \t]*\"){OWN}(?:\\.|[^\"\\\n]){{1,200}}"),
    re.compile(rf"(?i)(?P<lead>{_NAME}[\"']?[ \t]*[:=]=?[ \t]*'){OWN}(?:\\.|[^'\\\n]){{1,200}}"),
    re.compile(rf"(?i)(?P<lead>{_NAME}[\"']?[ \t]*[:=]=?[ \t]*){_WORD}"),
    re.compile(rf"(?i)(?P<lead>--?pass(?:word|wd|phrase)?[ \t]+[\"']?)(?!-){_WORD}"),
    re.compile(rf"(?P<lead>\bsshpass[ \t]+-p[ \t]*[\"']?){_WORD}"),
    re.compile(rf"(?P<lead>\b[a-z][a-z0-9+.-]{{0,20}}://[^\s/:@\"']{{1,100}}:){OWN}[^\s/@\"']{{1,200}}(?=@)"),
)


def without_passwords(text: str) -> str:
    """`text` with `***` in place of each password: of a sentence, an assignment, an option or an address.

    "without password", "password authentication" and the like hold none and stay as they are.
    """
    if not may_hold_one(text):
        return text
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<lead>{HIDDEN}", text)
    return text


def may_hold_one(text: str) -> bool:
    """Whether it is worth looking: almost no text has such a word."""
    return "pass" in text.lower() or "://" in text


def values_without_passwords(value: Any) -> Any:
    """The same for every string in JSON's objects and lists, and for values of keys like `password`."""
    if isinstance(value, str):
        return without_passwords(value)
    if isinstance(value, list | tuple):
        return [values_without_passwords(one) for one in value]
    if isinstance(value, dict):
        return {
            key: HIDDEN if isinstance(one, str) and one and _KEY.fullmatch(str(key)) else values_without_passwords(one)
            for key, one in value.items()
        }
    return value
