"""What a report in a ticket tells first: which op, what kind, how bad, where the time goes, what is not known."""

from __future__ import annotations

import html
import re

import pytest

from harness.cli.tables import TONES
from tests.records.kit import lines, render, tables, toned_lines
from tests.support import fixtures_run as runs


def first_screen(run: runs.Run) -> str:
    """The text of the page up to what to do."""
    page = re.sub(r"(?s)<(style|script|title).*?</\1>", "", render(run)).split('id="do"')[0]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).replace("\u202f", " ").split())


def release_run() -> runs.Run:
    """One frame of a plain run: no op was timed."""
    run = runs.not_compared_run()
    latency = dict.fromkeys(run["profile"]["latency"]) | {"mean_us": 364.0, "min_us": 364.0, "max_us": 364.0}
    latency |= {"frames": 1, "samples_us": [], "problems": [], "notes": ["one cold frame"], "core": ""}
    run["profile"] |= {"latency": latency, "ops": [], "segments": [], "split_us": {}, "unattributed_us": 364.0}
    return run


def unreachable_run() -> runs.Run:
    """As a board that does not answer leaves it."""
    run = runs.failed_run()
    run.update(stopped_at="starting", modes=[], problems=["root@10.0.0.7:22: connection refused (is it up?)"])
    return run


def subgraph_run(**changed: object) -> runs.Run:
    """A profiler that times the accelerator's ops as one, with the ops of its segment named as `changed` says."""
    run = runs.diverging_run()
    ops = [layer["op"] for layer in run["comparison"]["layers"]]
    op = {"name": "whole_subgraph_0", "kind": "subgraph", "unit": "BPU", "category": "compute", "mean_us": 500.0}
    segment = {"name": op["name"], "unit": "BPU", "ops": ops, "time_us": 500.0}
    run["profile"] |= {"ops": [op], "segments": [segment | changed]}
    return run


def standing_of_subgraph(run: runs.Run) -> str:
    return str(tables(run)["time"]["ops"][0]["standing"])


def test_the_first_screen_names_op_kind_size_and_split() -> None:
    run = runs.diverging_run()
    origin = tables(run)["origins"][0]
    screen = first_screen(run)
    assert f"Diverges at {origin['op']}" in screen and origin["fingerprint"]["evidence"].rstrip(".") in screen
    assert f"elements differ, by up to {origin['layer']['max_step']:.0f} steps; SQNR" in screen
    for part in ("BPU", "CPU", "quantize/dequantize", "unattributed"):
        assert re.search(rf"{part} · [0-9.]+ % [0-9.]+ (ms|µs)", screen), part


def test_without_a_graph_the_tensor_is_named_where_no_op_is_known() -> None:
    run = runs.diverging_run()
    origin = run["comparison"]["origins"][0]
    origin |= {"op": "", "op_kind": "", "how": "sequence", "certain": False}
    assert f"first difference in file order at {origin['tensor']} " in first_screen(run)
    origin_line = next(line for line in lines(run) if line.startswith("origin"))
    assert origin_line.startswith(f"origin    suspected: {origin['tensor']}, ")


def test_elements_that_are_not_finite_make_no_figure_of_how_bad() -> None:
    run = runs.diverging_run()
    bad = next(row for row in run["comparison"]["layers"] if row["role"] == "origin")
    bad["metrics"] |= {"nonfinite_agree": False, "nan_board": 3}
    assert re.search(r"elements differ\. ", first_screen(run)) and "SQNR" not in first_screen(run)


@pytest.mark.slow
def test_a_subgraph_is_never_better_than_the_worst_layer_inside_it() -> None:
    assert standing_of_subgraph(subgraph_run()) == "origin"
    good = subgraph_run()["comparison"]["layers"][0]["op"]
    assert standing_of_subgraph(subgraph_run(ops=[good])) == "exact"
    assert standing_of_subgraph(subgraph_run(ops=[good, "folded"])) == "not_compared"
    assert standing_of_subgraph(subgraph_run(ops=["folded"])) == ""


def test_a_subgraph_whose_ops_are_not_told_is_judged_by_every_layer_of_its_unit() -> None:
    run = subgraph_run(ops=["whole_subgraph_0"])
    assert standing_of_subgraph(run) == "origin"
    for layer in run["comparison"]["layers"]:
        layer |= {"unit": "BPU", "verdict": "exact", "role": "", "reason": ""}
    assert standing_of_subgraph(run) == "exact"
    run["comparison"]["layers"][3] |= {"unit": "", "verdict": "not_compared", "reason": "no_dump"}
    assert standing_of_subgraph(run) == "not_compared"


def test_an_input_dumped_under_the_subgraphs_name_does_not_speak_for_it() -> None:
    run = subgraph_run()
    run["comparison"]["layers"][0]["op"] = "whole_subgraph_0"
    assert standing_of_subgraph(run) == "origin"


def test_a_plain_run_shows_no_table_of_ops_and_no_zero_that_nothing_measured() -> None:
    page = render(release_run())
    screen = first_screen(release_run())
    assert "No op was timed" in page and 'id="ops"' not in page and "not attributed to any op" not in page
    assert "end to end, one frame 364 µs" in screen and "one cold frame" in screen and "unattributed" not in screen
    assert tables(release_run())["problems"] == []


def test_what_is_a_note_of_the_latency_is_no_problem_on_the_terminal() -> None:
    assert not [line for line in lines(release_run()) if line.startswith("problem")]


