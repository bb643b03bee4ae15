"""The origin from near, frames and bands, as drawings: fixed scales, and nothing of what is damaged."""

from __future__ import annotations

from typing import Any

import pytest

from harness.report.drawings.frames import band_drawing, spread_drawing, with_blocks
from harness.report.drawings.near import near_drawing, profile_drawings
from harness.report.tables.times import spread
from tests.records.kit import render
from tests.support import fixtures_run as runs


def near(difference: list[list[Any]], **more: Any) -> dict[str, Any]:
    sides = [[0.0] * len(row) for row in difference]
    known = {"where": "C 4", "axes": ["H", "W"], "rows": 2, "columns": 4, "unit": "steps", "low": -10.0, "high": 10.0}
    return {**known, "reference": sides, "board": sides, "difference": difference, **more}


def test_levels_are_fixed_in_steps_and_signed() -> None:
    drawn = near_drawing(near([[0, 1, -1, 4], [5, -16, 17, None]]))
    assert drawn is not None and drawn["bounds"] == ["1", "4", "16"] and drawn["most"] == "17"
    paths = {one["level"]: one["d"] for one in drawn["panes"][2]["paths"]}
    assert paths == {
        "m1": "M2 0h1v1h-1z", "m3": "M1 1h1v1h-1z", "p1": "M1 0h1v1h-1z", "p2": "M3 0h1v1h-1z",
        "p3": "M0 1h1v1h-1z", "p4": "M2 1h1v1h-1z", "x": "M3 1h1v1h-1z",
    }  # fmt: skip


def test_of_values_without_steps_a_level_is_a_part_of_the_range() -> None:
    drawn = near_drawing(near([[0.003, 0.03]], unit="value", low=0.0, high=0.255))
    assert drawn is not None
    assert [one["level"] for one in drawn["panes"][2]["paths"]] == ["p2", "p4"]


@pytest.mark.parametrize("damage", [None, [], [[]], "x", [[1, 2], [3]], [[0.0] * 65]])
def test_a_damaged_map_is_not_drawn(damage: Any) -> None:
    assert near_drawing(near([[1.0, 2.0]], board=damage)) is None


def test_axes_share_one_scale() -> None:
    axes = [
        {"axis": "C", "length": 2, "shares": [0.0, 0.5], "worst": [{"index": 1, "mismatched": 5, "elements": 10}]},
        {"axis": "H", "length": 2, "shares": [0.25, "nan"], "worst": []},
    ]
    first, second = profile_drawings(axes)
    assert (first["bars"], second["bars"]) == ("M1 64v-60.0h1V64z", "M0 64v-30.0h1V64z")
    assert first["worst"].startswith("1 (50")
    assert profile_drawings(None) == [] == profile_drawings([axes[1] | {"shares": [0.0]}])


def test_frames_and_the_band_of_an_estimate_are_drawn() -> None:
    known = spread([100.0, 110.0, *[105.0] * 8, "nan"])
    assert known is not None and sum(known["counts"]) == 10 and spread([1.0] * 20) is None and spread([1, 2]) is None
    time = {"spread": known, "distribution": {"median_us": 105.0}, "latency": {"mean_us": 105.0}, "band_us": None}
    drawn = spread_drawing(time)
    assert drawn is not None and drawn["median_x"] == 50.0 and drawn["most"] == 8
    assert band_drawing(time) is None and band_drawing(None) is None
    band = band_drawing(time | {"band_us": {"low_us": 50.0, "high_us": 200.0}})
    assert band is not None and band["x"] < band["at"] < band["x"] + band["w"] < 100


def test_modules_inside_a_subgraph_share_its_row_by_the_compilers_estimate() -> None:
    fall = {"rows": [{"name": "sub", "x": 10.0, "w": 40.0}, {"name": "cpu", "x": 50.0, "w": 5.0}]}
    blocks = [{"name": n, "total_us": t, "compute_us": 0.0, "load_store_us": 0.0} for n, t in (("a", 1.0), ("b", 3.0))]
    drawn = with_blocks(fall, {"segments": [{"name": "sub", "blocks": blocks}]})
    assert drawn is not None
    assert [(b["x"], b["w"]) for b in drawn["rows"][0]["blocks"]] == [(10.0, 10.0), (20.0, 30.0)]
    assert drawn["rows"][1]["blocks"] == [] and with_blocks(None, None) is None


def test_an_op_whose_inputs_are_all_equal_is_its_own_error() -> None:
    page = render(runs.diverging_run())
    assert "All that it read is equal (1 tensor, in every element), so this is its own error." in page


@pytest.mark.parametrize("is_described", [True, False])
def test_the_op_on_both_sides_says_what_the_build_tells_and_what_nobody_does(is_described: bool) -> None:
    run = runs.diverging_run()
    (origin,) = run["comparison"]["origins"]
    picture = run["comparison"]["pictures"].setdefault(origin["tensor"], {})
    picture["sides"] = [{"name": "strides", "reference": "2, 2", "board": ""}]
    node = next(row for row in run["plan"]["rows"] if row["name"] == origin["op"])
    node["dtype"] = "int4711"
    if not is_described:
        run["plan"]["rows"].remove(node)
    page = " ".join(render(run).split())
    row = '<tr><th scope="row">built in</th><td>\u2013</td><td>int4711</td></tr>'
    assert (row in page) is is_described
    assert ("No file of a build was given that describes the op" in page) is not is_described
    assert "its attributes in the compiled file are not known" in page
