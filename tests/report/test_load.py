"""Operations, memory traffic and nmem of a run: on the page, in the terminal and in Markdown, estimates marked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.records import Run
from harness.report.markdown import markdown
from harness.report.page import render_tables
from harness.report.summary import lines
from harness.report.tables.run import tables
from harness.runs.folder import load_run

RUNS = Path(__file__).resolve().parents[1] / "data/runs_0_1"


def measured() -> Run:
    """A run of a T40 whose ops do work that is large enough to be printed."""
    run = load_run(RUNS / "t40_complete")
    assert run.profile is not None
    ops = tuple(
        replace(op, figures={"gops": 0.25, "bytes": 2.0e6, "parameter_bytes": float("nan")}) for op in run.profile.ops
    )
    return replace(run, profile=replace(run.profile, ops=ops))


def test_operations_traffic_and_memory_are_on_page_terminal_and_markdown() -> None:
    run = measured()
    assert run.profile is not None
    total = f"{0.25 * len(run.profile.ops):.3f} GOPs"
    load = next(line for line in lines(run) if line.startswith("load"))
    assert f"operations {total}" in load and "per frame (estimated)" in load and "memory peak (nmem)" in load
    for text in (markdown(tables(run)), render_tables(tables(run))):
        assert total in text and "memory traffic" in text and "memory peak (nmem)" in text


def test_memory_without_a_profile_is_a_page_too() -> None:
    run = replace(measured(), profile=None)
    assert "memory peak (nmem)" in render_tables(tables(run)) and "memory peak (nmem)" in markdown(tables(run))
    assert any(line.startswith("load") for line in lines(run))


def test_a_run_without_these_figures_has_no_such_line() -> None:
    assert not any(line.startswith("load") for line in lines(load_run(RUNS / "x3_broken_off")))
