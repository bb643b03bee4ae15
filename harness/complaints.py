"""pydantic's complaints about a file that people write, in words: what type was wanted, and how to write it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "a mapping (keys and values)",
    "model_type": "a mapping (keys and values)",
}


def explain(complaint: Mapping[str, object], key: str) -> tuple[str, str] | None:
    """(what is wrong, how to write it) of one of pydantic's errors about types; None for other kinds.

    `key` is the last word of its place.
    """
    kind, value = str(complaint["type"]), complaint["input"]
    if key == "[key]":
        return f"YAML reads the name {value!r} as {_type_of(value)}", "put it in quotes"
    wanted = _WANTED.get(kind)
    if wanted is None:
        return None
    return f"expected {wanted}, got {_type_of(value)}: {value!r}", _hint(kind, key, value)


def _hint(kind: str, key: str, value: Any) -> str:
    if value is None:
        return f"give `{key}:` a value, or leave it out"
    if kind in ("int_type", "float_type") and isinstance(value, str) and _is_number(value):
        return f"without quotes: `{key}: {_as_number(kind, value.strip())}`"
    if kind == "bool_type" and str(value).lower() in ("yes", "on", "1", "no", "off", "0", "true", "false"):
        return f"`{key}: {'true' if str(value).lower() in ('yes', 'on', '1', 'true') else 'false'}`, without quotes"
    if kind == "string_type" and isinstance(value, str | int | float):
        return f'in quotes: `{key}: "{value}"`'
    if kind == "list_type" and isinstance(value, str | int | float):
        return f"`{key}: [{value}]`"
    return ""


def _as_number(kind: str, text: str) -> str:
    """As YAML 1.1 reads a number: 1e-9 is text to it, 1.0e-09 is not."""
    if kind == "int_type":
        return text
    plain = repr(float(text)).replace("inf", ".inf").replace("nan", ".nan")
    return plain if "." in plain else plain.replace("e", ".0e")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _type_of(value: Any) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "a mapping"}
    return "nothing" if value is None else names.get(type(value), type(value).__name__)
