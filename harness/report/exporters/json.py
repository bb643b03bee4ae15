"""A run as the tables of the page."""

from __future__ import annotations

from harness.records import Run
from harness.report.exporting import Exporter


def export(run: Run) -> str:
    """The page's tables as JSON."""
    from harness.report.tables.run import tables
    from harness.report.write import as_json

    return as_json(tables(run))


ENTRY = Exporter("the tables of the page", export)
