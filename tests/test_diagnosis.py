"""Findings: each rule has a run that shows it and a run that does not."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from harness.consistency import kinds, pcside
from harness.consistency.pcside import Doubt
from harness.consistency.policy import Policy, Waiver
from harness.consistency.verdicts import Judgement, waive
from harness.diagnosis import RULES, find
from harness.diagnosis.plan import find_beside, join, read_build
from harness.diagnosis.planning import coverage_of
from harness.profiling import profile
from harness.records import (
    Comparison,
    Coverage,
    Fingerprint,
    Latency,
    Layer,
    Metrics,
    OpTime,
    Origin,
    Profile,
    Verdict,
)
from harness.toolchains.records import Artifact, Estimate, Message, PlannedNode
from tests.toolchain_samples import SAMPLES, x5_log

ROOT = Path(__file__).resolve().parent.parent


def rules(
    run: dict[str, Any] | None = None, times: Profile | None = None, comparison: Comparison | None = None
) -> set[str]:
    return {finding.rule for finding in find(run or {}, times, comparison)}


def op(name: str, us: float, unit: str = "CPU", category: str = "compute", kind: str = "Softmax") -> OpTime:
    return OpTime(name, kind, unit, category, us)


def subgraph(name: str, us: float) -> OpTime:
    return op(name, us, "BPU", kind="subgraph")


def sensed(**sample: Any) -> dict[str, Any]:
    return {"telemetry": {"samples": [sample]}}


def failed(kind: str) -> dict[str, Any]:
    return {"modes": [{"mode": "debug", "failure": {"kind": kind, "message": "m", "hint": "h", "evidence": "e"}}]}


def compared(
    *layers: Layer, origins: tuple[Origin, ...] = (), first: str = "", word: str = "diverges", **extras: Any
) -> Comparison:
    seen = sum(1 for layer in layers if layer.verdict != "not_compared")
    return Comparison(
        Verdict(word, "told", 1), Coverage(seen, len(layers), 0, 0), layers, origins, first, extras=extras
    )


def layer(index: int, verdict: str, reason: str = "") -> Layer:
    return Layer(index, f"t{index}", f"o{index}", "Conv", verdict, reason)


CUT = profile(
    Latency(250.0),
    (
        subgraph("s_0", 100.0),
        op("a_HzDequantize", 20.0, category="dequantize"),
        op("soft", 30.0),
        op("b_HzQuantize", 10.0, category="quantize"),
        subgraph("s_1", 80.0),
    ),
    ordered=True,
)
PLAIN = profile(Latency(105.0, min_us=100.0, frames=200, threads=1), (subgraph("s_0", 100.0),))


# --------------------------------------------------------------------------- one rule at a time

SHOWN: dict[str, tuple[Any, ...]] = {
    "E-101": ({"model_info": {"warnings": ["version skew: the board's HBRT is 3, the model was built for 4"]}},),
    "E-102": (failed("wrong_march"),),
    "E-103": (failed("memory"),),
    "E-104": (failed("board_state"),),
    "E-105": (failed("missing_library"),),
    "E-106": (failed("crash"),),
    "E-107": (failed("garbage"),),
    "E-110": (sensed(governors={"policy0": "schedutil"}),),
    "E-111": (
        {
            "telemetry": {
                "samples": [
                    {"phase": "during", "clocks_mhz": {"bpu0": mhz}, "load_percent": {"bpu0": 99.0}}
                    for mhz in (1000.0, 500.0)
                ]
            }
        },
    ),
    "E-112": (sensed(phase="before", load_percent={"bpu0": 40.0}),),
    "E-113": (sensed(temperatures_c={"CPU": 101.0}),),
    "E-114": ({"board": {"facts": {"clock_offset_s": -8.4e8}}},),
    "C-100": (None, None, compared(layer(0, "differs"), origins=(Origin("o0", "Conv", "t0"),))),
    "C-101": (None, None, compared(layer(0, "exact"), layer(1, "not_compared", "no_dump"))),
    "C-102": (None, None, compared(layer(0, "differs"), layer(1, "differs"), first="t0")),
    "C-103": (None, None, compared(layer(0, "differs"), origins=(Origin("t0", "input", "t0"),))),
    "C-104": (None, None, compared(observer={"same": False, "detail": "y differs"})),
    "C-105": (
        None,
        None,
        compared(determinism={"debug": {"deterministic": False, "detail": "1 of 2 the same", "first": "y"}}),
    ),
    "C-106": (None, None, compared(replace(layer(0, "differs"), note="its waiver ended on 2026-01-01: known"))),
    "C-107": (None, None, compared(layer(0, "within", "waived until 2027-01-01: known"), word="consistent_within")),
    "T-201": (None, CUT),
    "T-202": (None, profile(Latency(200.0), (subgraph("s_0", 100.0),))),
    "T-203": (None, profile(Latency(100.0), (subgraph("s", 60.0), op("q", 30.0, category="quantize")))),
    "T-204": (None, profile(Latency(100.0), (subgraph("s", 30.0), op("soft", 60.0)))),
    "T-205": (None, profile(Latency(12.4, min_us=6.1), (subgraph("s", 12.0),))),
    "T-206": (None, profile(Latency(100.0, frames=1), (subgraph("s", 99.0),))),
    "T-207": (None, profile(Latency(100.0, threads=4), (subgraph("s", 99.0),))),
    "T-208": (None, profile(Latency(100.0), (replace(subgraph("s", 99.0), estimated=True),))),
    "T-209": (None, profile(Latency(100.0), (subgraph("s", 50.0), op("soft", 49.0)))),
    "R-301": ({"model_info": {"problems": ["output[1]: no 'scale data' line"]}},),
}


@pytest.mark.parametrize("rule", sorted(SHOWN))
def test_a_run_that_shows_it_gets_the_finding(rule: str) -> None:
    assert rule in rules(*SHOWN[rule])


@pytest.mark.parametrize("rule", sorted(SHOWN))
def test_a_good_run_does_not(rule: str) -> None:
    good = {
        "model_info": {"warnings": [], "problems": []},
        "modes": [{"mode": "release", "failure": None}],
        "board": {"facts": {"clock_offset_s": 1.5}},
        "telemetry": {
            "samples": [
                {
                    "phase": "during",
                    "governors": {"policy0": "performance"},
                    "clocks_mhz": {"bpu0": 1000.0},
                    "load_percent": {"bpu0": 99.0},
                    "temperatures_c": {"CPU": 60.0},
                }
            ]
        },
    }
    assert rule not in rules(good, PLAIN, compared(layer(0, "exact"), word="consistent"))


def test_version_skew_that_only_a_later_mode_printed_is_found_too() -> None:
    assert "E-101" in rules({"versions": {"hbrt": "3.15.47.0", "model_hbrt": "3.15.54.0"}})
    assert rules({"versions": {"hbrt": "3.15.47.0"}}) == set()


def rules_of_the_pc() -> dict[str, tuple[str, str]]:
    """Severity and title of every rule of the PC's own side, from records that show them all."""
    bare: dict[str, Any] = {"optimizations": "all", "vnni": False, "dumping_changed_outputs": True, "threads": 4}
    doubt = Doubt("t", "conv7", "Conv", 29.0, 0.01, 0.1)
    board = {"onnxruntime": "1.19.2"}
    shown = [
        *pcside.findings(bare | {"onnxruntime": "1.23.0"}, (doubt,), board),
        *pcside.findings(bare | {"onnxruntime": "1.23.0"}, (replace(doubt, op_kind="Resize"),), board),
    ]
    return {found.rule: (found.severity, found.title) for found in shown}


