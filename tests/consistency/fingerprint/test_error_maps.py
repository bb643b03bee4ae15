"""What is said and drawn of a kind of fault: meanings, error maps, histograms."""

from __future__ import annotations

import json

import numpy as np
import pytest

from harness.consistency.fingerprint.error_maps import error_map
from harness.consistency.fingerprint.kinds import KINDS, advice, meaning
from harness.records import ErrorMap, TensorSpec
from harness.records.codec import from_json, to_json
from tests.support.fingerprint_kit import activation, spec_of

# --------------------------------------------------------------------------- tables and pictures


def test_every_kind_says_what_it_means_and_what_to_do() -> None:
    for kind in KINDS.values():
        assert kind.meaning.endswith(".") and kind.advice.endswith(".")
    assert meaning("shift") and advice("shift") and meaning("unheard of") == ""


def test_the_error_map_shows_where() -> None:
    r = activation((1, 8, 200, 100))
    board = r.copy()
    board[:, :, 100:, :50] ^= 1
    picture = error_map(board, r, spec_of(r))
    values = np.array(picture.values)
    assert values.shape == (64, 64) and (picture.rows, picture.columns) == (200, 100)
    assert picture.axes == ("H", "W")
    assert (values[32:, :32] == 1).all() and not values[:32].any() and not values[:, 32:].any()
    assert from_json(ErrorMap, json.loads(json.dumps(to_json(picture)))).value == picture


def test_the_error_map_of_nhwc_has_the_same_axes() -> None:
    r = activation((1, 8, 20, 10)).transpose(0, 2, 3, 1)
    board = r.copy()
    board[:, 3] ^= 1
    picture = error_map(board, r, TensorSpec("t", "s8", r.shape, "NHWC"))
    assert picture.axes == ("H", "W") and picture.values[3] == (1.0,) * 10


@pytest.mark.parametrize("shape", [(), (5,), (1000,), (3, 1), (2, 3, 4, 5, 6)])
def test_pictures_of_odd_shapes_are_small_and_plain(shape: tuple[int, ...]) -> None:
    r = np.zeros(shape, np.int8)
    picture = error_map(r + np.int8(1), r)
    assert 1 <= len(picture.values) <= 64 and 1 <= len(picture.values[0]) <= 64
    json.dumps(to_json(picture))
