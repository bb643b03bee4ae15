"""A run as a summary for a ticket."""

from __future__ import annotations

from harness.records import Run
from harness.report.exporting import Exporter


def export(run: Run) -> str:
    """The summary as Markdown."""
    from harness.report.markdown import markdown
    from harness.report.tables.run import tables

    return markdown(tables(run))


ENTRY = Exporter("a summary for a ticket", export)
