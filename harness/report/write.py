"""Writing a report beside its run: the page, and the same tables as JSON. Files arrive whole or not at all."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from harness.errors import InputError
from harness.report.page import render_tables
from harness.report.reach import Row
from harness.report.tables import tables

PAGE_NAME = "report.html"


def write_report(run: Row, page: Path) -> tuple[Path, Path, Row]:
    """Write `page` and the JSON of the same name beside it; returns both paths and the tables.

    Errors: InputError where run.json has a wrong shape, or where the folder cannot be written to.
    """
    data = tables(run)
    beside = page.with_suffix(".json")
    _write(page, render_tables(data))
    _write(beside, as_json(data))
    return page, beside, data


def as_json(data: Row) -> str:
    """The tables as text; what UTF-8 cannot carry (half a surrogate pair in a name) stays a JSON escape."""
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(text.encode("utf-8", errors="backslashreplace"))
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise InputError(f"{path}: {error.strerror or error}", "give a writable file with -o FILE") from error
