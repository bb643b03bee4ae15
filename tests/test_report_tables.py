"""The tables of a report, from run.json dictionaries alone."""

from __future__ import annotations

import json
import math

import pytest

from harness.errors import InputError
from harness.report import drawings, headline, values
from harness.report.checks import disagreements
from harness.report.layer_tables import STANDINGS, standing
from harness.report.markdown import code, markdown, prose
from harness.report.summary import lines
from harness.report.tables import tables
from harness.report.write import as_json
from tests import fixtures_run as runs

# ------------------------------------------------------------------ figures


@pytest.mark.parametrize(
    ("told", "shown"),
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
def test_a_share_is_only_0_or_100_percent_when_it_is(told: object, shown: str) -> None:
    assert values.share(told).replace("\u202f", " ") == shown


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


# ------------------------------------------------------------------ headline


@pytest.mark.parametrize(
    ("name", "tone", "title"),
    [
        ("consistent", "good", "Consistent"),
        ("partly compared", "part", "Consistent, in what was compared"),
        ("diverging", "bad", "Diverges at /model.4/cv2/Conv"),
        ("interval", "bad", "Diverges somewhere up to /model.4/cv2/Conv"),
        ("accumulated", "good", "Consistent: ties grew, no op is wrong"),
        ("not comparable", "none", "Not comparable"),
        ("not compared", "none", "Measured, not compared"),
        ("failed", "stop", "Failed at debug"),
        ("interrupted", "stop", "Interrupted at profile"),
    ],
)
def test_the_headline_says_the_verdict_in_words(name: str, tone: str, title: str) -> None:
    head = tables(runs.ALL[name]())["headline"]
    assert head["tone"] == tone
    assert " ".join(part for part in (head["title"], head["subject"]) if part) == title


def test_the_headline_names_kind_of_fault_evidence_and_coverage() -> None:
    said = " ".join(tables(runs.diverging_run())["headline"]["sentences"]).replace("\u202f", " ")
    assert "Zeroed region: 1 of 80 columns differs" in said
    assert "61 of 64 layers compared, 95.3 % of bytes: 1 origin, 21 propagated, 3 not compared" in said


def test_an_uncertain_fingerprint_is_said_to_look_like_it() -> None:
    print_ = {"kind": "stale_cache", "certain": False, "evidence": "64 bytes at 0x40"}
    assert headline.fault_sentence(print_) == "Looks like stale cache: 64 bytes at 0x40."


def test_without_a_graph_the_headline_says_that_it_is_file_order() -> None:
    run = runs.diverging_run()
    run["comparison"]["origins"][0]["how"] = "sequence"
    assert "file order" in tables(run)["headline"]["title"]


def test_a_suspect_is_not_called_an_origin() -> None:
    run = runs.diverging_run()
    run["comparison"]["origins"][0]["certain"] = False
    assert tables(run)["headline"]["title"] == "Diverges, suspected at"


def test_a_run_whose_process_was_killed_is_never_good() -> None:
    run = runs.consistent_run()
    run["state"] = "running"
    assert tables(run)["headline"]["tone"] == "stop"


def test_a_word_of_a_later_version_is_never_good() -> None:
    run = runs.consistent_run()
    run["verdict"]["word"] = "splendid"
    assert tables(run)["headline"]["tone"] == "none"


# ------------------------------------------------------------------ layers


def test_every_layer_is_a_row_in_execution_order() -> None:
    found = tables(runs.diverging_run())["layers"]
    assert [row["index"] for row in found] == list(range(64))
    assert found[26] | {"md5": None, "alone": None} == {
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
    found = tables(runs.diverging_run())["counts"]
    assert tuple(found) == STANDINGS
    assert sum(found.values()) == 64
    assert (found["origin"], found["not_compared"], found["within"]) == (1, 3, 2)


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
    assert standing(layer) == expected


def test_not_compared_rows_keep_their_reason() -> None:
    found = tables(runs.diverging_run())["layers"]
    assert [(row["index"], row["reason"]) for row in found if row["standing"] == "not_compared"] == [
        (9, "no_dump"),
        (33, "truncated"),
        (51, "shape_differs"),
    ]


def test_coverage_of_nothing_is_zero_and_not_whole() -> None:
    found = tables(runs.not_comparable_run())["coverage"]
    assert (found["layers_compared"], found["layers_share"], found["whole"]) == (0, 0.0, False)


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
    run["problems"] = [{"message": "slow link", "hint": "try a cable"}, "odd"]
    run["model_info"]["warnings"] = ["odd"]
    run["profile"]["latency"]["problems"] = ["min is above mean"]
    assert tables(run)["problems"] == ["message: slow link; hint: try a cable", "odd", "min is above mean"]


# ------------------------------------------------------------------ every run, damaged runs


@pytest.mark.parametrize("name", runs.ALL)
def test_tables_of_every_run_are_plain_json_and_do_not_change_the_run(name: str) -> None:
    run = runs.ALL[name]()
    before = json.dumps(run)
    text = as_json(tables(run))
    assert json.dumps(run) == before
    assert json.loads(text)["format"] == 1


@pytest.mark.parametrize("name", runs.ALL)
def test_tables_are_the_same_after_a_trip_through_a_file(name: str) -> None:
    run = runs.ALL[name]()
    assert tables(json.loads(json.dumps(run))) == tables(run)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"comparison": []}, "run.comparison"),
        ({"comparison": {"layers": {}}}, "layers"),
        ({"comparison": {"layers": [1]}}, "layers[0]"),
        ({"board": "x5"}, "run.board"),
        ({"modes": "release"}, "modes"),
        ({"profile": {"ops": [[]]}}, "ops[0]"),
        ({"telemetry": {"samples": 3}}, "samples"),
        ({"case": {"model": "model.bin"}}, "run.model"),
    ],
)
def test_a_part_of_the_wrong_shape_is_named(change: dict[str, object], named: str) -> None:
    with pytest.raises(InputError, match=r"run\.json") as caught:
        tables(runs.consistent_run() | change)
    assert named in caught.value.message