def test_a_board_that_does_not_answer_says_what_to_try_above_all_else() -> None:
    screen = first_screen(unreachable_run())
    assert "Nothing was timed and nothing was compared." in screen
    assert "Failures root@10.0.0.7:22: connection refused (is it up?)" in screen
    assert 'id="problems"' not in render(unreachable_run())


def test_a_failed_mode_does_not_hide_that_nothing_was_compared() -> None:
    assert "Nothing was timed and nothing was compared." in first_screen(runs.failed_run())


def test_a_share_that_counts_only_what_is_beyond_a_step_says_so() -> None:
    """Board and PC as real numbers: half a step everywhere is no 0 % that differ."""
    run = runs.diverging_run()
    row = next(layer for layer in run["comparison"]["layers"] if layer["role"] == "origin")
    row["metrics"] |= {"mismatched": 0, "max_step": 0.645, "max_abs": 0.0865}
    assert "elements differ by more than a step, by up to 0.645 steps" in first_screen(run)
    assert "0\u202f% &gt; 1 step" in render(run)
    row["metrics"] |= {"mismatched": 3, "max_step": 3.0}
    assert "&gt; 1 step" not in render(run)


def test_a_run_of_which_one_mode_failed_is_not_called_wholly_unmeasured() -> None:
    run = runs.consistent_run()
    run["verdict"] = {"word": "not_measured", "detail": "profile: the tool hung", "exit_code": 3}
    assert tables(run)["headline"]["title"] == "Partly measured"
    run |= {"comparison": None, "profile": None}
    head = tables(run)["headline"]
    assert head["title"] == "Not measured" and head["sentences"][-1] == "Nothing was timed and nothing was compared."


@pytest.mark.parametrize(
    ("run", "tone"),
    [
        (runs.consistent_run(), "good"),
        (runs.partly_compared_run(), "part"),
        (runs.diverging_run(), "bad"),
        (runs.not_compared_run(), "none"),
        (runs.failed_run(), "stop"),
    ],
)
def test_the_terminals_colour_is_the_pages_tone(run: runs.Run, tone: str) -> None:
    shown_tone, texts = toned_lines(run)
    assert shown_tone == tone and shown_tone in TONES and texts == lines(run)
    assert ("green" in str(TONES[shown_tone])) == (tone == "good")


def test_seeded_noise_is_flagged_on_the_page_and_on_the_terminal() -> None:
    run = runs.diverging_run()
    assert "NOISE" not in first_screen(run)
    run["case"]["inputs"][0]["generated"] = True
    assert "NOISE no input given: seeded noise for images" in first_screen(run)
    assert any(line.startswith("noise") and "images" in line for line in lines(run))


def test_a_sentence_that_another_holds_is_said_once() -> None:
    run = runs.consistent_run()
    detail = "release and debug give different out: the layer dumps are not of the release run"
    run["comparison"]["extras"]["debug_vs_release"] = {"same": False, "detail": detail}
    run["verdict"] = run["comparison"]["verdict"] = {"word": "diverges", "detail": detail, "exit_code": 1}
    assert first_screen(run).split("Key numbers")[0].count(detail) == 1


def test_what_the_tool_warns_of_a_model_is_a_note_and_no_problem() -> None:
    run = runs.consistent_run()
    run["model_info"]["warnings"] = ["input 'y' is dynamic (-1)"]
    assert tables(run)["notes"] == ["input 'y' is dynamic (-1)"] and not tables(run)["problems"]


@pytest.mark.parametrize(("tiny", "is_rounding"), [(-0.0177, True), (-500.0, False)])
def test_a_sum_barely_above_end_to_end_is_called_rounding(tiny: float, is_rounding: bool) -> None:
    run = runs.consistent_run()
    run["profile"]["unattributed_us"] = tiny
    page = render(run)
    assert ("as the tool's rounding of each figure can make it" in page) == is_rounding
    assert "more than end to end" in page


def test_ops_printed_in_coarse_digits_are_not_said_to_overlap() -> None:
    run = runs.consistent_run()
    op = {"kind": "Conv", "unit": "NNA", "category": "compute", "mean_us": 40.0}
    run["profile"]["ops"] = [op | {"name": f"op{n}"} for n in range(60)]
    run["profile"]["latency"]["mean_us"] = 2350.0
    run["profile"]["unattributed_us"] = -50.0
    page = render(run)
    assert "Their shares of it mean nothing" not in page and "rounding of each figure" in page
    assert "the tool rounds each figure to few digits" in page and "NNA · " not in first_screen(run)
    assert any("the tool rounds each figure" in line for line in lines(run))
    run["profile"]["unattributed_us"] = -350.0
    assert "Their shares of it mean nothing" in render(run)


def test_columns_that_hold_nothing_are_left_out() -> None:
    run = runs.diverging_run()
    assert ">min</th>" in render(run) and ">planned on</th>" in render(run)
    for op in run["profile"]["ops"]:
        op |= {"min_us": None, "max_us": None, "count": None}
    for node in run["plan"]["rows"]:
        node |= {"planned_unit": "", "kind": ""}
    page = render(run)
    assert not re.search(">(min|max|count|planned on)</th>", page) and ">ran on</th>" in page


def test_a_reference_that_is_an_onnx_is_named_with_its_md5() -> None:
    run = runs.consistent_run()
    del run["case"]["reference"]["md5"]
    run["comparison"]["reference"] = {"kind": "onnx", "provenance": {"source_md5": "d3b0f900"}}
    assert [fact["md5"] for fact in tables(run)["facts"] if fact["label"] == "reference"] == ["d3b0f900"]
