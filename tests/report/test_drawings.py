"""Drawings of a report, as figures in percent and pixels."""

from __future__ import annotations

import pytest

from harness.records.codec import to_json
from harness.report.drawings import drawings
from harness.report.drawings.flags import strip_marks
from tests.records.kit import tables
from tests.support import fixtures_run as runs
from tests.support.fixtures_layers import error_map

# ------------------------------------------------------------------ drawings


def test_the_strip_has_a_column_per_layer_and_a_lane_per_standing() -> None:
    strip = drawings.strip(tables(runs.diverging_run())["layers"])
    assert strip is not None
    assert len(strip["columns"]) == 64
    assert [lane["standing"] for lane in strip["lanes"]] == ["origin", "propagated", "not_compared", "within", "exact"]
    assert "SQNR 19.5 dB" in strip["columns"][26]["label"]


def test_columns_of_a_large_network_show_every_standing_they_hold() -> None:
    layers = tables(runs.large_run(1000))["layers"]
    strip = drawings.strip(layers)
    assert strip is not None
    assert len(strip["columns"]) <= drawings.MOST_COLUMNS
    mixed = strip["columns"][500 // strip["per_column"]]
    assert mixed["standing"] == "origin"
    assert {cell["standing"] for cell in mixed["cells"]} >= {"origin", "propagated"}


def test_a_point_of_a_shared_column_has_the_standing_of_its_lowest_sqnr() -> None:
    layers = tables(runs.large_run(1000))["layers"]
    strip = drawings.strip(layers)
    assert strip is not None
    shared = strip["columns"][9 // strip["per_column"]]  # layer 7 is within, layer 9 is not compared
    assert (shared["standing"], shared["pointed"]) == ("not_compared", "within")


def test_sqnr_is_found_from_relative_l2_where_only_that_is_known() -> None:
    assert drawings.sqnr_of({"finite_only": False, "sqnr_db": None, "relative_l2": 0.01}) == pytest.approx(40.0)
    assert drawings.sqnr_of({"finite_only": False, "sqnr_db": None, "relative_l2": 0.0}) is None


def test_equal_cells_of_an_error_map_become_one_rectangle() -> None:
    drawn = drawings.error_map(to_json(error_map()))
    assert drawn is not None
    assert drawn["runs"] == [{"x": 63, "y": 0, "w": 1, "h": 20, "level": 3}]
    assert drawn["say"] == "differences at every H and W 78 to 79 of 80"


@pytest.mark.parametrize("picture", [None, 3, {}, {"values": []}, {"values": [[1], [1, 2]]}, {"values": [["x"] * 200]}])
def test_what_is_no_picture_is_not_drawn(picture: object) -> None:
    assert drawings.error_map(picture) is None


def test_a_histogram_keeps_every_count_and_zero_alone() -> None:
    pairs = [[-127, 10], [-3, 2], [0, 900], [1, 5], [127, 1]]
    drawn = drawings.histogram(pairs)
    assert drawn is not None
    assert sum(bar["count"] for bar in drawn["bars"]) == 918
    assert [bar["count"] for bar in drawn["bars"] if bar["zero"]] == [900]


def test_a_waterfall_of_many_segments_says_what_it_left_out() -> None:
    run = runs.diverging_run()
    run["profile"]["segments"] = [
        {"unit": "BPU", "name": f"s{n}", "ops": [f"o{n}"], "time_us": 1.0 + n} for n in range(100)
    ]
    drawn = drawings.waterfall(tables(run)["time"])
    assert drawn is not None
    assert (len(drawn["rows"]), drawn["left_out"]) == (60, 40)
    assert drawn["left_out_us"] == pytest.approx(sum(1.0 + n for n in range(40)))


@pytest.mark.parametrize("end", [0.7, 7.0, 118.0, 7001.2, 1e7])
def test_an_axis_has_a_few_round_ticks(end: float) -> None:
    drawn = drawings.ticks(end)
    assert 4 <= len(drawn) <= 9
    assert drawn[0]["value"] == 0
    assert drawn[-1]["value"] <= end


def test_telemetry_draws_a_line_per_thing_sensed() -> None:
    drawn = drawings.telemetry(tables(runs.diverging_run())["telemetry"])
    assert [(line["name"], line["unit"]) for line in drawn] == [
        ("cpu", "\u00b0C"),
        ("bpu", "\u00b0C"),
        ("bpu0", "MHz"),
        ("bpu0", "% load"),
    ]
    assert (drawn[2]["first"], drawn[2]["last"], drawn[2]["seconds"]) == (1000.0, 800.0, 8.0)


def test_flags_that_are_close_share_a_label() -> None:
    def labels(*places: int) -> list[str]:
        strip = {"per_column": 1, "columns": [{"middle": float(place)} for place in range(100)]}
        origins = [{"layer": {"position": place}, "op": "o", "certain": True} for place in places]
        return [mark["label"] for mark in strip_marks(strip, origins)]

    assert labels(40) == ["origin"]
    assert labels(10, 30) == ["1", "2"]
    assert labels(10, 12, 60) == ["1 2", "", "3"]
    assert labels(12, 10) == ["", "2 1"]
    assert labels(60, 80) == ["1 2", ""]
