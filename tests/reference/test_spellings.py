"""Names that tools write in their own way, and names that only look alike."""

from __future__ import annotations

import pytest

from harness.reference.spellings import meet, numbered, spellings


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("conv1:0", "conv1"),
        ("conv1_0", "conv1"),
        ("conv1_f32", "conv1"),
        ("conv1_4x16_f32", "conv1"),
        ("conv1_1x8x16x16", "conv1"),
        ("conv1_Relu", "conv1"),
        ("relu1_out_Relu_ui8", "relu1_out"),
        ("model/head/conv1:0", "conv1"),
        ("conv1__float16", "conv1"),
        ("net::conv1", "conv1"),
    ],
)
def test_what_tools_append_is_taken_off(written: str, name: str) -> None:
    assert name in spellings(written)


@pytest.mark.parametrize("name", ["conv1", "relu", "a1b2", "layer4", "x"])
def test_a_plain_name_has_no_other_spelling(name: str) -> None:
    assert spellings(name) == ()


def test_names_that_differ_by_a_number_alone_are_several_tensors() -> None:
    assert numbered(["output_0", "output_1", "conv_3"]) == {"output_0", "output_1"}


def test_an_owner_is_given_away_once_and_the_surest_name_goes_first() -> None:
    assert meet(["y_Conv", "y"], {"y": ["y"]}) == {"y": "y"}
    assert meet(["y_Conv", "r1_Relu"], {"y": ["y"], "r1": ["r1"]}) == {"y_Conv": "y", "r1_Relu": "r1"}
    assert meet(["y_Conv", "y_f32"], {"y": ["y"]}) == {}  # two that may be it: a person decides
    assert meet(["y_0", "y_1"], {"y": ["y"]}) == {}