def test_every_rule_is_shown_and_documented() -> None:
    shown_elsewhere = {"B-501", "B-502", "B-503", "B-504", "B-505"}
    shown_elsewhere |= {rule for rule in RULES if rule.startswith("M-")}  # tests/test_magik_findings.py
    assert set(SHOWN) | shown_elsewhere == set(RULES)
    rows = re.findall(r"^\| ([A-Z]-\d{3}) \| (\w+) \| (.+?) \|", (ROOT / "docs/findings.md").read_text(), re.MULTILINE)
    pc_side = rules_of_the_pc()
    assert not set(pc_side) & set(RULES)
    written = re.findall(r'rule="(P-\d{3})"', Path(pcside.__file__).read_text())
    assert sorted(pc_side) == sorted(written)
    assert {row[0]: (row[1], row[2]) for row in rows} == pc_side | {r.id: (r.severity, r.title) for r in RULES.values()}
    assert len(rows) == len({row[0] for row in rows})


def found_for(origin: Origin, **more: Any) -> list[Any]:
    """Findings of a failed run that has this origin too."""
    return list(find(failed("crash"), None, compared(layer(0, "differs"), origins=(origin,), **more)))


def test_who_is_to_blame_comes_first_with_kind_evidence_and_what_to_do() -> None:
    mark = Fingerprint("zero_point", True, "board = reference +3 on every element", "board - 3")
    found = found_for(Origin("conv7", "Conv", "conv7_out", fingerprint=mark))[0]
    assert (found.rule, found.severity, found.subject) == ("C-100", "error", "conv7")
    assert found.title == "conv7 differs although everything it was fed is equal"
    assert found.evidence == "tensor conv7_out; zero point: board = reference +3 on every element"
    assert found.advice == f"{kinds.advice('zero_point')} What makes the pair equal: board - 3."


