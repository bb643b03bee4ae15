"""A case and a mode as the job of a platform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.errors import InputError
from harness.records import Case, Failure, FedInput, Job
from harness.session.inputs import tool_name


def job_of(work: str, case: Case, mode: str, model: str) -> Job:
    """A job as the case asks for it, before anything is pushed: the session adds what lies on the board."""
    return Job(
        mode=mode,
        model=model,
        folder="",
        model_name=case.model_name,
        core=case.core,
        threads=case.threads,
        frames=case.frames,
        time_s=case.time_s,
        options=case.options,
        work=work,
        is_trial=True,
    )


def on_board(job: Job, inputs: tuple[str, ...], support: Sequence[str], fed: Sequence[FedInput]) -> Job:
    """The job with the paths on the board of its inputs and of the platform's own files."""
    return replace(
        job,
        inputs=inputs,
        support=tuple(support),
        input_names=tuple(tool_name(one) for one in fed),
        input_tensors=tuple(one.tensor for one in fed),
        is_trial=False,
    )


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
