"""The word on a sequence: which stage adds the jitter, by how much, and whether single frames hide it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import COULD_NOT_MEASURE, GOOD, MEASURED_BAD, InputError
from harness.files.samples import array_of, open_samples
from harness.platforms.base import Platform
from harness.records import Case, Jitter, OutputJitter, Run, Sample, SequencePlan, StageJitter, Verdict
from harness.review.samples import trajectories
from harness.review.samples.jitter import output_jitter
from harness.review.samples.one import one_minus_cosine
from harness.review.samples.summary import summary
from harness.runs import folder as store
from harness.runs import resume

Array = npt.NDArray[Any]
NAMES = {"float": "the float model or its input", "quantized": "quantization", "board": "the board"}
HIDES = 1e-3  # 1 - cosine that people take for good


def judge_jitter(folder: Path, platform: Platform, case: Case) -> Run:
    """Read what a sequence left, judge it, and write it into run.json. Errors: InputError for a truth that does not
    fit."""
    run = store.load_run(folder)
    store.check_names(run, folder / "run.json")
    plan = case.samples.sequence if case.samples else None
    assert case.samples is not None and plan is not None
    stems = open_samples(case.samples).stems
    samples = summary(folder, stems, None, bool(case.samples.truth) and not case.samples.truth.endswith(".npy"))
    truth = array_of(Path(case.samples.truth)) if case.samples.truth.endswith(".npy") else None
    jitter = jitter_of(trajectories.read(folder), plan, truth, len(stems))
    run = replace(run, samples=samples, jitter=jitter, verdict=word_on(jitter, samples.samples, plan))
    store.save_run(folder, run)
    if run.state == "complete":
        resume.drop(folder)
    return run


def jitter_of(
    outputs: Mapping[str, Mapping[str, Array]], plan: SequencePlan, truth: Array | None, windows: int
) -> Jitter:
    """All outputs of a sequence. Errors: InputError for a truth that belongs to none of them."""
    rows, notes = [], []
    fits = 0
    for name, stages in outputs.items():
        if not stages:
            notes.append(f"output {name}: its frames are too large for a trajectory, so it was left out")
            continue
        own = None if truth is None else _aligned(truth, next(iter(stages.values())), plan)
        fits += own is not None
        rows.append(output_jitter(name, stages, plan, own, _cosines(stages)))
        missing = int(np.isnan(next(iter(stages.values())).reshape(rows[-1].frames, -1)[:, 0]).sum())
        notes += [f"output {name}: {missing} of {rows[-1].frames} frames are missing"] if missing else []
    if truth is not None and not fits:
        shapes = ", ".join(f"{name} {next(iter(stages.values())).shape}" for name, stages in outputs.items() if stages)
        raise InputError(f"truth of shape {truth.shape} fits no output ({shapes})", "one frame of truth for each frame")
    worst = _worst(rows)
    return Jitter(
        tuple(rows),
        windows,
        plan.window,
        plan.stride,
        plan.fps,
        source=worst.source if worst else "",
        hidden=bool(worst and worst.source and _is_hidden(worst)),
        sentence=_sentence(worst),
        notes=tuple(notes),
    )


def _aligned(truth: Array, frames: Array, plan: SequencePlan) -> Array | None:
    """Truth of the kept frames: given for exactly these, or for every frame; None where it does not fit."""
    values = frames[0].size
    if not truth.ndim or truth.size % max(values, 1) or (truth.ndim > 1 and truth[0].size != values):
        return None
    rows = truth.reshape(-1, values)
    if len(rows) != len(frames):
        kept = min(plan.stride, plan.window) if plan.window else 1
        begin = trajectories.first_frame(plan, kept)
        rows = rows[begin : begin + len(frames)]
    return np.asarray(rows, np.float64).reshape(frames.shape) if len(rows) == len(frames) else None


def _cosines(stages: Mapping[str, Array]) -> dict[str, float]:
    """The largest 1 - cosine of a single frame, of each stage against the one before."""
    cosines = {}
    for before, after in (("float", "quantized"), ("quantized", "board")):
        if before in stages and after in stages:
            pairs = zip(stages[after], stages[before], strict=True)
            each = [one_minus_cosine(a, b) for a, b in pairs if np.isfinite(a).all() and np.isfinite(b).all()]
            cosines[after] = max(each, default=0.0)
    return cosines


def _worst(rows: Sequence[OutputJitter]) -> OutputJitter | None:
    """The output whose jitter is largest beside its motion, of those that have a source; else the first."""

    def size(row: OutputJitter) -> float:
        added = max((stage.added_rms or 0.0 for stage in row.stages), default=0.0)
        motion = next((stage.motion_rms for stage in row.stages if stage.motion_rms), 0.0)
        return added / motion if motion else added

    named = [row for row in rows if row.source]
    return max(named, key=size) if named else next(iter(rows), None)


def _is_hidden(row: OutputJitter) -> bool:
    known = [stage.one_minus_cosine for stage in row.stages if stage.one_minus_cosine is not None]
    return bool(known) and max(known) < HIDES


def _sentence(row: OutputJitter | None) -> str:
    """`quantization adds the jitter of pose: 1.9 rms from frame to frame, 90 % of its power (...)`."""
    if row is None:
        return "no output has a trajectory"
    each = ", ".join(f"{_name(stage)} {_figure(stage.added_rms)}" for stage in row.stages)
    if not row.source:
        return f"no stage adds jitter to {row.name} above 2 % of its motion (rms from frame to frame: {each})"
    own = next(stage for stage in row.stages if stage.stage == row.source)
    share = f", {100 * own.share:.0f} % of its power" if own.share is not None else ""
    hidden = "; every single frame's cosine is above 0.999, which hides it" if _is_hidden(row) else ""
    adds = f"{NAMES[row.source]} adds the jitter of {row.name}"
    return f"{adds}: {_figure(own.added_rms)} rms from frame to frame{share} ({each}){hidden}"


def _name(stage: StageJitter) -> str:
    return {"float": "float", "quantized": "quantization", "board": "board"}[stage.stage]


def _figure(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3g}"


def word_on(jitter: Jitter, samples: Sequence[Sample], plan: SequencePlan) -> Verdict:
    """The board's jitter is bad; quantization's where --max-jitter says so; a window that failed is no sequence."""
    failed = [sample for sample in samples if sample.verdict == "failed"]
    if failed or not jitter.outputs or not any(len(output.stages) > 1 for output in jitter.outputs):
        why = f"{len(failed)} of {len(samples)} windows failed: {failed[0].failure}" if failed else ""
        return Verdict(
            "not_measured", why or "fewer than two stages were measured (--reference, --float)", COULD_NOT_MEASURE
        )
    over = _over(jitter, plan.max_jitter_percent)
    if over or jitter.source == "board":
        return Verdict("jitters", "; ".join(part for part in (jitter.sentence, over) if part), MEASURED_BAD)
    return Verdict("jitter_located" if jitter.source else "smooth", jitter.sentence, GOOD)


def _over(jitter: Jitter, limit: float | None) -> str:
    if limit is None:
        return ""
    for output in jitter.outputs:
        motion = next((stage.motion_rms for stage in output.stages if stage.motion_rms), None)
        added = sum((stage.added_rms or 0.0) ** 2 for stage in output.stages if stage.stage != "float") ** 0.5
        percent = 100 * added / motion if motion else 0.0
        if percent > limit:
            return f"{output.name}: quantization and board add {percent:.3g} % of the motion, --max-jitter {limit:g}"
    return ""
