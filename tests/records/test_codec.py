"""Records to JSON and back: what comes back is what was written, and what is damaged costs nothing but itself."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.records import Failure, Finding, Json, Layer, LeftFile, Metrics, ModeOfRun, Run
from harness.records.codec import MOST_TOLD, from_json, to_json
from harness.records.slots import stored
from tests.records.kit import typed
from tests.support import fixtures_run as runs


@dataclass(frozen=True)
class Inner:
    word: str
    figure: float
    count: int = 7


@dataclass(frozen=True)
class Outer:
    """One of every kind of field."""

    inner: Inner
    rows: tuple[Inner, ...] = ()
    by_name: Mapping[str, int] = field(default_factory=dict)
    pair: tuple[int, str] = (0, "")
    core: int | str = 0
    ratio: float | None = None
    size_bytes: int = field(default=0, metadata=stored(key="bytes"))
    options: Mapping[str, Json] = field(default_factory=dict)
    seldom: str = field(default="", metadata=stored(optional=True))
    guarded: bool = field(default=False, metadata=stored(damaged=True))
    rest: Mapping[str, Json] = field(default_factory=dict, metadata=stored(rest=True))


WHOLE: dict[str, Any] = {
    "inner": {"word": "a", "figure": 1.5, "count": 2},
    "rows": [{"word": "b", "figure": 2, "count": 3}],
    "by_name": {"x": 1},
    "pair": [1, "y"],
    "core": "bpu",
    "ratio": "inf",
    "bytes": 9,
    "options": {"deep": [{"er": None}]},
    "guarded": False,
    "weather": "clear",
}


def damage_of(value: Any, kind: Any = Outer) -> tuple[str, ...]:
    read = from_json(kind, value)
    assert read is not None
    return read.damage


def test_a_record_comes_back_as_it_was_written() -> None:
    read = from_json(Outer, WHOLE)
    assert read is not None and read.damage == read.unknown == ()
    assert read.value.ratio == math.inf and read.value.size_bytes == 9 and read.value.rest == {"weather": "clear"}
    assert to_json(read.value) == WHOLE, "keys of their own, none where a default needs none, NaN and its like as words"


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("rows", {}, "rows is not a list: an object of 0"),
        ("rows", [{"word": 3, "figure": 1.0}], "rows[0].word is not text: 3"),
        ("rows", [{"word": "b", "figure": 1.0, "count": True}], "rows[0].count is not a whole number: true"),
        ("rows", ["row"], "rows[0] is not an object: 'row'"),
        ("by_name", {"x": 1.5}, "by_name.x is not a whole number: 1.5"),
        ("pair", [1], "pair is not a list of 2: a list of 1"),
        ("core", None, ""),
        ("core", [], "core is not int or str: a list of 0"),
        ("ratio", "large", "ratio is not a number: 'large'"),
        ("ratio", 10**400, "ratio is not a number: a number of too many digits"),
        ("bytes", 2**63, "bytes is not a whole number: a number of too many digits"),
        ("guarded", "no", "guarded is not true or false: 'no'"),
    ],
)
def test_what_is_damaged_is_named_and_takes_its_default(part: str, value: Any, message: str) -> None:
    assert damage_of(WHOLE | {part: value}) == ((message,) if message else ())


def test_what_a_damaged_value_is_taken_for_can_be_the_cautious_one() -> None:
    read = from_json(Outer, WHOLE | {"guarded": 0})
    assert read is not None and read.value.guarded is True


def test_a_record_without_what_makes_it_one_is_left_out_and_a_figure_that_is_lost_is_no_number() -> None:
    read = from_json(Outer, WHOLE | {"inner": {"word": "a"}})
    assert read is not None and math.isnan(read.value.inner.figure) and read.damage == ("inner.figure is missing",)
    assert from_json(Outer, {k: v for k, v in WHOLE.items() if k != "inner"}) is None
    metrics = typed({"comparison": {"layers": [{"index": 0, "metrics": {"elements": 3}}]}}).comparison
    assert metrics is not None and metrics.layers[0].metrics is None, "not compared is never equal"


def test_verdicts_and_failures_that_are_lost_are_never_good() -> None:
    layer, mode = from_json(Layer, {"index": 0, "name": "t"}), from_json(ModeOfRun, {"mode": "debug", "failure": 3})
    assert layer is not None and layer.value.verdict == "not_compared"
    assert mode is not None and isinstance(mode.value.failure, Failure)


def test_an_old_key_is_read_as_the_new_one() -> None:
    old = {key if key != "core" else "kernel": value for key, value in WHOLE.items()}
    read = from_json(Outer, old, {"Outer": {"kernel": "core"}})
    assert read is not None and read.value.core == "bpu" and read.value.rest == {"weather": "clear"}
    both = from_json(Outer, WHOLE | {"kernel": 1}, {"Outer": {"kernel": "core"}})
    assert both is not None and both.value.core == "bpu"


def test_a_key_that_is_not_known_is_named_and_left_out() -> None:
    read = from_json(Run, {"weather": 1, "case": {"name": "c", "moon": 2}})
    assert read is not None and set(read.unknown) == {"weather", "case.moon"} and read.damage == ()


def test_many_damages_are_counted() -> None:
    messages = damage_of({"findings": [7] * 400}, Run)
    assert len(messages) == MOST_TOLD + 1 and messages[-1] == "and 350 more damaged parts"


def test_depth_that_would_end_python_is_damage() -> None:
    deep: Any = 0
    for _ in range(5000):
        deep = [deep]
    (message,) = damage_of(WHOLE | {"options": {"x": deep}})
    assert message.startswith("options.x is not at most 60 levels deep")
    assert len(json.dumps(to_json(typed(Run())))) > 0


def test_a_name_of_a_megabyte_makes_no_sentence_of_a_megabyte() -> None:
    (message,) = damage_of(WHOLE | {"by_name": {"n" * 10**6: "v" * 10**6}})
    assert len(message) < 400


@pytest.mark.parametrize("name", [name for name in runs.ALL if name != "large"])
def test_every_example_of_the_tests_is_whole(name: str) -> None:
    run = typed(runs.ALL[name]())
    assert (run.damage, run.unknown) == ((), ())
    again = typed(json.loads(json.dumps(to_json(run), allow_nan=False)))
    assert repr(again) == repr(run)  # a record with NaN is not equal to itself from Python 3.13 on


def test_figures_without_a_word_in_json_survive() -> None:
    read = from_json(Metrics, to_json(Metrics(3, 1, relative_l2=math.inf, sqnr_db=-math.inf)))
    assert read is not None and (read.value.relative_l2, read.value.sqnr_db) == (math.inf, -math.inf)


JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)
KEYS = st.sampled_from([*to_json(Run()), "previous", "graph"])


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(KEYS, JUNK, max_size=6))
def test_any_object_is_a_run_and_what_is_wrong_with_it_is_said(value: dict[str, Any]) -> None:
    read = from_json(Run, value)
    assert read is not None
    again = from_json(Run, json.loads(json.dumps(to_json(read.value), allow_nan=False)))
    assert again is not None and again.damage == ()


def test_findings_are_never_made_up() -> None:
    whole = to_json(Finding("C-100", "error", "t", "e", "a"))
    assert len(typed({"findings": [whole, {**whole, "rule": 3}, 4]}).findings) == 2


def test_words_of_an_older_harness_are_read_as_those_of_today() -> None:
    file = from_json(LeftFile, {"name": "a", "bytes": 1, "md5": "", "file": "a", "came": "hashed"})
    layer = from_json(Layer, {"index": 0, "name": "a", "verdict": "not_compared", "reason": "lost"})
    assert file is not None and (file.value.obtained, file.damage, file.unknown) == ("verified_on_board", (), ())
    assert layer is not None and layer.value.reason == "missing"