def test_an_almost_empty_run_still_has_tables() -> None:
    assert tables({"format": 1})["headline"]["tone"] == "stop"


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
    found = drawings.error_map(runs.error_map())
    assert found is not None
    assert found["runs"] == [{"x": 63, "y": 0, "w": 1, "h": 20, "level": 4}]
    assert found["say"] == "differences at every H and W 78 to 79 of 80"


@pytest.mark.parametrize("picture", [None, 3, {}, {"values": []}, {"values": [[1], [1, 2]]}, {"values": [["x"] * 200]}])
def test_what_is_no_picture_is_not_drawn(picture: object) -> None:
    assert drawings.error_map(picture) is None


def test_a_histogram_keeps_every_count_and_zero_alone() -> None:
    pairs = [[-127, 10], [-3, 2], [0, 900], [1, 5], [127, 1]]
    found = drawings.histogram(pairs)
    assert found is not None
    assert sum(bar["count"] for bar in found["bars"]) == 918
    assert [bar["count"] for bar in found["bars"] if bar["zero"]] == [900]


def test_a_waterfall_of_many_segments_says_what_it_left_out() -> None:
    run = runs.diverging_run()
    run["profile"]["segments"] = [
        {"unit": "BPU", "name": f"s{n}", "ops": [f"o{n}"], "time_us": 1.0 + n} for n in range(100)
    ]
    found = drawings.waterfall(tables(run)["time"])
    assert found is not None
    assert (len(found["rows"]), found["left_out"]) == (60, 40)
    assert found["left_out_us"] == pytest.approx(sum(1.0 + n for n in range(40)))


@pytest.mark.parametrize("end", [0.7, 7.0, 118.0, 7001.2, 1e7])
def test_an_axis_has_a_few_round_ticks(end: float) -> None:
    found = drawings.ticks(end)
    assert 4 <= len(found) <= 9
    assert found[0]["value"] == 0
    assert found[-1]["value"] <= end


