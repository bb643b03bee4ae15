"""Who uses which board of a lab since when, and how well each board is, as one page."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.page import filled
from harness.report.values import Row


def render_lab(rows: Sequence[Row], at_utc: str) -> str:
    """The page, as of `at_utc`. A row has `name soc kind health use lease`: health and use as of boards/health.py."""
    counts = {
        word: sum(row["health"]["word"] == word for row in rows) for word in ("good", "unknown", "bad", "maintenance")
    }
    used = sum(row["use"] is not None for row in rows)
    return filled("report/lab.html.j2", data={"rows": list(rows), "at_utc": at_utc, "counts": counts, "used": used})
