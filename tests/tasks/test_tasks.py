"""Truth files and metrics of tasks, by values that were computed by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.errors import InputError
from harness.tasks.metric import METRICS, Array, Truth
from harness.tasks.truth import read_truth, refuse_missing


def value(metric: str, outputs: dict[str, Array], truth: Truth) -> float | None:
    return METRICS.get(metric).measure(outputs, truth)


def test_a_class_is_among_the_first() -> None:
    scores = {"out": np.array([[0.1, 0.4, 0.4, 0.05, 0.02, 0.01, 0.02]])}
    assert value("top1", scores, Truth(1)) == 1
    assert value("top1", scores, Truth(2)) == 0  # equal, and argmax takes the first
    assert value("top5", scores, Truth(5)) == 0
    assert value("top5", scores, Truth(3)) == 1
    assert value("top1", scores, Truth(7)) is None  # no such class
    assert value("top1", {"out": np.full((1, 3), np.nan)}, Truth(0)) == 0
    assert value("top1", {**scores, "other": np.zeros((1, 4))}, Truth(0)) is None  # which one holds the scores?


def test_boxes_are_matched_once_and_by_class() -> None:
    truth = Truth(boxes=np.array([[0, 0, 10, 10, 1], [20, 20, 30, 30, 2.0]]))
    hit = [0, 0, 10, 9, 0.9, 1]
    assert value("boxes", {"out": np.array([[hit, [20, 20, 30, 30, 0.8, 2]]])}, truth) == 1
    assert value("boxes", {"out": np.array([[hit, hit]])}, truth) == pytest.approx(0.5)  # one of two, one of two
    assert value("boxes", {"out": np.array([[hit, [20, 20, 30, 30, 0.8, 1]]])}, truth) == pytest.approx(0.5)
    assert value("boxes", {"out": np.array([[[0, 0, 10, 9, 0.4, 1]]])}, truth) == 0  # below the least score
    apart = {"boxes": np.array([[hit[:4], [20, 20, 30, 30]]]), "scores": np.array([[[0, 0.9, 0], [0, 0.1, 0.8]]])}
    assert value("boxes", apart, truth) == 1
    assert value("boxes", {"out": np.zeros((1, 3, 7))}, truth) is None


def test_joints_of_a_frame_and_of_a_window() -> None:
    joints = np.array([[0.0, 0, 0], [1, 1, 1], [np.nan, 0, 0]])
    moved = np.nan_to_num(joints) + [3, 0, 4]
    assert value("mpjpe", {"out": moved[np.newaxis]}, Truth(joints=joints)) == pytest.approx(5)
    window = np.stack([moved * 9, np.nan_to_num(joints), moved * 9])[np.newaxis]
    assert value("mpjpe", {"out": window}, Truth(joints=joints)) == 0
    assert value("oks", {"out": moved[np.newaxis]}, Truth(joints=joints)) is None  # not in a picture
    flat = np.array([[0.0, 0], [10, 10]])
    assert value("oks", {"out": flat[np.newaxis]}, Truth(joints=flat)) == 1
    near, far = (value("oks", {"out": (flat + by)[np.newaxis]}, Truth(joints=flat)) for by in (0.5, 3))
    assert near is not None and far is not None and 1 > near > far > 0


def test_truth_of_every_kind(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    path.write_text('stem, label, boxes, joints\na.png, 3, 0 0 1 1 2; 2 2 3 3,\nb,,-,"[[1, 2], [3, NaN]]"\n')
    truths = read_truth(path)
    assert truths["a"].label == 3 and truths["a"].boxes is not None and truths["a"].joints is None
    assert truths["b"].boxes is not None and truths["b"].boxes.shape == (0, 5)
    assert truths["b"].joints is not None and np.isnan(truths["b"].joints[1, 1])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,label\na,1\n", "columns name, label"),
        ("stem,label\na,cat\n", "label 'cat'"),
        ("stem,label\na,1\na,2\n", "for the second time"),
        ("stem,boxes\na,1 2 3\n", "boxes of 3 numbers"),
        ("stem,joints\na,1 2; 3\n", "joints '1 2; 3'"),
        ("stem,joints\na,[1\n", "joints '[1'"),
        ("stem,label\n,1\n", "no stem"),
        ("", "columns none"),
    ],
)
def test_a_wrong_truth_says_where_and_what(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "truth.csv"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_truth(path)
    assert words in error.value.message and str(path) in error.value.message


def test_samples_without_truth_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no line for 2 of 3 samples: 'b', 'c'; it has 'x', which are no samples"):
        refuse_missing(tmp_path / "t.csv", {"a": Truth(1), "x": Truth(2)}, ["a", "b", "c"])
