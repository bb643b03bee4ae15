"""A case and a mode as the job of a platform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.errors import InputError
from harness.records import Failure, FedInput, Job, Workload
from harness.session.inputs import tool_name


def job_of(work: str, workload: Workload, mode: str, model: str) -> Job:
    """A job as the case asks for it, before anything is pushed: the session adds what lies on the board."""
    return Job(
        mode=mode,
        model=model,
        folder="",
        model_name=workload.model_name,
        core=workload.core,
        threads=workload.threads,
        frames=workload.frames,
        time_s=workload.time_s,
        options=workload.options,
        work=work,
        is_trial=True,
    )


def on_board(job: Job, inputs: tuple[str, ...], support: Sequence[tuple[str, str]], fed: Sequence[FedInput]) -> Job:
    """The job with the paths on the board of its inputs and of the platform's own files (name here, place there)."""
    return replace(
        job,
        inputs=inputs,
        support=tuple(place for _, place in support),
        support_names=tuple(name for name, _ in support),
        input_names=tuple(tool_name(one) for one in fed),
        input_tensors=tuple(one.tensor for one in fed),
        is_trial=False,
    )


def check_name(file: str, name: str, models: tuple[str, ...]) -> None:
    """Which model of a packed file is meant. Errors: InputError where none is named, or one that is not in it."""
    if name and models and name not in models:
        raise InputError(f"{file}: no model {name!r} in it", f"known: {', '.join(models)} (--model-name)")
    if not name and len(models) > 1:
        raise InputError(
            f"{file}: has {len(models)} models: {', '.join(models)}",
            f"choose one: --model-name {models[0]}",
        )


def timed_out(timeout_s: float) -> Failure:
    """What a mode failed of that its time limit ended."""
    return Failure(
        "timeout",
        f"the tool exceeded the time limit of {timeout_s:g} s and was stopped",
        "see its log in the run folder, or raise the limit with --timeout SECONDS",
    )