def test_a_kind_that_is_not_certain_is_said_to_be_so() -> None:
    found = found_for(Origin("conv7", "Conv", "conv7_out", fingerprint=Fingerprint("stride", False, "13 of 14")))[0]
    assert "stride (not certain): 13 of 14" in found.evidence
    assert found.advice.startswith("The kind is not certain. If it is stride: check row strides")


@pytest.mark.parametrize(
    ("origin", "title"),
    [
        (Origin("a", "Conv", "t", how="isolated"), "a is wrong by itself"),
        (Origin("a", "Conv", "t", certain=False), "a is suspected"),
        (Origin("a", "Conv", "t", certain=False, how="sequence"), "no graph is known"),
        (Origin("a", "Conv", "t", first="x", unseen=("b", "c")), "begins at a or in the 2 ops before it"),
        (Origin("", "", "t", certain=False, how="sequence"), "t is the first"),
    ],
)
def test_the_title_says_how_much_is_known(origin: Origin, title: str) -> None:
    found = found_for(origin)[0]
    assert found.rule == "C-100" and title in found.title
    assert "everything it was fed is equal" not in found.title


def test_many_origins_are_not_many_pages() -> None:
    many = tuple(Origin(f"o{n}", "Conv", f"t{n}") for n in range(20))
    told = [f for f in find({}, None, compared(layer(0, "differs"), origins=many)) if f.rule == "C-100"]
    assert len(told) == 4 and told[-1].evidence.endswith("16 further origins are in the report")


def test_a_rule_that_fits_everywhere_is_said_a_few_times_and_then_counted() -> None:
    ended = [replace(layer(n, "differs"), note="its waiver ended on 2026-01-01: known") for n in range(20)]
    told = [f for f in find({}, None, compared(*ended)) if f.rule == "C-106"]
    assert len(told) == 6 and told[-1].evidence.endswith("14 more of this rule are in the report's tables")
    few = [f for f in find({}, None, compared(*ended[:6])) if f.rule == "C-106"]
    assert len(few) == 6 and "more of this rule" not in few[-1].evidence


def test_an_unstable_run_says_so_first_and_does_not_blame_the_dumping_for_it() -> None:
    repeats = {"deterministic": False, "detail": "1 of 3", "first": "y", "unstable": {"y": {}, "z": {}}}
    again = {"debug": repeats, "release": repeats | {"first": "out", "unstable": {"out": {}}, "detail": "2 of 3"}}
    differing = {"same": False, "detail": "y differs"}
    found = found_for(Origin("a", "Conv", "t"), determinism=again, observer=differing)
    assert [f.rule for f in found] == ["C-105", "C-100", "E-106"]
    assert (found[0].subject, found[0].evidence) == ("y", "debug: 1 of 3; release: 2 of 3")


