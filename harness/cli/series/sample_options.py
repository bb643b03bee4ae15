"""`--samples` and `--truth`: many inputs in one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from harness.cli.common import note
from harness.errors import InputError
from harness.records import SamplesPlan, SequencePlan

Command = Callable[..., Any]
BESIDE = (
    "--samples and --beside cannot be used together: the load would not run while samples do. Leave one of them out."
)


def sample_options(command: Command) -> Command:
    """Options that say which samples there are, and what is right for them."""
    for option in reversed(
        (
            click.option(
                "--samples",
                multiple=True,
                metavar="DIR|TENSOR=DIR",
                help="Many inputs: a folder with one file each, one folder per tensor for several inputs, paired by "
                "file stem. Release runs for all, debug for the worst and the first.",
            ),
            click.option(
                "--truth",
                default="",
                metavar="FILE",
                help="CSV of what is right for each sample: stem, and label, boxes or joints. Needs --samples.",
            ),
        )
    ):
        command = option(command)
    return command


def samples_plan(samples: Sequence[str], truth: str, inputs: Sequence[str], beside: str = "") -> SamplesPlan | None:
    """The plan of --samples; None without it. Errors: UsageError for what cannot go together, InputError for folders
    that cannot be paired, or samples that the truth does not have: said before a board is touched."""
    if not samples:
        if truth:
            raise click.UsageError("--truth needs --samples.")
        return None
    if inputs:
        raise click.UsageError("--samples and --input cannot be used together.")
    if beside:
        raise click.UsageError(BESIDE)
    plan = SamplesPlan(sources_of(samples), str(Path(truth).absolute()) if truth else "")
    check_samples(plan)
    return plan


def sources_of(samples: Sequence[str]) -> tuple[tuple[str, Path], ...]:
    """TENSOR=DIR, or DIR alone; a folder whose own name holds `=` is taken as it is when it exists.

    Errors: InputError for several folders of which one names no tensor.
    """
    pairs = []
    for text in samples:
        name, equals, path = text.partition("=")
        is_plain = not equals or Path(text).exists()
        pairs.append(("", Path(text).absolute()) if is_plain else (name, Path(path).absolute()))
    if len(pairs) > 1 and any(not name for name, _ in pairs):
        raise InputError("--samples: several folders without a tensor's name", "give each as TENSOR=DIR")
    return tuple(pairs)


def check_samples(plan: SamplesPlan) -> int:
    """How many samples there are. Errors: InputError, as of `open_samples` and of the truth."""
    from harness.files.samples import is_frames_truth, open_samples, refuse_truth_length
    from harness.tasks.truth import read_truth, refuse_missing

    stems = open_samples(plan).stems
    if plan.sequence is not None and is_frames_truth(plan):
        refuse_truth_length(Path(plan.truth), plan.sequence, len(stems))
    elif plan.truth:
        refuse_missing(Path(plan.truth), read_truth(Path(plan.truth)), stems)
    return len(stems)


def sequence_plan(
    sources: Sequence[tuple[str, Path]], window: int, stride: int, fps: float | None, most: float | None
) -> SequencePlan:
    """Windows and their stride; a stride of 0 is how the windows overlap, and is told. Errors: InputError."""
    from harness.files.samples import open_samples, stride_of

    plan = SequencePlan(window, stride or max(window, 1), fps, most)
    if window and stride > window:
        raise InputError(f"--stride {stride}: windows of {window} frames would leave frames out", "use a smaller one")
    if stride:
        return plan
    overlap = stride_of(open_samples(SamplesPlan(tuple(sources), sequence=plan)))
    if window > 1:
        why = "as the windows overlap" if overlap else "no frames in common, so one window follows the other"
        note(f"stride: {overlap or plan.stride} frames ({why}); --stride takes another")
    return SequencePlan(window, overlap or plan.stride, fps, most)
