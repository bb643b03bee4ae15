"""A sequence through float, quantized and board: how much each stage moves from frame to frame beside the one before.

Jitter of a stage is the frame-to-frame difference of its *error* (quantized less float, board less quantized): what
the stage adds, whatever the motion is. The float model's own is the same against the truth; without one it is what its
third differences hold beyond a smooth motion: sqrt(2 / 20) of their rms, which is exact for noise that is independent
from frame to frame (a third difference of it has 1 + 9 + 9 + 1 = 20 times its power, a first one twice).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.records import JointJitter, OutputJitter, SequencePlan, StageJitter
from harness.records.samples import STAGES

Array = npt.NDArray[Any]
MATTERS = 0.02  # of the motion: less than this is not worth a name
SMOOTH = math.sqrt(2 / 20)
BINS = 41  # of a histogram
MOST_FREQUENCIES = 64
MOST_POINTS = 400  # over time, in the record
MOST_JOINTS = 12
SHOWN_FRAMES = 240  # of a trajectory, around the largest difference
MOST_COORDINATES = 4  # a last axis of up to so many is a joint's place
BEFORE = {"quantized": "float", "board": "quantized"}


def output_jitter(
    name: str, stages: Mapping[str, Array], plan: SequencePlan, truth: Array | None, cosines: Mapping[str, float]
) -> OutputJitter:
    """One output. `stages` are [frames, ...]; `truth` has the shape of the float stage, or is None. `cosines` are the
    largest 1 - cosine of a single frame by stage. NaN: frames of windows that failed."""
    paths = {stage: _joints(stages[stage]) for stage in STAGES if stage in stages}
    errors = {stage: paths[stage] - paths[BEFORE[stage]] for stage in paths if BEFORE.get(stage) in paths}
    how = "third differences: what is not a smooth motion (no truth was given)"
    if "float" in paths and truth is not None:
        errors = {"float": paths["float"] - truth.reshape(paths["float"].shape)} | errors
        how = "frame-to-frame differences of its error against the truth"
    moves = {stage: steps(error) for stage, error in errors.items()}
    if "float" in paths and "float" not in moves:
        moves = {"float": np.diff(paths["float"], n=3, axis=0) * SMOOTH} | moves
    rows = tuple(
        _stage(stage, path, moves.get(stage), errors.get(stage), plan, cosines.get(stage))
        for stage, path in paths.items()
    )
    rows = _with_shares(_with_truth(rows, paths, truth))
    first = next(iter(paths.values()))
    joints = _joint_rows(paths, moves)
    return OutputJitter(name, len(first), first[0].size, rows, joints[:MOST_JOINTS], len(joints), source_of(rows), how)


def steps(path: Array) -> Array:
    """Frame-to-frame differences: [frames - 1, joints, coordinates]."""
    return np.diff(path, axis=0)


def _joints(frames: Array) -> Array:
    """[frames, joints, coordinates]; a last axis longer than a place in space is of single values."""
    values = np.array(frames, np.float64)
    values[~np.isfinite(values)] = np.nan  # infinity less infinity would warn, and is no number either
    wide = values.shape[-1] if values.ndim > 2 and values.shape[-1] <= MOST_COORDINATES else 1
    return values.reshape(len(values), -1, wide)


def _rms(values: Array) -> float | None:
    finite = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(finite**2))) if finite.size else None


def _most(values: Array) -> float | None:
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size else None


def _stage(
    stage: str, path: Array, moves: Array | None, error: Array | None, plan: SequencePlan, cosine: float | None
) -> StageJitter:
    own = steps(path)
    plain = StageJitter(stage, motion_rms=_rms(own), motion_max=_most(own), one_minus_cosine=cosine)
    if moves is None or not moves.size:
        return plain
    spectrum = spectrum_of(moves)
    counts, reach = _histogram(moves)
    return StageJitter(
        stage,
        added_rms=_rms(moves),
        added_max=_most(moves),
        drift=None if error is None else _drift(error),
        motion_rms=plain.motion_rms,
        motion_max=plain.motion_max,
        one_minus_cosine=cosine,
        peak_hz=_peak(spectrum, plan.fps),
        spectrum=spectrum,
        by_frame=_by_frame(moves),
        histogram=counts,
        histogram_to=reach,
    )


def _with_truth(rows: tuple[StageJitter, ...], paths: Mapping[str, Array], truth: Array | None) -> list[StageJitter]:
    if truth is None:
        return list(rows)
    with_distances = []
    for row in rows:
        away = np.linalg.norm(paths[row.stage] - truth.reshape(paths[row.stage].shape), axis=-1)
        finite = away[np.isfinite(away)]
        with_distances.append(replace(row, mpjpe=float(finite.mean()) if finite.size else None))
    return with_distances


def _with_shares(rows: list[StageJitter]) -> tuple[StageJitter, ...]:
    total = sum((row.added_rms or 0.0) ** 2 for row in rows)
    return tuple(
        replace(row, share=row.added_rms**2 / total) if total and row.added_rms is not None else row for row in rows
    )


def source_of(rows: tuple[StageJitter, ...]) -> str:
    """The stage that adds most; "" where what it adds is less than `MATTERS` of the motion."""
    known = [row for row in rows if row.added_rms]
    worst = max(known, key=lambda row: row.added_rms or 0.0, default=None)
    motion = next((row.motion_rms for row in rows if row.motion_rms), 0.0)
    if worst is None or not worst.added_rms or worst.added_rms < MATTERS * motion:
        return ""
    return worst.stage


def spectrum_of(moves: Array) -> tuple[float, ...]:
    """Power by frequency, from 0 to half a cycle per frame, the mean over all values; frames that are missing count as
    no movement."""
    filled = np.nan_to_num(moves.reshape(len(moves), -1), posinf=0.0, neginf=0.0)
    if len(filled) < 8:
        return ()
    window = np.hanning(len(filled))[:, np.newaxis]
    power = np.mean(np.abs(np.fft.rfft((filled - filled.mean(axis=0)) * window, axis=0)) ** 2, axis=1)
    parts = np.array_split(power, min(MOST_FREQUENCIES, len(power)))
    return tuple(float(part.mean()) for part in parts)


def _peak(spectrum: tuple[float, ...], fps: float | None) -> float | None:
    """The middle of the strongest part of the spectrum."""
    if not spectrum or not max(spectrum):
        return None
    place = (int(np.argmax(spectrum)) + 0.5) / len(spectrum) / 2
    return place * (fps or 1.0)


def _histogram(moves: Array) -> tuple[tuple[int, ...], float]:
    reach = _most(moves) or 0.0
    if not reach:
        return (), 0.0
    counts, _ = np.histogram(moves[np.isfinite(moves)], bins=BINS, range=(-reach, reach))
    return tuple(int(count) for count in counts), reach


def _by_frame(moves: Array) -> tuple[float, ...]:
    """rms over all values for each frame; of many frames the largest of each stretch, so that no peak is lost."""
    squares = np.nanmean(np.where(np.isfinite(moves), moves, 0.0).reshape(len(moves), -1) ** 2, axis=1)
    parts = np.array_split(np.sqrt(squares), min(MOST_POINTS, len(squares)))
    return tuple(float(part.max()) for part in parts)


def _drift(error: Array) -> float | None:
    """Median of the last quarter less that of the first, of the value that drifts most."""
    quarter = len(error) // 4
    if quarter < 2:
        return None
    ends = (_medians(error[:quarter]), _medians(error[-quarter:]))
    moved = (ends[1] - ends[0]).ravel()
    finite = moved[np.isfinite(moved)]
    return float(finite[np.argmax(np.abs(finite))]) if finite.size else None


def _medians(part: Array) -> Array:
    filled = np.where(np.isfinite(part), part, np.nan)
    usable = np.isfinite(filled).any(axis=0)
    return np.where(usable, np.nanmedian(np.where(usable, filled, 0.0), axis=0), np.nan)


# --------------------------------------------------------------------------- joints


def _joint_rows(paths: Mapping[str, Array], moves: Mapping[str, Array]) -> tuple[JointJitter, ...]:
    """Joints, the one with the most added jitter first; trajectories of the shown ones around the worst frame."""
    if not moves:
        return ()
    sizes = {stage: _by_joint(move) for stage, move in moves.items()}
    total = np.sqrt(sum(np.nan_to_num(size) ** 2 for size in sizes.values()))
    order = np.argsort(-total, kind="stable")
    rows = []
    for rank, joint in enumerate(order):
        added = {stage: float(size[joint]) for stage, size in sizes.items() if np.isfinite(size[joint])}
        most = {stage: _most(m[:, joint]) or 0.0 for stage, m in moves.items()} if rank < MOST_JOINTS else {}
        lines = _trajectories(paths, moves, int(joint)) if rank < 2 else {}
        rows.append(JointJitter(str(int(joint)), added, most, lines))
    return tuple(rows)


def _by_joint(moves: Array) -> Array:
    """rms over frames and coordinates for each joint; NaN for one without a number."""
    known = np.isfinite(moves)
    count = known.sum(axis=(0, 2))
    total = np.where(known, moves, 0.0) ** 2
    return np.where(count > 0, np.sqrt(total.sum(axis=(0, 2)) / np.maximum(count, 1)), np.nan)


def _trajectories(paths: Mapping[str, Array], moves: Mapping[str, Array], joint: int) -> dict[str, tuple[float, ...]]:
    """The coordinate that jitters most, by stage, around the frame where it does."""
    worst = max(moves, key=lambda stage: _rms(moves[stage][:, joint]) or 0.0)
    own = np.nan_to_num(np.abs(moves[worst][:, joint]))
    coordinate = int(np.argmax((own**2).sum(axis=0)))
    begin = max(0, int(np.argmax(own[:, coordinate])) - SHOWN_FRAMES // 2)
    lines = {stage: path[begin : begin + SHOWN_FRAMES, joint, coordinate] for stage, path in paths.items()}
    return {stage: tuple(float(value) for value in line) for stage, line in lines.items()}
