"""Parts of a report besides layers and times: plan, memory, link, steps, waivers, growth, stages, effects."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.consistency.compare import CompareSettings, compare
from harness.consistency.origins.error_propagation import propagation_points as growth_of
from harness.consistency.policy import Waiver, load_policy
from harness.consistency.stages import compare_stages, stage
from harness.diagnosis.plan import is_elsewhere
from harness.records import Verdict
from harness.records.codec import to_json
from harness.report import values
from harness.report.drawings import drawings, error_propagation
from harness.report.tables.layers import level, small
from tests.records.kit import lines, render, tables
from tests.support import fixtures_run as runs

# ------------------------------------------------------------------ figures


@pytest.mark.parametrize(
    ("ratio", "shown"),
    [(1.0, "1"), (1.5, "1.50"), (1.001, "1.001"), (0.9996, "0.9996"), (1 + 1e-9, "> 1.000000"),
     (1 - 1e-9, "< 1.000000"), (12.34, "12.3"), (None, "\u2013"), ("inf", "\u221e")],
)  # fmt: skip
def test_a_ratio_reads_1_only_where_it_is_1(ratio: object, shown: str) -> None:
    assert values.factor(ratio) == shown


@pytest.mark.parametrize(
    ("cosine", "shown"), [(1.0, "1.000000"), (0.999992, "0.999992"), (0.9999999, "0.9999999"), (None, "\u2013")]
)
def test_a_toolchains_cosine_keeps_every_digit_that_it_printed(cosine: object, shown: str) -> None:
    assert values.as_printed(cosine) == shown


# ------------------------------------------------------------------ the plan


def test_nodes_that_ran_elsewhere_come_first_and_the_rest_keeps_its_order() -> None:
    plan = tables(runs.diverging_run())["plan"]
    assert [node["position"] for node in plan["nodes"][:5]] == [3, 8, 0, 1, 2]
    assert (plan["planned"], plan["seen"], plan["moved"]) == (64, 63, 2)


@pytest.mark.parametrize(
    ("planned", "measured", "elsewhere"),
    [("BPU", "CPU", True), ("JIT", "BPU", False), ("", "CPU", False), ("BPU", "", False), ("CPU", "CPU", False)],
)
def test_a_side_that_does_not_tell_is_no_mismatch(planned: str, measured: str, elsewhere: bool) -> None:
    assert is_elsewhere(planned, measured) is elsewhere


def test_both_cosines_are_kept_apart_and_as_they_were_told() -> None:
    node = tables(runs.diverging_run())["plan"]["nodes"][0]
    assert (node["name"], node["toolchain_cosine"]) == ("/model.0/act2/Lut", 0.999992)
    assert node["board_one_minus_cosine"] == 0.0 and node["board_verdict"] == "exact"


def test_a_node_is_shown_with_the_role_that_the_comparison_gave_its_op() -> None:
    nodes = {node["name"]: node for node in tables(runs.diverging_run())["plan"]["nodes"]}
    assert nodes["/model.4/cv2/Conv"]["standing"] == "origin"
    assert nodes["/model.4/cv2/Conv"]["board_verdict"] == "differs"


def test_estimate_and_measurement_meet_as_a_ratio_only_where_both_are_known() -> None:
    segments = tables(runs.diverging_run())["plan"]["segments"]
    assert [segment["ratio"] for segment in segments] == [pytest.approx(1.000996, abs=1e-6), None, None]
    assert [segment["estimated"] for segment in segments] == [True, True, False]
    assert "\u00d7 1.001" in render(runs.diverging_run()).replace("&times;", "\u00d7")


@pytest.mark.slow
def test_two_estimates_side_by_side_are_not_called_a_measurement() -> None:
    assert "no measurement is included" in render(runs.diverging_run())
    run = runs.diverging_run()
    for op in run["profile"]["ops"]:
        op["estimated"] = False
    assert "no measurement is included" not in render(run)


def test_what_the_toolchain_said_comes_worst_first_with_its_meaning() -> None:
    messages = tables(runs.diverging_run())["plan"]["messages"]
    assert [message["severity"] for message in messages] == ["warning", "note"]
    assert messages[0]["meaning"] == "it runs as int8"


def test_problems_of_the_build_files_are_problems_of_the_run() -> None:
    assert "yolo_n_quant_info.json: a row without a name" in tables(runs.diverging_run())["problems"]


def test_without_files_of_a_build_there_is_no_plan() -> None:
    assert tables(runs.consistent_run())["plan"] is None
    assert 'id="plan"' not in render(runs.consistent_run())


# ------------------------------------------------------------------ memory, link, steps


def test_memory_is_a_row_per_figure_and_mode() -> None:
    memory = tables(runs.memory_run())["memory"]
    assert [(row["mode"], row["label"], row["bytes"]) for row in memory] == [
        ("nmem", "total", 67_108_864),
        ("nmem", "reserved", 8_388_608),
        ("nmem", "peak", 31_457_281),
        ("release", "peak", 31_457_280),
    ]
    page = render(runs.memory_run())
    assert "31,457,281" in page and "31,457,280" in page


def test_what_crossed_the_link_is_counted_apart_from_what_was_known_or_left() -> None:
    traffic = tables(runs.diverging_run())["traffic"]
    release = traffic["modes"][0]
    assert (release["mode"], release["pulled_bytes"], release["not_pulled_bytes"], release["reused_bytes"]) == (
        "release", 102_400, 102_401, 102_402,
    )  # fmt: skip
    assert (traffic["sent_bytes"], traffic["offered_bytes"]) == (6_291_456, 6_905_856)
    assert traffic["total"]["pulled_files"] == 3


def test_layers_that_the_board_hashed_are_not_shown_as_compared_files() -> None:
    run = runs.diverging_run()
    exact = [layer for layer in run["comparison"]["layers"] if layer["verdict"] == "exact"]
    for layer, how in zip(exact, ("valid", "valid", "file"), strict=False):
        layer["hashed"] = how
    file = run["modes"][0]["files"][2]
    file |= {"obtained": "verified_on_board", "valid_md5": "ab" * 16}
    sentence = "3 layers are equal by hash on the board, not downloaded: 2 by the md5 of the valid region and 1"
    assert tables(run)["hashed"].startswith(sentence)
    traffic = tables(run)["traffic"]
    assert (traffic["modes"][0]["verified_on_board_bytes"], traffic["modes"][0]["reused_bytes"]) == (file["bytes"], 0)
    page = render(run).replace("&#39;", "'")
    assert page.count("<small>board's hash</small>") == 3
    assert "valid region equal by md5 on the board: not downloaded" in page and "ab" * 16 in page
    assert sentence in page
    assert any(sentence in line for line in lines(run))


def test_a_way_of_hashing_that_is_not_known_marks_nothing() -> None:
    run = runs.diverging_run()
    run["comparison"]["layers"][0]["hashed"] = "<b>"
    assert tables(run)["hashed"] == "" and "board's hash" not in render(run)


def test_a_run_that_does_not_tell_how_files_came_claims_nothing() -> None:
    run = runs.diverging_run()
    for file in (file for mode in run["modes"] for file in mode["files"]):
        del file["obtained"]
    traffic = tables(run)["traffic"]
    assert traffic["modes"] == [] and traffic["total"] is None
    assert "From the board:" not in render(run)


def test_steps_and_what_lies_between_them_add_up_to_the_run() -> None:
    timings = tables(runs.diverging_run())["timings"]
    assert timings[-1]["step"] == "between steps"
    assert sum(step["seconds"] for step in timings) == pytest.approx(21.4)
    assert sum(step["share"] for step in timings) == pytest.approx(1.0)


def test_generated_inputs_are_called_noise_wherever_they_are_named() -> None:
    page = render(runs.memory_run())
    assert "seeded noise, generated by harness" in page and "seeded noise (noise_images.bin)" in page
    assert "seeded noise" not in render(runs.consistent_run())


# ------------------------------------------------------------------ waivers


def test_layers_under_a_waiver_are_listed_with_its_state() -> None:
    data = tables(runs.waived_run())
    assert [(row["position"], row["state"]) for row in data["waivers"]] == [
        (3, "accepted"), (5, "ended"), (7, "exceeded"),
    ]  # fmt: skip
    text = " ".join(data["headline"]["sentences"])
    assert "1 layer accepted by a waiver; 1 layer with an expired waiver; 1 layer exceeding" in text
    page = render(runs.waived_run())
    assert "waived until 2027-01-01: ties of the old kernel. Without it: max step 2 &gt; 1" in page
    assert "its waiver ended on 2026-01-01: known since spring" in page


@pytest.fixture()
def pair(tmp_path: Path) -> dict[str, Path]:
    """Three stages of one network as .npz: `b` departs a little at "y", `c` more at "z"."""
    rng = np.random.default_rng(3)
    first = {name: rng.normal(size=(1, 4, 8)).astype(np.float32) for name in ("x", "y", "z")}
    second = first | {"y": first["y"] + np.float32(0.01)}
    third = second | {"z": first["z"] * np.float32(2)}
    made = {}
    for name, tensors in (("a", first), ("b", second), ("c", third)):
        made[name] = tmp_path / f"{name}.npz"
        np.savez(made[name], **tensors)  # type: ignore[arg-type]
    return made


def compared(pair: dict[str, Path], until: date) -> runs.Run:
    """run.json with a real comparison of `b` against `a` under a waiver for "y"."""
    reference = stage("a", pair["a"]).reference
    assert reference is not None
    waiver = Waiver("known", until, tensor="y", relative_l2=1.0)
    policy = replace(load_policy(), waivers=(waiver,), today=date(2026, 6, 1))
    comparison = compare(reference, stage("b", pair["b"]).dumps, CompareSettings(policy=policy))
    return runs.base_run() | {"comparison": to_json(comparison), "verdict": to_json(comparison.verdict)}


@pytest.mark.parametrize(("until", "state"), [(date(2027, 1, 1), "accepted"), (date(2026, 1, 1), "ended")])
def test_waivers_of_a_real_comparison_are_found(pair: dict[str, Path], until: date, state: str) -> None:
    assert [(row["name"], row["state"]) for row in tables(compared(pair, until))["waivers"]] == [("y", state)]


# ------------------------------------------------------------------ stages, growth, effects


def test_stages_of_a_real_stage_comparison_are_shown_with_what_departs(pair: dict[str, Path]) -> None:
    run = runs.consistent_run()
    stages = compare_stages([stage(name, path) for name, path in pair.items()])
    run["comparison"]["extras"]["stages"] = to_json(stages)
    stages_row = tables(run)["comparison"]["checks"]["stages"]
    assert [one["name"] for one in stages_row["stages"]] == ["a", "b", "c"]
    assert [row["name"] for row in stages_row["shown"]] == ["y", "z"]
    page = render(run)
    assert "first differing stage: b" in page
    assert "not proven" in page  # nothing tells which tensors are inputs


def test_error_propagation_is_drawn_from_the_figures_that_the_comparison_gives() -> None:
    run = runs.accumulated_run()
    layers = tables(run)["layers"]
    drawn = error_propagation.propagation_drawing(layers)
    assert drawn is not None and drawn["alone"]
    heights = [column["y_px"] for column in drawn["columns"]]
    assert heights[:20] == [drawn["zero_px"]] * 20
    assert heights[20:] == sorted(heights[20:], reverse=True)  # SQNR falls along this run: points rise
    assert drawn["peak"]["index"] == 63


def test_the_drawing_and_the_comparisons_own_points_agree(pair: dict[str, Path]) -> None:
    reference = stage("a", pair["a"]).reference
    assert reference is not None
    comparison = compare(reference, stage("c", pair["c"]).dumps)
    points = growth_of(comparison.layers)
    run = runs.base_run() | {"comparison": to_json(comparison), "verdict": to_json(comparison.verdict)}
    drawn = error_propagation.propagation_drawing(tables(run)["layers"])
    assert drawn is not None and len(drawn["columns"]) == len(points)
    assert drawn["peak"]["name"] == max(points, key=lambda point: point.relative_l2).name == "z"


def test_equal_layers_have_no_error_propagation() -> None:
    assert error_propagation.propagation_drawing(tables(runs.consistent_run())["layers"]) is None
    assert "Error propagation" not in render(runs.consistent_run())


@pytest.mark.parametrize("odd", ["nan", "inf", None, 0.0, 1e-300, 1e300, -1.0])
def test_odd_figures_stay_inside_the_drawing(odd: Any) -> None:
    run = runs.accumulated_run()
    run["comparison"]["layers"][40]["metrics"]["relative_l2"] = odd
    drawn = error_propagation.propagation_drawing(tables(run)["layers"])
    assert drawn is not None
    places = [column[key] for column in drawn["columns"] for key in ("y_px", "alone_px") if column[key] is not None]
    assert all(0 <= place <= drawn["px"] for place in places)


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ({"top1_board": 456, "top1_reference": 141, "top1_same": False, "relative_l2": 0.27},
         "At output y the top-1 changes: 456 on the board, 141 on the PC; relative L2 2.7e-1."),
        ({"top1_board": 7, "top1_reference": 7, "top1_same": True, "relative_l2": 0.0},
         "At output y the top-1 is the same, 7; relative L2 0."),
        ({"relative_l2": 0.02}, "At output y: relative L2 2.0e-2."),
        ({"relative_l2": None}, "At output y: relative L2 not defined."),
    ],
)  # fmt: skip
def test_the_effect_on_the_answer_is_said_at_the_top(output: dict[str, Any], sentence: str) -> None:
    run = runs.diverging_run()
    run["comparison"]["extras"]["outputs"] = [{"name": "y", **output}]
    assert sentence in tables(run)["headline"]["sentences"]


def nan_run() -> runs.Run:
    """The last layer holds one NaN on the board, and its finite elements are all equal, as the comparison tells it."""
    run = runs.diverging_run()
    last = run["comparison"]["layers"][63]
    last["metrics"] |= {"relative_l2": 0.0, "one_minus_cosine": 0.0, "sqnr_db": None, "mismatched": 1}
    last["metrics"] |= {"nan_board": 1, "nonfinite_agree": False}
    run["comparison"]["extras"]["outputs"] = [{"name": last["name"], "relative_l2": 0.0}]
    return run


def test_figures_of_the_finite_elements_alone_are_never_called_agreement() -> None:
    data = tables(nan_run())
    row = data["layers"][63]
    assert (small(row["relative_l2"], row), level(30.0, row), small(0.0, row)) == ("NaN", "NaN", "NaN")
    assert any("NaN or infinity differ" in sentence for sentence in data["headline"]["sentences"])
    assert next(n for n in data["plan"]["nodes"] if n["position"] == 63)["board_one_minus_cosine"] == "nan"
    drawn = error_propagation.propagation_drawing(data["layers"])
    assert drawn is not None and drawn["peak"]["index"] == 63
    assert "not finite" in drawn["columns"][-1]["label"]


def test_equal_values_are_said_of_equal_values_only() -> None:
    run = runs.consistent_run()
    run["comparison"]["extras"]["outputs"] = [{"name": run["comparison"]["layers"][63]["name"], "relative_l2": 0.0}]
    assert any(sentence.endswith(": equal values.") for sentence in tables(run)["headline"]["sentences"])


def test_a_debug_run_that_computes_something_else_is_said_at_the_top() -> None:
    run = runs.diverging_run()
    run["comparison"]["extras"]["debug_vs_release"] = {"same": False, "detail": "release and debug give different y"}
    sentences = tables(run)["headline"]["sentences"]
    assert "Dumping changes the results: release and debug give different y." in sentences
    run["comparison"]["extras"]["debug_vs_release"]["same"] = None
    assert not any("Dumping" in sentence for sentence in tables(run)["headline"]["sentences"])


def test_flags_of_origins_have_room_where_nothing_has_an_sqnr() -> None:
    run = nan_run()
    layers = [row for row in tables(run)["layers"] if row["standing"] in ("exact", "not_compared")]
    bare = drawings.strip(layers)
    last = {**layers[-1], "standing": "origin", "sqnr_db": None, "relative_l2": None}
    flagged = drawings.strip([*layers, last])
    assert bare is not None and bare["plot_px"] == 0
    assert flagged is not None and flagged["plot_px"] == drawings.FLAG_PX


def test_an_unstable_run_says_first_that_it_is() -> None:
    run = runs.diverging_run()
    run["verdict"] = to_json(Verdict("not_deterministic", "1 of 3 runs the same", 1))
    assert tables(run)["headline"]["sentences"][0] == "1 of 3 runs the same"


def test_a_second_origin_is_named_with_its_kind() -> None:
    run = runs.diverging_run()
    again = dict(run["comparison"]["origins"][0], op="/model.9/late")
    again["fingerprint"] = {"kind": "dead_channel", "certain": False, "evidence": "", "transform": "", "figures": {}}
    run["comparison"]["origins"].append(again)
    assert "1 further origin: /model.9/late (likely dead channel)." in tables(run)["headline"]["sentences"]


# ------------------------------------------------------------------ failures and overlaps


def test_a_failure_is_said_once_with_its_rule() -> None:
    run = runs.failed_run()
    failure = run["modes"][1]["failure"]
    finding = {"rule": "E-103", "severity": "error", "title": "the board ran out of memory", "advice": failure["hint"]}
    run["findings"] = [finding | {"subject": "debug", "evidence": f"debug: {failure['message']}"}]
    page = render(run)
    assert page.count(failure["hint"]) == 1 and "E-103" in page
    assert tables(run)["findings"][0]["failed"] == "debug"
    run["findings"][0]["evidence"] = "something else"
    assert render(run).count(failure["hint"]) == 2


def test_parts_that_overlap_have_no_shares_of_end_to_end() -> None:
    run = runs.unordered_profile_run()
    assert all(number["share"] is None for number in tables(run)["numbers"])
    assert not any("unattributed" in number["label"] for number in tables(run)["numbers"])
    (time_line,) = [line for line in lines(run) if line.startswith("time ")]
    assert "%" not in time_line and "sum exceeds end to end" in time_line


def test_two_findings_of_one_rule_can_be_told_apart_in_the_terminal() -> None:
    run = runs.consistent_run()
    run["findings"] = [
        {"rule": "E-106", "severity": "error", "title": "a mode crashed", "evidence": mode, "subject": mode}
        for mode in ("release", "debug")
    ]
    findings = [line for line in lines(run) if "E-106" in line]
    assert [line.rsplit(" ", 1)[1] for line in findings] == ["(release)", "(debug)"]