def test_an_origin_of_a_debug_run_that_computes_something_else_says_so() -> None:
    differing = {"same": False, "detail": "y differs"}
    found = find({}, None, compared(layer(0, "differs"), origins=(Origin("a", "Conv", "t"),), observer=differing))
    assert found[0].evidence.endswith("which does not give the outputs of the release run")
    assert [f.rule for f in found][:2] == ["C-100", "C-104"]


def test_an_input_that_the_board_did_not_dump_is_not_called_equal() -> None:
    graph = {"ops": [{"name": "stem", "inputs": ["images"], "outputs": ["t0"]}]}
    found = find({}, None, compared(layer(0, "differs"), origins=(Origin("stem", "Conv", "t0"),), graph=graph))[0]
    assert found.title == "stem differs; a wrong input cannot be told from a wrong op here"
    assert "the board did not dump its input images" in found.evidence
    dumped = replace(layer(1, "exact"), name="images")
    found = find({}, None, compared(dumped, layer(0, "differs"), origins=(Origin("stem", "Conv", "t0"),), graph=graph))[
        0
    ]
    assert found.title == "stem differs although everything it was fed is equal"


def test_an_interval_that_begins_at_an_undumped_input_is_not_called_good_until_there() -> None:
    graph = {
        "ops": [
            {"name": "a", "inputs": ["images"], "outputs": ["x"]},
            {"name": "b", "inputs": ["x"], "outputs": ["t0"]},
        ]
    }
    born = Origin("b", "Conv", "t0", first="images", unseen=("a",), fingerprint=Fingerprint("stride", True, "e"))
    found = find({}, None, compared(layer(0, "differs"), origins=(born,), graph=graph))[0]
    assert "good until" not in found.evidence and "did not dump its input images" in found.evidence
    assert found.advice.startswith("get the tensors in between first")


def test_a_plan_that_names_tensors_meets_the_layers_too() -> None:
    met = replace(layer(0, "exact"), name="conv1_out", op="conv1", unit="NNA")
    plan = join(build(nodes=(PlannedNode("conv1_out", "", "", cosine=0.99),)), None, compared(met))
    assert plan is not None and (plan.rows[0].board_verdict, plan.rows[0].measured_unit) == ("exact", "NNA")


def test_repeats_of_one_mode_without_its_name_are_read_too() -> None:
    told = {"deterministic": False, "detail": "1 of 2 the same", "first": "y", "unstable": {"y": {}}}
    assert "C-105" in rules(None, None, compared(determinism=told))


def test_waivers_are_read_as_the_comparison_writes_them() -> None:
    metrics = Metrics(elements=10, mismatched=1, max_step=2.0)
    judged = Judgement("differs", "max step 2 > 1")
    ends = {"ended": date(2026, 1, 1), "holds": date(2027, 1, 1)}
    policies = {w: Policy("p", (), (Waiver("known", d, op="o0"),), today=date(2026, 6, 1)) for w, d in ends.items()}
    tight = replace(policies["holds"], waivers=(Waiver("known", ends["holds"], op="o0", max_step=1.0),))
    for policy, rule in ((policies["ended"], "C-106"), (tight, "C-106"), (policies["holds"], "C-107")):
        told = waive(judged, metrics, "o0", "t0", policy)
        row = replace(layer(0, told.verdict, told.reason), note=told.note)
        found = [f for f in find({}, None, compared(row)) if f.rule in ("C-106", "C-107")]
        assert [(f.rule, f.subject) for f in found] == [(rule, "o0")]
        assert "known" in found[0].evidence


def test_a_start_that_was_not_compared_is_not_blamed() -> None:
    unseen = layer(0, "not_compared", "no_dump")
    assert "C-102" not in rules(None, None, compared(unseen, layer(1, "differs"), layer(2, "differs"), first="t1"))
    assert "C-102" not in rules(None, None, compared(layer(0, "differs"), first="t0"))
    extra = layer(0, "not_compared", "no_reference")
    assert "C-102" in rules(None, None, compared(extra, layer(1, "differs"), layer(2, "differs"), first="t1"))


