"""What the inputs were fed with: each suspicion has inputs that must raise it, and near misses that must not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from harness.diagnosis.fed import InputView, proved, suspected
from harness.records import TensorSpec

Array = npt.NDArray[Any]
HEIGHT, WIDTH = 48, 32


def photo(seed: int = 0) -> Array:
    """A smooth picture with an edge and some noise, uint8 (H, W, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    planes = np.stack([x * 6.0, y * 4.0, 40.0 + 100 * (x > y)], -1) + rng.normal(0, 6, (HEIGHT, WIDTH, 3))
    return np.clip(np.roll(planes, seed, axis=-1), 0, 255).astype(np.uint8)


def normalised(seed: int = 0) -> Array:
    """As a model takes it: float32 (1, 3, H, W)."""
    picture = photo(seed).astype(np.float32).transpose(2, 0, 1)[None]
    return (picture - np.float32(118)) / np.float32(58)


HOLDS = (-2.1, 2.6)


def view(values: Array, reference: Array | None = None, name: str = "images", **more: Any) -> InputView:
    spec = TensorSpec(name, "f32", values.shape)
    return InputView(name, spec, "F32", f"{name}.bin", values, None, values, reference, HOLDS, **more)


def rules(*views: InputView) -> list[str]:
    return [one.rule for one in (*proved(views), *suspected(views))]


def test_a_right_input_raises_nothing_with_or_without_a_reference() -> None:
    assert rules(view(normalised())) == []
    assert rules(view(normalised(), normalised())) == []
    assert rules(view(normalised(1)), view(normalised(2), name="b")) == []


def as_nhwc(values: Array) -> Array:
    """The bytes of channels-last pixels, read as (1, 3, H, W)."""
    return np.ascontiguousarray(values.transpose(0, 2, 3, 1)).reshape(values.shape)


def test_a_layout_is_proved_with_the_side_that_has_to_change() -> None:
    good = normalised()
    for board, reference, side in ((as_nhwc(good), good, "board's"), (good, as_nhwc(good), "reference's")):
        (law,) = proved([view(board, reference)])
        assert (law.rule, law.severity) == ("I-103", "error") and law.advice.startswith(f"change the {side} input")


def test_a_layout_shows_in_the_values_alone_and_noise_shows_none() -> None:
    (look,) = suspected([view(as_nhwc(normalised()))])
    assert (look.rule, look.severity) == ("I-112", "warning") and "array.transpose(0, 3, 1, 2)" in look.advice
    noise = np.random.default_rng(0).normal(0, 1, (1, 3, HEIGHT, WIDTH)).astype(np.float32)
    assert rules(view(noise)) == []
    last = np.ascontiguousarray(normalised().transpose(0, 2, 3, 1))
    assert rules(view(last)) == []
    assert rules(view(normalised().reshape(last.shape))) == ["I-112"]


@pytest.mark.parametrize("seed", range(3))
def test_exchanged_inputs_are_named(seed: int) -> None:
    left, right = normalised(seed), normalised(seed + 5)
    pair = (view(left, right, "left"), view(right, left, "right"))
    assert [(one.rule, one.subject) for one in proved(pair)] == [("I-102", "left"), ("I-102", "right")]
    assert "--input left=FILE --input right=FILE" in next(iter(proved(pair))).advice
    assert rules(view(left, left, "left"), view(right, right, "right")) == []


def test_pixels_that_nobody_preprocessed_are_seen() -> None:
    pixels = photo().astype(np.float32).transpose(2, 0, 1)[None]
    (look,) = suspected([view(pixels)])
    assert look.rule == "I-114" and "pixels without preprocessing" in look.evidence
    (law,) = proved([view(pixels, normalised())])
    assert law.rule == "I-105" and "change the board's input" in law.advice and "58 * reference" in law.evidence
    (law,) = proved([view(normalised(), pixels)])
    assert law.rule == "I-105" and "change the reference's input" in law.advice
    assert rules(replace(view(pixels), holds=(0.0, 255.0))) == []  # a model that takes pixels
    assert rules(replace(view(pixels), holds=None)) == []  # nothing tells


def test_a_channel_law_is_found_though_channels_differ() -> None:
    good = normalised()
    other = good * np.float32([0.5, 2, 3]).reshape(1, 3, 1, 1) + np.float32([0, 1, 2]).reshape(1, 3, 1, 1)
    assert [one.rule for one in proved([view(good, other)])] == ["I-105"]
    assert [one.rule for one in proved([view(good, normalised(3))])] == []  # another picture


@pytest.mark.parametrize("again", [lambda x: x / 255, lambda x: (x - 118) / 58])
def test_preprocessing_twice_is_seen(again: Any) -> None:
    assert rules(view(again(normalised()).astype(np.float32))) == ["I-115"]
    assert rules(view(normalised() / np.float32(4))) == []  # a dark picture


def test_pixels_of_zeros_and_ones_were_normalised_already() -> None:
    scaled = (photo().transpose(2, 0, 1)[None] > 100).astype(np.uint8)
    pixels = replace(view(scaled), kind="RGB", holds=None)
    assert rules(pixels) == ["I-115"]
    assert rules(replace(pixels, kind="S8")) == [] and rules(replace(pixels, fed=scaled * 200)) == []
    assert rules(replace(pixels, fed=np.zeros_like(scaled))) == []  # black


def nv12(luma: Array) -> InputView:
    return InputView("images", TensorSpec("images", "u8", (1, 3, HEIGHT, WIDTH), "NV12"), "NV12", "a.nv12", None, luma)


def test_an_nv12_picture_of_exchanged_sides_is_seen() -> None:
    luma = photo().mean(axis=-1).astype(np.uint8)
    assert rules(nv12(luma)) == []
    assert rules(nv12(np.ascontiguousarray(luma.T).reshape(HEIGHT, WIDTH))) == ["I-113"]
    assert rules(nv12(np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH), np.uint8))) == []


