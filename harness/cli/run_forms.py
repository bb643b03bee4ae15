"""`--junit` and `--trace` of `harness run`: forms of the run for CI, written beside the report also where it failed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def form_options(command: Command) -> Command:
    """`--junit FILE` and `--trace FILE`."""
    kind = click.Path(path_type=Path, dir_okay=False)
    for name, what in (
        ("--trace", "Also write a trace for Perfetto, chrome://tracing or speedscope."),
        ("--junit", "Also write JUnit XML for CI, also of a run that failed."),
    ):
        command = click.option(name, name.strip("-"), type=kind, metavar="FILE", help=what)(command)
    return command


def write_forms(folder: Path, junit: Path | None, trace: Path | None) -> None:
    """Write what was asked for of the run in `folder`. Errors: InputError where a file cannot be written."""
    if junit is None and trace is None:
        return
    from harness.report.exporters.junit import suite
    from harness.report.exporting import exported
    from harness.report.junit import document
    from harness.report.write import PAGE_NAME, write_export
    from harness.runs.folder import load_run

    run = load_run(folder / "run.json")
    if junit is not None:
        page = os.path.relpath(folder / PAGE_NAME)  # as GitLab looks it up: from where the job began
        write_export(document([suite(run, page)]), junit)
    if trace is not None:
        write_export(exported("trace", run), trace)