def test_the_cut_is_told_with_what_its_borders_cost() -> None:
    (found,) = (f for f in find({}, CUT, None) if f.rule == "T-201")
    assert found.subject == "soft"
    assert found.evidence == (
        "soft (Softmax) takes 30.0 us on the CPU, quantizing and layouts around it 30.0 us, 24.0% of the latency"
    )


def test_time_of_ops_that_could_not_be_read_is_not_called_unattributed() -> None:
    cut = replace(Latency(200.0), problems=("model_latency is cut: 1 whole nodes are read",))
    assert rules(None, profile(cut, (subgraph("s_0", 100.0),))) == {"R-301"}


def test_an_op_at_the_end_of_the_network_cuts_nothing() -> None:
    assert "T-201" not in rules(None, profile(Latency(99.0), (subgraph("s", 9.0), op("soft", 3.0)), ordered=True))


def test_the_worst_findings_come_first_and_each_once() -> None:
    run = failed("crash") | {"model_info": {"problems": ["p", "p"]}}
    found = find(run, None, None)
    assert [f.severity for f in found] == ["error", "note"]


@pytest.mark.parametrize("junk", [{}, {"modes": "x"}, {"model_info": 3, "telemetry": [], "board": None, "modes": [1]}])
def test_a_damaged_run_json_finds_nothing_and_does_not_crash(junk: dict[str, Any]) -> None:
    assert find(junk, None, None) == ()


# --------------------------------------------------------------------------- the plan


def build(**parts: Any) -> list[tuple[Path, Artifact]]:
    return [(Path("hb.log"), Artifact("hb_mapper_log", "hb_mapper log", **parts))]


def planned(
    parts: dict[str, Any], times: Profile | None = None, comparison: Comparison | None = None, **run: Any
) -> set[str]:
    return {f.rule for f in find(run, times, comparison, join(build(**parts), times, comparison))}


def test_a_log_of_another_build_is_noticed() -> None:
    run = {"model_info": {"versions": {"builder": "1.23.6"}}}
    assert "B-501" in planned({"versions": {"hb_mapper": "1.24.3", "hbdk": "3.49.15"}}, **run)
    assert "B-501" not in planned({"versions": {"hb_mapper": "1.23.6", "hbdk": "3.49.15"}}, **run)
    assert "B-501" not in planned({"versions": {"hbdk": "3.49.15"}}, **run)
    assert "B-501" in planned({"march": "bayes-e"}, model_info={"versions": {"march": "nash-e"}})


def test_a_node_that_ran_elsewhere_than_planned_is_noticed() -> None:
    nodes = (PlannedNode("soft", "BPU", "Softmax"), PlannedNode("conv", "BPU", "Conv"))
    assert "B-502" in planned({"nodes": nodes}, CUT)
    assert "B-502" not in planned({"nodes": (PlannedNode("soft", "CPU", "Softmax"),)}, CUT)


def test_estimates_are_held_against_the_board_but_not_against_an_emulated_one() -> None:
    parts = {"estimates": (Estimate("s_0", 100.0, 40.0), Estimate("main_graph_subgraph_1", 99.0, 79.0))}
    assert "B-503" in planned(parts, CUT)
    assert "B-503" not in planned(parts, CUT, board={"emulated": True})
    assert "B-503" not in planned({"estimates": (Estimate("s_0", 99.0, 99.0),)}, CUT)


def test_subgraphs_meet_by_name_then_by_their_number() -> None:
    times = profile(Latency(200.0), (subgraph("net_subgraph_0", 100.0), subgraph("net_subgraph_1", 50.0)))
    plan = join(build(estimates=(Estimate("main_graph_subgraph_1", 9.0, 40.0),)), times, None)
    assert plan is not None
    assert [(s.name, s.estimated_us, s.measured_us) for s in plan.segments] == [
        ("main_graph_subgraph_1", 40.0, 50.0),
        ("net_subgraph_0", None, 100.0),
    ]
    assert plan.segments[0].ratio == 1.25 and plan.estimated_us is None


