"""A case and a mode as the job of a platform."""

from __future__ import annotations

from typing import Any

from harness.errors import InputError
from harness.records import Case, Failure, Job


def job_of(case: Case, mode: str, model: str, inputs: tuple[str, ...], options: dict[str, Any]) -> Job:
    name, core, threads = case.model_name, case.core, case.threads
    return Job(mode, model, "", inputs, name, core, threads, case.frames, case.time_s, options)


def check_name(case: Case, models: tuple[str, ...]) -> None:
    """Which model of a packed file is meant. Errors: InputError where none is named, or one that is not in it."""
    if case.model_name and models and case.model_name not in models:
        raise InputError(
            f"{case.model.name}: no model {case.model_name!r} in it", f"it holds: {', '.join(models)} (--model-name)"
        )
    if not case.model_name and len(models) > 1:
        raise InputError(
            f"{case.model.name}: holds {len(models)} models: {', '.join(models)}",
            f"say which one: --model-name {models[0]}",
        )


def timed_out(case: Case) -> Failure:
    return Failure(
        "timeout",
        f"the tool was still running after {case.timeout_s:g} s and was ended on the board",
        "look at its log, or allow more with --timeout SECONDS",
    )
