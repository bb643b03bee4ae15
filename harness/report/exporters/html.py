"""A run as one self-contained page."""

from __future__ import annotations

from harness.records import Run
from harness.report.exporting import Exporter


def export(run: Run) -> str:
    """The page of a run as HTML."""
    from harness.report.page import render_tables
    from harness.report.tables.run import tables

    return render_tables(tables(run))


ENTRY = Exporter("one self-contained page", export)
