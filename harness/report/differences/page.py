"""The page of `harness diff`: one HTML file in the style of the report, readable with scripts off."""

from __future__ import annotations

from pathlib import Path

from harness.report.differences import words
from harness.report.page import filled
from harness.report.values import Row
from harness.report.write import write_export

MOST_ROWS = 300  # of layers, of outputs and of ops on the page; more are counted, and are in the JSON


def render_differences(data: Row) -> str:
    """The page of `differences(runs)`. Pure: the same tables give the same bytes."""
    return filled("report/differences.html.j2", data=data, w=words, most=MOST_ROWS)


def write_differences(data: Row, page: Path) -> None:
    """Write the page that the user named. Errors: InputError where it cannot be written."""
    write_export(render_differences(data), page)
