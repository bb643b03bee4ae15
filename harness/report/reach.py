"""Reaching into run.json: absent parts are empty, parts of the wrong shape are an error that names them."""

from __future__ import annotations

from typing import Any

from harness.errors import InputError

Row = dict[str, Any]


def _wrong(where: str, value: Any, wanted: str) -> InputError:
    return InputError(
        f"run.json: {where} holds {type(value).__name__}, expected {wanted}",
        "the file was changed by hand or cut; run the case again",
    )


def section(value: Any, *keys: str) -> Row:
    """The object at `keys` below `value`; {} where it or a parent is absent or null. Errors: InputError."""
    where = "run"
    for key in keys:
        where = f"{where}.{key}"
        value = value.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise _wrong(where, value, "an object")
    if not isinstance(value, dict):
        raise _wrong(where, value, "an object")
    return value


def items(value: Row, key: str) -> list[Any]:
    """The list under `key`; [] where absent or null. Errors: InputError."""
    found = value.get(key)
    if found is None:
        return []
    if not isinstance(found, list):
        raise _wrong(key, found, "a list")
    return found


def rows(value: Row, key: str) -> list[Row]:
    """The list of objects under `key`. Errors: InputError."""
    found = items(value, key)
    for position, row in enumerate(found):
        if not isinstance(row, dict):
            raise _wrong(f"{key}[{position}]", row, "an object")
    return found
