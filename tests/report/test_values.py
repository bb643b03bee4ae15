"""Figures and names as a report writes them."""

from __future__ import annotations

import math

import pytest

from harness.report import values
from tests.records.kit import tables
from tests.support import fixtures_run as runs

# ------------------------------------------------------------------ figures


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.982, "98.2 %"),
        (0.9999, "99.99 %"),
        (0.99999999, "> 99.9999 %"),
        (1e-9, "1.0e-7 %"),
        (0.0125, "1.25 %"),
        (None, values.DASH),
        ("nan", "NaN"),
    ],
)
def test_a_share_is_only_0_or_100_percent_when_it_is(value: object, shown: str) -> None:
    assert values.share(value).replace("\u202f", " ") == shown


def test_a_cosine_of_0_99999_is_shown_by_what_it_lacks() -> None:
    run = runs.diverging_run()
    run["comparison"]["layers"][26]["metrics"]["one_minus_cosine"] = 1 - 0.99999
    row = tables(run)["layers"][26]
    assert values.scientific(row["one_minus_cosine"]) == "1.0e-5"


@pytest.mark.parametrize(
    ("us", "shown"),
    [
        (412, "412 \u00b5s"),
        (7001.2, "7.00 ms"),
        (1.25e6, "1.25 s"),
        (0.5, "0.500 \u00b5s"),
        (0, "0 \u00b5s"),
        ("inf", "\u221e"),
    ],
)
def test_times_carry_the_unit_that_suits_them(us: object, shown: str) -> None:
    assert values.time_us(us).replace("\u202f", " ") == shown


@pytest.mark.parametrize(
    ("n", "shown"), [(6291, "6,291 bytes"), (6_291_456, "6.29 MB"), (614_400, "614 kB"), (None, "\u2013")]
)
def test_sizes_are_exact_while_they_are_short(n: object, shown: str) -> None:
    assert values.size(n).replace("\u202f", " ") == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\nb", "a\\nb"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\ud800", "\\ud800"),
        ("\u5377\u79ef", "\u5377\u79ef"),
        ("/model.4/cv2/Conv", "/model.4/cv2/Conv"),
    ],
)
def test_characters_that_hide_are_shown_as_escapes(name: str, shown: str) -> None:
    assert values.visible(name) == shown


def test_a_long_name_says_how_long_it_was() -> None:
    shown = values.shortened("n" * 5000)
    assert len(shown) < 300
    assert "(5,000 characters)" in shown


def test_booleans_and_words_are_not_numbers() -> None:
    assert values.number(True) is None
    assert values.number("12") is None
    assert math.isnan(values.number("nan") or 0.0)


def test_an_integer_beyond_every_float_does_not_stop_a_report() -> None:
    assert values.plain(10**400) == "\u221e"
    assert values.time_us(-(10**400)) == "-\u221e"
