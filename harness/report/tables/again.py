"""The command on this PC that repeats a run, or that goes on with one that did not end."""

from __future__ import annotations

import itertools
import shlex

from harness.records import Run
from harness.report.values import Row

_SERIES = ("soak", "sweep", "jitter")  # commands that resume their own runs


def again(run: Run) -> Row | None:
    """{"way", "line"}: `way` is "resume" for a run that did not end, "again" for a whole one; None where run.json does
    not tell what was typed."""
    if run.state in ("interrupted", "failed", "running") and run.id:
        return {"way": "resume", "line": f"harness {_command(run)} --resume {shlex.quote(_folder(run))}"}
    line = run.command.line if run.command else ""
    return {"way": "again", "line": line} if line else None


def _command(run: Run) -> str:
    return next((name for name in _SERIES if name in _typed(run)[:2]), "run")


def _typed(run: Run) -> tuple[str, ...]:
    return run.command.argv if run.command else ()


def _folder(run: Run) -> str:
    """The run folder as its command was told it; `runs` is the default."""
    typed = _typed(run)
    named = [after for word, after in itertools.pairwise(typed) if word == "--runs"]
    named += [word.partition("=")[2] for word in typed if word.startswith("--runs=")]
    return f"{named[-1] if named else 'runs'}/{run.id}"
