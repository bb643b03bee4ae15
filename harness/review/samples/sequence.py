"""The word on a sequence: which stage adds the jitter, by how much, and whether single frames hide it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import COULD_NOT_MEASURE, GOOD, MEASURED_BAD, InputError
from harness.files.samples import frames_truth, is_frames_truth, open_samples, sequence_frames
from harness.platforms.base import Platform
from harness.records import Case, Jitter, OutputJitter, Run, Sample, SequencePlan, StageJitter, Verdict
from harness.review.samples import trajectories
from harness.review.samples.jitter import BEFORE, output_jitter
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
    has_frames = is_frames_truth(case.samples)
    samples = summary(folder, stems, None, bool(case.samples.truth) and not has_frames)
    truth = frames_truth(Path(case.samples.truth)) if has_frames else None
    kept, given = trajectories.read(folder), trajectories.given_frames(folder)
    sources = (("float", case.floats), ("quantized", case.reference), ("board", "board"))
    expected = [stage for stage, source in sources if source]
    jitter = jitter_of(kept, plan, truth, len(stems), given=given, expected=expected)
    run = replace(run, samples=samples, jitter=jitter, verdict=word_on(jitter, samples.samples, plan))
    store.save_run(folder, run)
    if run.state == "complete":
        resume.drop(folder)
    return run


def jitter_of(
    outputs: Mapping[str, Mapping[str, Array]],
    plan: SequencePlan,
    truth: Array | None,
    windows: int,
    *,
    given: Mapping[str, Mapping[str, Array]] | None = None,
    expected: Sequence[str] = (),
) -> Jitter:
    """All outputs of a sequence. `given`: which frames a stage gave, by output and stage, bool [frames]; `expected`:
    stages that each output should have. Errors: InputError for a truth that belongs to none of them."""
    rows, notes = [], []
    fits = 0
    for name, stages in outputs.items():
        if not stages:
            why = f"its frames hold no value, or more than {trajectories.MOST_VALUES}"
            notes.append(f"output {name}: no trajectory, {why}; it was left out")
            continue
        own = None if truth is None else _aligned(truth, next(iter(stages.values())), plan, windows)
        fits += own is not None
        row = output_jitter(name, stages, plan, own, _cosines(stages))
        rows.append(replace(row, stages=_counted(row.stages, stages, (given or {}).get(name, {}))))
        notes += _notes(rows[-1], expected)
    if truth is not None and not fits:
        shapes = ", ".join(f"{name} {next(iter(stages.values())).shape}" for name, stages in outputs.items() if stages)
        raise InputError(
            f"truth of shape {truth.shape} fits no output ({shapes})",
            "give one frame of truth for each of these, or for each frame of the whole sequence",
        )
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


def _counted(
    rows: Sequence[StageJitter], stages: Mapping[str, Array], given: Mapping[str, Array]
) -> tuple[StageJitter, ...]:
    """With the frames that a stage did not give, and those that are not finite where the stage before is."""
    finite = {stage: np.isfinite(frames.reshape(len(frames), -1)) for stage, frames in stages.items()}
    counted = []
    for row in rows:
        frames = stages[row.stage].reshape(len(stages[row.stage]), -1)
        present = np.asarray(given.get(row.stage, ~np.isnan(frames).all(axis=1)), bool)  # NaN only: nobody knows
        right = finite.get(BEFORE.get(row.stage, ""), np.True_)
        broken = (~finite[row.stage] & right).any(axis=1) & present
        counted.append(replace(row, missing_frames=int((~present).sum()), nonfinite_frames=int(broken.sum())))
    return tuple(counted)


def _notes(row: OutputJitter, expected: Sequence[str]) -> list[str]:
    """What its stages did not give, each by name."""
    own = [stage.stage for stage in row.stages]
    lost = [stage for stage in expected if stage not in own]
    notes = [f"output {row.name}: stage {stage} is left out, it gave nothing of this shape" for stage in lost]
    for stage in row.stages:
        missing, broken = stage.missing_frames, stage.nonfinite_frames
        notes += (
            [f"output {row.name}: {missing} of {row.frames} frames of {stage.stage} are missing"] if missing else []
        )
        notes += [f"output {row.name}: {_broken(row, stage)}"] if broken else []
    return notes


def _broken(row: OutputJitter, stage: StageJitter) -> str:
    before = BEFORE.get(stage.stage, "")
    where = f" where {before} is finite" if any(one.stage == before for one in row.stages) else ""
    return f"{stage.stage} is NaN or infinite in {stage.nonfinite_frames} of {row.frames} frames{where}"


def _aligned(truth: Array, frames: Array, plan: SequencePlan, windows: int) -> Array | None:
    """Truth of the kept frames: given for exactly these, or for every frame; None where it does not fit."""
    values = frames[0].size
    if not truth.ndim or not values or truth.size % values or (truth.ndim > 1 and truth[0].size != values):
        return None
    rows = truth.reshape(-1, values)
    if len(rows) != len(frames):
        if len(rows) not in sequence_frames(plan, windows):
            return None
        kept = max(1, len(frames) // max(windows, 1))  # of each window
        step = plan.stride if kept == 1 else 1
        rows = rows[trajectories.first_frame(plan, kept) :: step][: len(frames)]
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
    """The board's jitter is bad, and so is NaN that a stage makes; quantization's jitter where --max-jitter says so. A
    window that failed is no sequence, and an output that the board did not give is not measured."""
    if broken := _first_broken(jitter):
        return Verdict("diverges", broken, MEASURED_BAD)
    if why := _not_measured(jitter, samples):
        return Verdict("not_measured", why, COULD_NOT_MEASURE)
    over = _over(jitter, plan.max_jitter_percent)
    if over or jitter.source == "board":
        return Verdict("jitters", "; ".join(part for part in (jitter.sentence, over) if part), MEASURED_BAD)
    return Verdict("jitter_located" if jitter.source else "smooth", jitter.sentence, GOOD)


def _first_broken(jitter: Jitter) -> str:
    """NaN that a stage makes of finite numbers, the board's first."""
    broken = [
        (stage.stage != "board", f"{row.name}: {_broken(row, stage)}")
        for row in jitter.outputs
        for stage in row.stages
        if stage.nonfinite_frames and any(one.stage == BEFORE.get(stage.stage) for one in row.stages)
    ]
    return min(broken, default=(False, ""))[1]


def _not_measured(jitter: Jitter, samples: Sequence[Sample]) -> str:
    """Why the sequence was not measured in whole; "" where it was."""
    failed = [sample for sample in samples if sample.verdict == "failed"]
    if failed:
        return f"{len(failed)} of {len(samples)} windows failed: {failed[0].failure}"
    if not any(len(row.stages) > 1 for row in jitter.outputs):
        return "fewer than two stages were measured (--reference, --float)"
    for row in jitter.outputs:
        board = next((stage for stage in row.stages if stage.stage == "board"), None)
        if board is None:
            return f"the board gave no frames of {row.name}"
        if board.missing_frames:
            return f"{row.name}: the board did not give {board.missing_frames} of {row.frames} frames"
        if board.added_rms is None:
            return f"{row.name}: no two frames in a row that could be compared"
    return ""


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
