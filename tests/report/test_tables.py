"""The tables of a report, from run.json dictionaries alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from harness.records import Layer
from harness.report.tables.checks import disagreements
from harness.report.tables.layers import STANDINGS, standing
from harness.report.write import as_json
from tests.records.kit import tables
from tests.support import fixtures_run as runs

# ------------------------------------------------------------------ layers


def test_every_layer_is_a_row_in_execution_order() -> None:
    rows = tables(runs.diverging_run())["layers"]
    assert [row["index"] for row in rows] == list(range(64))
    assert rows[26] | {"md5": None, "alone": None} == {
        "position": 26,
        "index": 26,
        "name": "/model.4/cv2/Conv_output_0",
        "op": "/model.4/cv2/Conv",
        "op_kind": "Conv",
        "unit": "BPU",
        "dtype": "s8",
        "shape": [1, 80, 80, 16],
        "size_bytes": 102_400,
        "is_output": False,
        "standing": "origin",
        "verdict": "differs",
        "reason": "conv: 0 steps allowed",
        "note": "",
        "match": "rule",
        "board_file": "debug/layer-26-Conv.bin",
        "hashed": "",
        "elements": 6400,
        "mismatched": 80,
        "max_step": 127.0,
        "mean_step": -0.31,
        "relative_l2": pytest.approx(0.10593, abs=1e-4),
        "sqnr_db": 19.5,
        "max_abs": 2.54,
        "max_abs_over_range": 0.498,
        "one_minus_cosine": pytest.approx(0.00561, abs=1e-4),
        "max_ulp": None,
        "finite_only": False,
        "nan_board": 0,
        "nan_reference": 0,
        "inf_board": 0,
        "inf_reference": 0,
        "saturated_share_board": 0.001,
        "saturated_share_reference": 0.001,
        "zero_share_board": 0.0141,
        "zero_share_reference": 0.0017,
        "mismatch_share": 0.0125,
        "md5": None,
        "alone": None,
    }


def test_the_isolated_error_and_both_pairs_of_md5s_are_kept() -> None:
    row = tables(runs.diverging_run())["layers"][26]
    assert row["alone"]["max_step"] == 127.0
    assert row["md5"]["valid_board"] != row["md5"]["valid_reference"]
    assert all(len(value) == 32 for value in row["md5"].values())


def test_counts_name_every_standing_and_add_up() -> None:
    counts = tables(runs.diverging_run())["counts"]
    assert tuple(counts) == STANDINGS
    assert sum(counts.values()) == 64
    assert (counts["origin"], counts["not_compared"], counts["within"]) == (1, 3, 2)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ({"verdict": "exact", "role": "origin"}, "exact"),
        ({"verdict": "differs", "role": ""}, "differs"),
        ({"verdict": "differs", "role": "cleared"}, "cleared"),
        ({"verdict": "differs", "role": "invented"}, "differs"),
        ({"verdict": "not_compared"}, "not_compared"),
        ({"verdict": "splendid"}, "not_compared"),
        ({}, "not_compared"),
    ],
)
def test_a_standing_is_never_better_than_its_verdict(layer: dict[str, str], expected: str) -> None:
    row = Layer(0, "t", "op", "Conv", layer.get("verdict", ""), role=layer.get("role", ""))
    assert standing(row) == expected


def test_not_compared_rows_keep_their_reason() -> None:
    rows = tables(runs.diverging_run())["layers"]
    assert [(row["index"], row["reason"]) for row in rows if row["standing"] == "not_compared"] == [
        (9, "no_dump"),
        (33, "truncated"),
        (51, "shape_differs"),
    ]


def test_coverage_of_nothing_is_zero_and_not_whole() -> None:
    coverage = tables(runs.not_comparable_run())["coverage"]
    assert (coverage["layers_compared"], coverage["layers_share"], coverage["whole"]) == (0, 0.0, False)


# ------------------------------------------------------------------ origins


def test_an_origin_comes_with_its_neighbours_in_the_graph() -> None:
    (origin,) = tables(runs.diverging_run())["origins"]
    around = origin["neighbours"]
    assert [node["name"] for node in around["inputs"]] == ["/model.4/act/Lut"]
    assert [(node["name"], node["standing"]) for node in around["consumers"]] == [("/model.4/act2/Lut", "propagated")]


def test_an_input_of_the_network_is_a_neighbour_too() -> None:
    run = runs.diverging_run(origin=0)
    (origin,) = tables(run)["origins"]
    assert origin["neighbours"]["inputs"][0]["kind"] == "network input"


def test_without_a_graph_there_are_no_neighbours() -> None:
    assert [origin["neighbours"] for origin in tables(runs.interval_run())["origins"]] == [None, None]


def test_an_interval_names_the_ops_that_were_not_seen() -> None:
    first, second = tables(runs.interval_run())["origins"]
    assert first["unseen"] == ["/model.4/act/Lut"]
    assert second["how"] == "sequence"


# ------------------------------------------------------------------ time


def test_parts_of_the_time_add_up_to_end_to_end() -> None:
    time = tables(runs.diverging_run())["time"]
    assert sum(part["time_us"] for part in time["split"]) == pytest.approx(7001.2, abs=0.1)
    assert [part["part"] for part in time["split"]] == ["BPU", "CPU", "quantize", "layout", "other", "unattributed"]


def test_ops_are_sorted_by_time_and_carry_their_share() -> None:
    ops = tables(runs.diverging_run())["time"]["ops"]
    assert [op["mean_us"] for op in ops] == sorted((op["mean_us"] for op in ops), reverse=True)
    assert sum(op["share"] for op in ops) == pytest.approx(1.0)


def test_what_no_clock_measured_is_estimated_wherever_it_is_shown() -> None:
    data = tables(runs.diverging_run())
    assert {fact["flag"] for fact in data["facts"]} >= {"emulated", "estimated"}
    marked = {number["label"]: number["estimated"] for number in data["numbers"]}
    assert marked["end to end, mean"] and marked["BPU"]
    assert not marked["CPU"]


def test_a_real_board_is_not_called_emulated() -> None:
    data = tables(runs.unordered_profile_run())
    assert {fact["flag"] for fact in data["facts"]} == {""}


def test_segments_start_where_the_one_before_ended() -> None:
    segments = tables(runs.diverging_run())["time"]["segments"]
    assert [round(row["start_us"], 1) for row in segments] == [0.0, 118.0, 2428.4, 4059.5, 5839.5]


def test_no_profile_is_no_time_table() -> None:
    data = tables(runs.no_profile_run())
    assert data["time"] is None
    assert data["numbers"] == []


def test_findings_come_worst_first() -> None:
    run = runs.diverging_run()
    run["findings"].reverse()
    assert [row["severity"] for row in tables(run)["findings"]] == ["error", "warning"]


def test_a_command_can_be_typed_again() -> None:
    command = tables(runs.diverging_run())["modes"][0]["command"]
    assert "'--model_file=yolo n.bin'" in command


def test_problems_of_every_part_are_listed_once() -> None:
    run = runs.consistent_run()
    run["problems"] = ["slow link", "odd"]
    run["model_info"]["warnings"] = ["odd"]
    run["profile"]["latency"]["problems"] = ["min is above mean"]
    assert tables(run)["problems"] == ["slow link", "odd", "min is above mean"]


# ------------------------------------------------------------------ every run, damaged runs


@pytest.mark.parametrize("name", runs.ALL)
def test_tables_of_every_run_are_plain_json_and_do_not_change_the_run(name: str) -> None:
    run = runs.ALL[name]()
    before = json.dumps(run)
    text = as_json(tables(run))
    assert json.dumps(run) == before
    assert json.loads(text)["format"] == 2


@pytest.mark.parametrize("name", runs.ALL)
def test_tables_are_the_same_after_a_trip_through_a_file(name: str) -> None:
    run = runs.ALL[name]()
    assert tables(json.loads(json.dumps(run))) == tables(run)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"comparison": []}, "comparison is not an object: a list of 0"),
        ({"comparison": {"layers": {}}}, "comparison.layers is not a list: an object of 0"),
        ({"comparison": {"layers": [1]}}, "comparison.layers[0] is not an object: 1"),
        ({"board": "x5"}, "board is not an object: 'x5'"),
        ({"modes": "release"}, "modes is not a list: 'release'"),
        ({"profile": {"ops": [[]]}}, "profile.ops[0] is not an object: a list of 0"),
        ({"telemetry": {"samples": 3}}, "telemetry.samples is not a list: 3"),
        ({"case": {"model": "model.bin"}}, "case.model is not an object: 'model.bin'"),
        (
            {"verdict": {"word": "consistent", "detail": "", "exit_code": "0"}},
            "verdict.exit_code is not a whole number",
        ),
        ({"modes": [{"mode": "debug", "failure": 1}]}, "modes[0].failure is not an object: 1"),
    ],
)
def test_a_part_of_the_wrong_shape_is_named_and_the_run_is_not_called_good(
    change: dict[str, object], named: str
) -> None:
    data = tables(runs.consistent_run() | change)
    assert any(problem.startswith(f"run.json: {named}") for problem in data["problems"]), data["problems"]
    assert data["headline"]["tone"] == "none" and "run.json is damaged" in data["headline"]["sentences"][0]


def test_a_mode_whose_failure_cannot_be_read_is_not_shown_as_one_that_worked() -> None:
    (mode,) = tables(runs.consistent_run() | {"modes": [{"mode": "debug", "failure": 1}]})["modes"]
    assert mode["failure"]["kind"] == "damaged"


def test_an_almost_empty_run_still_has_tables() -> None:
    assert tables({"format": 1})["headline"]["tone"] == "stop"


# ------------------------------------------------------------------ around the comparison


def test_checks_that_failed_make_the_layers_doubtful() -> None:
    checks = tables(runs.diverging_run())["comparison"]["checks"]
    assert [row["good"] for row in checks["sentences"]] == [True, False, False]
    (sentence,) = disagreements(checks)
    assert sentence.startswith("repeats of debug: ")
    assert sentence.endswith("first difference at /model.5/cv1/Conv_output_0")


def test_the_noisiest_layers_come_first() -> None:
    rows = tables(runs.diverging_run())["comparison"]["checks"]["three_way"]
    assert [row["index"] for row in rows["layers"][:3]] == [29, 28, 27]
    assert rows["counts"] == {"fine": 4, "note": 16, "look": 10}


def test_checks_of_an_unknown_kind_are_kept() -> None:
    run = runs.diverging_run()
    run["comparison"]["extras"]["weather"] = {"sky": "clear"}
    assert tables(run)["comparison"]["checks"]["other"] == {"weather": {"sky": "clear"}}


def test_rows_beyond_the_layers_of_the_coverage_are_counted_apart() -> None:
    run = runs.diverging_run()
    run["comparison"]["coverage"]["layers_total"] = 60
    sentence = tables(run)["headline"]["sentences"][-1]
    assert "Of 64 rows: 1 origin" in sentence


def test_waits_are_shown_and_never_summed() -> None:
    run = runs.diverging_run()
    before = tables(run)["time"]["ops_sum_us"]
    run["profile"]["ops"].append({"name": "task", "kind": "wait", "unit": "BPU", "category": "wait", "mean_us": 9999.0})
    time = tables(run)["time"]
    assert time["ops_sum_us"] == before
    assert (time["ops"][-1]["name"], time["ops"][-1]["share"]) == ("task", None)


def test_every_table_that_a_script_sorts_has_its_tools() -> None:
    """Without them the script of the whole page ends where it comes to the table."""
    for file in Path("templates/report").glob("*.html.j2"):
        text = file.read_text(encoding="utf-8").replace("{{ id }}", "id")
        sorted_ones = re.findall(r'<table[^>]*id="([\w-]+)"[^>]*data-rows', text)
        tooled = re.findall(r'm\.tools\("?([\w-]+)"?,', text)
        assert sorted(sorted_ones) == sorted(tooled), file.name