def test_values_that_are_no_numbers_and_empty_ones_raise_nothing() -> None:
    broken = normalised()
    broken[0, 0, 0, 0] = np.nan
    assert rules(view(broken, normalised())) == []
    assert rules(view(np.zeros((1, 3, HEIGHT, WIDTH), np.float32), normalised())) == []
    assert rules(view(np.zeros((0, 3), np.float32))) == []


@pytest.mark.parametrize("board_first", [True, False])
def test_a_picture_that_was_turned_for_nothing_blames_the_side_that_turned_it(board_first: bool) -> None:
    good = normalised()
    turned = good.reshape(1, HEIGHT, WIDTH, 3).transpose(0, 3, 1, 2)  # the good bytes, taken for channels-last
    pair = (good, turned) if board_first else (turned, good)
    (law,) = proved([view(*pair)])
    wrong = "reference's" if board_first else "board's"
    assert law.rule == "I-103" and law.advice.startswith(f"change the {wrong} input")


def test_of_values_that_are_no_picture_both_sides_are_named() -> None:
    noise = np.random.default_rng(0).normal(0, 1, (1, 3, HEIGHT, WIDTH)).astype(np.float32)
    for pair in ((noise, as_nhwc(noise)), (as_nhwc(noise), noise)):
        (law,) = proved([view(*pair)])
        assert law.rule == "I-103" and "change the" not in law.advice
        assert all("board" in text and "reference" in text for text in (law.title, law.advice))


def test_no_exchange_is_seen_where_values_tell_none() -> None:
    zeros, ones = np.zeros((1, 3, 8, 8), np.float32), np.ones((1, 3, 8, 8), np.float32)
    assert rules(view(zeros, ones, "a"), view(ones, zeros, "b")) == []
    left, right, third = normalised(0), normalised(5), normalised(7)
    one_file_twice = (view(right, left, "a"), view(right, right, "b"))
    assert "I-102" not in rules(*one_file_twice)
    assert "I-102" not in rules(view(right, left, "a"), view(third, right, "b"))
    ring = (view(right, left, "a"), view(third, right, "b"), view(left, third, "c"))
    assert [one.rule for one in proved(ring)] == ["I-102"] * 3
