"""Writing a report beside its run: the page, and the same tables as JSON. Files arrive whole or not at all."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from harness.errors import InputError
from harness.files import safe
from harness.records import Run
from harness.report.language import ENGLISH
from harness.report.page import render_tables
from harness.report.tables.run import tables
from harness.report.values import Row

PAGE_NAME = "report.html"


def write_report(run: Run, page: Path, *, typed: bool = False, lang: str = ENGLISH) -> tuple[Path, Path, Row]:
    """Write `page` and the JSON of the same name beside it; returns both paths and the tables.

    `typed`: `page` is as the user named it, so that a link of the user's is followed. `lang`: the page's language; its
    data stays English.
    Errors: InputError where the folder cannot be written to.
    """
    data = tables(run)
    beside = page.with_suffix(".json")
    _write(page, render_tables(data, lang), safe.output_file(page) if typed else safe.new_file(page))
    _write(beside, as_json(data), safe.new_file(beside))
    return page, beside, data


def as_json(data: Row) -> str:
    """The tables as text; what UTF-8 cannot carry (half a surrogate pair in a name) stays a JSON escape."""
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_export(text: str, path: Path) -> None:
    """Write a file that the user named. Errors: InputError where its folder cannot be written to."""
    _write(path, text, safe.output_file(path))


def _write(path: Path, text: str, opened: AbstractContextManager[BinaryIO]) -> None:
    try:
        with opened as file:
            file.write(text.encode("utf-8", errors="backslashreplace"))
    except OSError as error:
        if error.errno in safe.FULL:
            raise  # this PC's lack, not a wrong path
        raise InputError(f"{path}: {error.strerror or error}", "give a writable file with -o FILE") from error