def test_toolchain_cosine_and_board_cosine_stand_side_by_side() -> None:
    metrics = Metrics(elements=4, mismatched=1, one_minus_cosine=1e-4)
    met = replace(layer(0, "differs"), op="/net/conv1/Conv", metrics=metrics, unit="BPU")
    nodes = (PlannedNode("/net/conv1/Conv", "BPU", "HzSQuantizedConv", 0, cosine=0.91),)
    plan = join(build(nodes=nodes), None, compared(met))
    assert plan is not None
    row = plan.rows[0]
    assert (row.toolchain_cosine, row.board_one_minus_cosine, row.board_verdict) == (0.91, 1e-4, "differs")
    assert coverage_of(plan) == (1, 1)
    assert "B-504" in planned({"nodes": nodes})


def test_a_name_that_a_table_cut_meets_the_whole_one_only_when_one_fits() -> None:
    whole = (PlannedNode("/a/block/conv", "BPU", "Conv"), PlannedNode("/b/block/conv", "BPU", "Conv"))
    one = join([*build(nodes=whole[:1]), *build(nodes=(PlannedNode("...block/conv", "", "", cosine=0.5),))], None, None)
    two = join([*build(nodes=whole), *build(nodes=(PlannedNode("...block/conv", "", "", cosine=0.5),))], None, None)
    assert one is not None and [row.toolchain_cosine for row in one.rows] == [0.5]
    assert two is not None and [row.toolchain_cosine for row in two.rows] == [None, None, 0.5]


def test_warnings_of_the_toolchain_come_with_their_meaning() -> None:
    message = Message("warning", "The input0 ... does not support data type: int16", "it runs as int8", subject="soft")
    (found,) = find({}, None, None, join(build(messages=(message,)), None, None))
    assert found.rule == "B-505" and found.advice == "it runs as int8" and found.subject == "soft"


def test_a_log_beside_the_model_is_found_and_joined_with_the_board(tmp_path: Path) -> None:
    model = tmp_path / "net.bin"
    model.write_bytes(b"\x00")
    (tmp_path / "hb_mapper_makertbin.log").write_text(x5_log())
    (tmp_path / "notes.txt").write_text("mine")
    assert [path.name for path in find_beside(model)] == ["hb_mapper_makertbin.log"]
    times = profile(Latency(9000.0), (subgraph("main_graph_subgraph_0", 5000.0), op("/net/Softmax", 100.0)))
    plan = join(read_build(find_beside(model)), times, None)
    assert plan is not None and plan.march == "bayes-e" and plan.versions["hb_mapper"] == "1.24.3"
    soft = next(row for row in plan.rows if row.name == "/net/Softmax")
    assert (soft.planned_unit, soft.measured_unit, soft.measured_us) == ("CPU", "CPU", 100.0)
    assert plan.segments[0].ratio == pytest.approx(5000.0 / 4623.9)
    assert plan.estimated_us == pytest.approx(4623.9 + 3090.1)


def test_files_of_another_model_in_the_folder_are_not_taken(tmp_path: Path) -> None:
    model = tmp_path / "net.bin"
    for name in ("hb_compile.log", "net_x5_quant_info.json", "other_quant_info.json"):
        (tmp_path / name).write_text("{}")
    assert [path.name for path in find_beside(model)] == ["hb_compile.log"]
    (tmp_path / "net_quant_info.json").write_text("{}")
    (tmp_path / "net_two_hb_mapper_makertbin.log").write_text("{}")
    assert [path.name for path in find_beside(model)] == ["net_quant_info.json"]
    assert [path.name for path in find_beside(model, "two")] == ["net_two_hb_mapper_makertbin.log"]


def test_captured_log_and_quant_info_of_one_build_agree() -> None:
    folder = SAMPLES / "horizon-toolchain"
    files = [folder / "x5_bear_hb_mapper_makertbin.log", folder / "x5_bear_quant_info.json"]
    if not all(path.is_file() for path in files):
        pytest.skip(f"real vendor output is not here: {folder} (set HARNESS_SAMPLES)")
    plan = join(read_build(files), None, None)
    assert plan is not None and plan.march == "bayes-e"
    assert [row.name for row in plan.rows if row.planned_unit == "CPU"] == ["/model.22/dfl/Softmax"]
    assert [s.estimated_us for s in plan.segments] == [4623.9, 3090.1]