def test_telemetry_draws_a_line_per_thing_sensed() -> None:
    found = drawings.telemetry(tables(runs.diverging_run())["telemetry"])
    assert [(line["name"], line["unit"]) for line in found] == [
        ("cpu", "\u00b0C"),
        ("bpu", "\u00b0C"),
        ("bpu0", "MHz"),
        ("bpu0", "% load"),
    ]
    assert (found[2]["first"], found[2]["last"], found[2]["seconds"]) == (1000.0, 800.0, 8.0)


# ------------------------------------------------------------------ terminal and ticket


@pytest.mark.parametrize("name", runs.ALL)
def test_the_terminal_summary_is_short_and_starts_with_the_verdict(name: str) -> None:
    found = lines(runs.ALL[name]())
    assert found[0].startswith("verdict   ")
    assert len(found) < 45
    assert not any("\x1b" in line or "\n" in line for line in found)


def test_the_terminal_summary_says_emulated_estimated_and_coverage() -> None:
    found = "\n".join(lines(runs.diverging_run()))
    assert "emulated  no board was measured" in found
    assert (
        "latency   7.00 ms mean, 6.89 ms to 7.72 ms, 141.9 frames per second, 500 frames, 1 thread (estimated)" in found
    )
    assert "layers    61 of 64 layers compared, 95.3 % of bytes" in found


def test_the_ticket_names_the_origin_and_what_is_unknown() -> None:
    found = markdown(tables(runs.diverging_run()))
    assert found.startswith("### Diverges at `/model.4/cv2/Conv`\n")
    assert "| 26 | `/model.4/cv2/Conv_output_0` |" in found
    assert "**EMULATED**" in found
    assert len(found) < 4000


@pytest.mark.parametrize("name", runs.ALL)
def test_a_ticket_stays_short_for_every_run(name: str) -> None:
    assert len(markdown(tables(runs.ALL[name]()))) < 40_000


def test_names_cannot_become_markup_in_a_ticket() -> None:
    assert code("a`b``c") == "```a`b``c```"
    assert code("`") == "`` ` ``"
    assert prose("<script>[x](y) *b* @all #1") == "\\<script\\>\\[x\\](y) \\*b\\* \\@all \\#1"
    assert "<script>" not in markdown(tables(runs.hostile_run())).replace("`<script>window.hurt=1</script>`", "")


# ------------------------------------------------------------------ around the comparison


def test_checks_that_failed_make_the_layers_doubtful() -> None:
    found = tables(runs.diverging_run())["comparison"]["checks"]
    assert [row["good"] for row in found["sentences"]] == [True, False, False]
    (told,) = disagreements(found)
    assert told.startswith("repeats of debug: ")
    assert told.endswith("first at /model.5/cv1/Conv_output_0")


def test_the_noisiest_layers_come_first() -> None:
    found = tables(runs.diverging_run())["comparison"]["checks"]["three_way"]
    assert [row["index"] for row in found["layers"][:3]] == [29, 28, 27]
    assert found["counts"] == {"fine": 4, "note": 16, "look": 10}


def test_checks_of_an_unknown_kind_are_kept() -> None:
    run = runs.diverging_run()
    run["comparison"]["extras"]["weather"] = {"sky": "clear"}
    assert tables(run)["comparison"]["checks"]["other"] == {"weather": {"sky": "clear"}}


def test_rows_beyond_the_layers_of_the_coverage_are_counted_apart() -> None:
    run = runs.diverging_run()
    run["comparison"]["coverage"]["layers_total"] = 60
    said = tables(run)["headline"]["sentences"][-1]
    assert "Of 64 rows: 1 origin" in said


def test_waits_are_shown_and_never_summed() -> None:
    run = runs.diverging_run()
    before = tables(run)["time"]["ops_sum_us"]
    run["profile"]["ops"].append({"name": "task", "kind": "wait", "unit": "BPU", "category": "wait", "mean_us": 9999.0})
    time = tables(run)["time"]
    assert time["ops_sum_us"] == before
    assert (time["ops"][-1]["name"], time["ops"][-1]["share"]) == ("task", None)
