"""A run as one small picture for a chat: verdict, op and kind, latency and its split."""

from __future__ import annotations

from harness.records import Run
from harness.report.exporting import Exporter


def export(run: Run) -> str:
    """The card as SVG, 720 pixels wide."""
    from harness.report.page import render_card
    from harness.report.tables.run import tables

    return render_card(tables(run))


ENTRY = Exporter("a card for a chat (SVG)", export)
