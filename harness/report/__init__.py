"""A run's report: run.json in, tables, then one self-contained page. Knows no board and opens no link."""

from __future__ import annotations

from pathlib import Path

from harness.runs.folder import load_run


def write_report(folder: Path) -> Path:
    """Render the run of `folder`: report.html and report.json beside run.json; returns the page. Errors: InputError."""
    from harness.report import write  # jinja2 is only loaded where a page is made

    page, _, _ = write.write_report(load_run(folder), folder / write.PAGE_NAME)
    return page
