"""Which stage adds jitter, on sequences made for it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.cli.series.sample_options import check_samples
from harness.errors import InputError
from harness.files.samples import open_samples, stride_of, window_of
from harness.records import OutputJitter, SamplesPlan, SequencePlan
from harness.review.samples import trajectories
from harness.review.samples.jitter import output_jitter
from harness.review.samples.one import _named_alike
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
    assert "2 of 14 frames of board are missing" in result.notes[0]
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


# --------------------------------------------------------------------------- boards that are broken


@pytest.mark.parametrize("broken", [slice(None), slice(100, 101)])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_board_of_no_numbers_is_never_good(broken: slice, value: float) -> None:
    path = walk(3)
    board = path.copy()
    board[broken] = value
    given = {"pose": dict.fromkeys(("float", "quantized", "board"), np.ones(FRAMES, bool))}
    made = jitter_of({"pose": {"float": path, "quantized": path, "board": board}}, PLAN, None, FRAMES, given=given)
    count = len(range(*broken.indices(FRAMES)))
    assert made.outputs[0].stages[2].nonfinite_frames == count
    word = word_on(made, (), PLAN)
    assert (word.word, word.exit_code) == ("diverges", 1)
    assert f"board is NaN or infinite in {count} of {FRAMES} frames where quantized is finite" in word.detail


def test_nan_that_the_quantized_model_has_too_is_not_the_boards() -> None:
    path = walk(3)
    path[7, 2] = np.nan
    word = word_on(jitter_of({"pose": {"quantized": path, "board": path}}, PLAN, None, FRAMES), (), PLAN)
    assert word.exit_code == 0
    nothing = np.full_like(path, np.nan)
    given = {"pose": dict.fromkeys(("quantized", "board"), np.ones(FRAMES, bool))}
    none = jitter_of({"pose": {"quantized": nothing, "board": nothing}}, PLAN, None, FRAMES, given=given)
    assert word_on(none, (), PLAN).exit_code == 3


@pytest.mark.parametrize("missing", ["all", "one", "stage"])
def test_frames_that_the_board_did_not_give(tmp_path: Path, missing: str) -> None:
    """A window without the output, and an output that came in another size: neither is smooth."""
    plan = SequencePlan(window=1, stride=1)
    kept = Trajectories(tmp_path, 20, plan)
    for place in range(20):
        frame = walk(4)[place]
        board = {} if missing == "all" or (missing, place) == ("one", 5) else {"pose": frame}
        board = {"pose": frame[:3]} if missing == "stage" else board
        kept.add(place, {"float": {"pose": frame}, "quantized": {"pose": frame}, "board": board})
    given = trajectories.given_frames(tmp_path)
    stages = ("float", "quantized", "board")
    made = jitter_of(trajectories.read(tmp_path), plan, None, 20, given=given, expected=stages)
    words = "1 of 20 frames of board are missing" if missing == "one" else "stage board is left out"
    assert words in made.notes[0]
    assert word_on(made, (), plan).exit_code == 3


def test_forgotten_windows_are_missing(tmp_path: Path) -> None:
    kept = Trajectories(tmp_path, 3, PLAN)
    kept.add(1, {"board": {"pose": np.zeros((4, 3))}})
    assert trajectories.given_frames(tmp_path)["pose"]["board"].tolist() == [False, True, False]
    kept.forget()
    assert trajectories.read(tmp_path) == {}
    kept.add(0, {"board": {"pose": np.zeros((4, 3))}})
    assert trajectories.given_frames(tmp_path)["pose"]["board"].tolist() == [True, False, False]


@pytest.mark.parametrize("name", ["pose", "Pose:0"])
def test_the_float_model_takes_the_shape_of_the_quantized_one(name: str) -> None:
    values = np.arange(12.0)
    named = _named_alike({name: values.reshape(1, 4, 3)}, {"pose": values.reshape(4, 3, 1)})
    assert np.array_equal(named["pose"], values.reshape(4, 3, 1))
    assert _named_alike({"pose": values.reshape(3, 4)}, {"pose": values.reshape(4, 3)})["pose"].shape == (3, 4)
    assert _named_alike({"pose": values[:6]}, {"pose": values}) == {}


# --------------------------------------------------------------------------- truth


@pytest.mark.parametrize(("window", "stride"), [(8, 2), (8, 3), (9, 9), (5, 1)])
@pytest.mark.parametrize("rest", [0, 1])
def test_truth_of_the_whole_sequence_is_that_of_the_middle_frames(window: int, stride: int, rest: int) -> None:
    """An output with one frame for each window."""
    plan, windows = SequencePlan(window, stride), 12
    frames = np.random.default_rng(0).normal(size=(window + stride * (windows - 1) + min(rest, stride - 1), 4))
    middle = np.array([frames[stride * place : stride * place + window][(window - 1) // 2] for place in range(windows)])
    for truth in (frames, middle):
        made = jitter_of({"pose": {"float": middle, "quantized": middle}}, plan, truth, windows)
        assert made.outputs[0].stages[0].mpjpe == 0
    for truth in (frames[:-stride], np.concatenate([frames, frames])):
        with pytest.raises(InputError, match="fits no output"):
            jitter_of({"pose": {"float": middle}}, plan, truth, windows)


def test_truth_is_checked_before_the_board(tmp_path: Path) -> None:
    np.save(tmp_path / "frames.npy", np.zeros((20, 4, 3), np.float32))
    plan = SequencePlan(window=8, stride=2)
    for name, truth, words in (
        ("words", np.array(["a", "b"]), "truth of <U1"),
        ("complex", np.zeros((20, 4, 3), complex), "truth of complex128"),
        ("one", np.array(1.0), "truth of float64 ()"),
        ("short", np.zeros((9, 4, 3)), "truth of 9 frames: 7 windows have 7 or 14 or 20"),
    ):
        np.save(tmp_path / f"{name}.npy", truth)
        sources = (("", tmp_path / "frames.npy"),)
        with pytest.raises(InputError, match=re.escape(words)):
            check_samples(SamplesPlan(sources, str(tmp_path / f"{name}.npy"), plan))
    np.save(tmp_path / "right.npy", np.zeros((20, 4, 3)))
    assert check_samples(SamplesPlan(sources, str(tmp_path / "right.npy"), plan)) == 7


# --------------------------------------------------------------------------- windows


@pytest.mark.parametrize("still", [8, 11, 20])
def test_a_still_beginning_tells_no_stride(tmp_path: Path, still: int) -> None:
    frames = np.random.default_rng(0).normal(size=(80, 4)).astype(np.float32)
    frames[:still] = frames[0]
    windows = np.array([frames[3 * place : 3 * place + 8] for place in range(24)])
    np.save(tmp_path / "w.npy", windows)
    plan = SequencePlan(window=8, stride=8)
    assert stride_of(open_samples(SamplesPlan((("", tmp_path / "w.npy"),), sequence=plan))) == 3


@pytest.mark.parametrize("kind", ["still", "mixed", "periodic"])
def test_a_stride_that_cannot_be_told_is_asked_for(tmp_path: Path, kind: str) -> None:
    frames = np.random.default_rng(0).normal(size=(80, 4)).astype(np.float32)
    begins = [3 * place for place in range(20)]
    if kind == "still":
        frames[:] = frames[0]
    elif kind == "periodic":
        frames[:] = np.tile(frames[:2], (40, 1))
    else:
        begins = [0, 3, 8, 11, 16]
    np.save(tmp_path / "w.npy", np.array([frames[begin : begin + 8] for begin in begins]))
    plan = SequencePlan(window=8, stride=8)
    with pytest.raises(InputError) as raised:
        stride_of(open_samples(SamplesPlan((("", tmp_path / "w.npy"),), sequence=plan)))
    assert "--stride" in raised.value.hint


def test_stacks_that_are_too_long_or_hold_no_values(tmp_path: Path) -> None:
    for name, shape, words in (("long", (1_000_001, 1), "at most 1000000"), ("empty", (8, 0, 3), "no values in")):
        np.save(tmp_path / f"{name}.npy", np.zeros(shape, np.uint8))
        for sequence in (None, SequencePlan(window=1)):
            with pytest.raises(InputError, match=words):
                _ = open_samples(SamplesPlan((("", tmp_path / f"{name}.npy"),), sequence=sequence)).stems


def test_a_dead_link_among_samples_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3))
    (tmp_path / "b.npy").symlink_to("gone.npy")
    with pytest.raises(InputError, match=r"b\.npy: a link to a file that is not there"):
        open_samples(SamplesPlan((("", tmp_path),)))
