"""Which stage adds jitter, on sequences made for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import InputError
from harness.files.samples import open_samples, stride_of, window_of
from harness.records import OutputJitter, SamplesPlan, SequencePlan
from harness.review.samples import trajectories
from harness.review.samples.jitter import output_jitter
from harness.review.samples.sequence import jitter_of, word_on
from harness.review.samples.trajectories import Trajectories

Array = npt.NDArray[np.float64]
PLAN = SequencePlan(window=1, stride=1, fps=30.0)
FRAMES = 240


def walk(seed: int, joints: int = 5) -> Array:
    """A smooth motion: [frames, joints, 3], about 2 in size, for cosines near 1."""
    rng = np.random.default_rng(seed)
    at_s = np.arange(FRAMES)[:, np.newaxis, np.newaxis] / 30
    turns, begins = rng.uniform(0.2, 1.0, (1, joints, 3)), rng.uniform(0, 6, (1, joints, 3))
    return np.asarray(2 + 0.5 * np.sin(2 * np.pi * turns * at_s + begins))


def noise(seed: int, size: float, joints: int = 5) -> Array:
    return np.asarray(np.random.default_rng(seed).normal(0, size, (FRAMES, joints, 3)))


def jitter(stages: dict[str, Array], truth: Array | None = None) -> OutputJitter:
    return output_jitter("pose", stages, PLAN, truth, {})


@settings(deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["float", "quantized", "board"]), st.booleans())
def test_the_stage_with_the_noise_is_named(seed: int, faulty: str, has_truth: bool) -> None:
    """Noise of 0.02 at one stage, a twentieth of it at the others; every cosine above 0.999."""
    path = right = walk(seed)
    stages = {}
    for place, stage in enumerate(("float", "quantized", "board")):
        path = path + noise(seed + place + 1, 0.02 if stage == faulty else 0.001)
        stages[stage] = path
    result = jitter(stages, right if has_truth else None)
    assert result.source == faulty
    added = next(stage for stage in result.stages if stage.stage == faulty)
    assert added.added_rms == pytest.approx(0.02 * 2**0.5, rel=0.1)  # two of them differ from frame to frame
    assert added.share is not None and added.share > 0.9


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_a_smooth_motion_has_no_source(seed: int) -> None:
    """Errors that do not move are no jitter: an offset, and a slow drift."""
    path = walk(seed)
    drift = np.linspace(0, 0.05, FRAMES)[:, np.newaxis, np.newaxis]
    result = jitter({"float": path, "quantized": path + 0.3, "board": path + 0.3 + drift})
    assert result.source == ""
    assert result.stages[2].drift == pytest.approx(0.0375, rel=0.1)


def test_the_worst_joint_the_spectrum_and_a_missing_frame() -> None:
    path = walk(1)
    board = path.copy()
    board[::2, 3, 1] += 0.1  # every second frame: half a cycle per frame, 15 Hz
    board[100] = np.nan
    result = jitter({"float": path, "quantized": path, "board": board})
    assert (result.source, result.joints[0].name) == ("board", "3")
    assert result.stages[2].peak_hz == pytest.approx(15, abs=0.3)
    assert sum(result.stages[2].histogram) == (FRAMES - 3) * 15


def test_frames_of_windows_come_together_again(tmp_path: Path) -> None:
    """Windows of 8 frames, stride 2, of an output with the axis of time: the trajectory is the sequence's middle."""
    plan = SequencePlan(window=8, stride=2)
    frames = np.random.default_rng(0).normal(size=(20, 4, 3)).astype(np.float32)
    np.save(tmp_path / "frames.npy", frames)
    samples = open_samples(SamplesPlan((("", tmp_path / "frames.npy"),), sequence=plan))
    assert len(samples.stems) == 7
    kept = Trajectories(tmp_path, 7, plan)
    for place in (3, 0, 1, 2, 6, 4):  # in any order; the fifth never comes
        kept.add(place, {"board": {"pose": window_of(tmp_path / "frames.npy", place, plan)}})
    board = trajectories.read(tmp_path)["pose"]["board"]
    assert np.array_equal(np.delete(board, [10, 11], axis=0), np.delete(frames[3:17], [10, 11], axis=0))
    assert np.isnan(board[10:12]).all()
    result = jitter_of({"pose": {"board": board, "quantized": frames[3:17]}}, plan, None, 7)
    assert "2 of 14 frames are missing" in result.notes[0]
    truth = jitter_of({"pose": {"float": frames[3:17], "quantized": frames[3:17]}}, plan, frames, 7)
    assert truth.outputs[0].stages[0].mpjpe == 0
    with pytest.raises(InputError, match="fits no output"):
        jitter_of({"pose": {"float": frames[3:17]}}, plan, frames[:9], 7)


def test_the_stride_is_what_windows_have_in_common(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    for place in range(3):
        np.save(tmp_path / f"w{place}.npy", frames[np.newaxis, 3 * place : 3 * place + 8])
    plan = SequencePlan(window=8, stride=8)
    assert stride_of(open_samples(SamplesPlan((("", tmp_path),), sequence=plan))) == 3


def test_the_word_needs_two_stages() -> None:
    path = walk(2)
    one = jitter_of({"pose": {"board": path}}, PLAN, None, FRAMES)
    assert word_on(one, (), PLAN).exit_code == 3
    moved = {"pose": {"float": path, "quantized": path + noise(1, 0.02), "board": path + noise(1, 0.02)}}
    two = jitter_of(moved, PLAN, None, FRAMES)
    assert (word_on(two, (), PLAN).word, word_on(two, (), PLAN).exit_code) == ("jitter_located", 0)
    assert two.hidden and "quantization adds the jitter of pose" in two.sentence
    limited = SequencePlan(1, 1, None, max_jitter_percent=5)
    assert word_on(two, (), limited).word == "jitters"
