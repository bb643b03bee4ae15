"""Findings: each rule has a run that shows it and a run that does not."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from harness.consistency.checks import reference_check
from harness.consistency.checks.pc_rules import PC_RULES
from harness.consistency.checks.reference_check import UnstableOp
from harness.consistency.fingerprint import kinds
from harness.consistency.policy import Policy, Waiver
from harness.consistency.verdicts import Judgement, waive
from harness.diagnosis import RULES
from harness.diagnosis.plan import join
from harness.profiling import profile
from harness.records import (
    Fingerprint,
    Latency,
    Metrics,
    Origin,
)
from harness.toolchains.records import PlannedNode
from tests.records.kit import find
from tests.support.diagnosis_kit import (
    CUT,
    PLAIN,
    ROOT,
    build,
    compared,
    failed,
    layer,
    lost,
    op,
    rules,
    sensed,
    subgraph,
)

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
    "C-104": (None, None, compared(debug_vs_release={"same": False, "detail": "y differs"})),
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
    "T-210": (None, profile(Latency(1.0, samples_us=(1.0,) * 40 + (1.2,) * 20), (subgraph("s", 1.0),))),
    "T-206": (None, profile(Latency(100.0, frames=1), (subgraph("s", 99.0),))),
    "T-207": (None, profile(Latency(100.0, threads=4), (subgraph("s", 99.0),))),
    "T-208": (None, profile(Latency(100.0), (replace(subgraph("s", 99.0), estimated=True),))),
    "T-209": (None, profile(Latency(100.0), (subgraph("s", 50.0), op("soft", 49.0)))),
    "Q-101": (None, None, compared(quantization=lost("channels"))),
    "Q-102": (None, None, compared(quantization=lost("swallowed"))),
    "Q-103": (None, None, compared(quantization=lost("saturated"))),
    "Q-104": (None, None, compared(quantization=lost("coarse"))),
    "Q-105": (None, None, compared(quantization=lost("channels", is_harmful=False))),
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
    unstable_op = UnstableOp("t", "conv7", "Conv", 29.0, 0.01, 0.1)
    board = reference_check.BoardSession("1.19.2")
    shown = [
        *reference_check.findings(bare | {"onnxruntime": "1.23.0"}, (unstable_op,), board),
        *reference_check.findings(bare | {"onnxruntime": "1.23.0"}, (replace(unstable_op, op_kind="Resize"),), board),
    ]
    return {finding.rule: (finding.severity, finding.title) for finding in shown}


def test_one_slow_frame_is_named_and_is_no_time_of_no_op() -> None:
    """Frames of 22.9 us with one of 20 ms: a mean of 122.8 us, of which no op has 100 us."""
    slow = (22.9,) * 100 + (20000.0,) + (22.9,) * 99
    printed = Latency(sum(slow) / 200, 22.8, 20000.0, frames=200, threads=1)
    for latency in (replace(printed, samples_us=slow), printed):
        titles = {one.rule: one.title for one in find(None, profile(latency, (subgraph("s_0", 22.0),)))}
        assert titles["T-205"] == "1 of 200 frames took 20 ms" and "T-202" not in titles


def test_every_rule_is_shown_and_documented() -> None:
    shown_elsewhere = {rule for rule in RULES if rule[0] in "BMIS"}  # tests/diagnosis/test_every_finding.py
    assert set(SHOWN) | shown_elsewhere == set(RULES)
    rows = re.findall(r"^\| ([A-Z]-\d{3}) \| (\w+) \| (.+?) \|", (ROOT / "docs/findings.md").read_text(), re.MULTILINE)
    pc_side = rules_of_the_pc()
    assert not set(pc_side) & set(RULES)
    assert sorted(pc_side) == sorted(PC_RULES)
    assert {row[0]: (row[1], row[2]) for row in rows} == pc_side | {r.id: (r.severity, r.title) for r in RULES.values()}
    assert len(rows) == len({row[0] for row in rows})


def found_for(origin: Origin, **more: Any) -> list[Any]:
    """Findings of a failed run that has this origin too."""
    return list(find(failed("crash"), None, compared(layer(0, "differs"), origins=(origin,), **more)))


def test_who_is_to_blame_comes_first_with_kind_evidence_and_what_to_do() -> None:
    mark = Fingerprint("zero_point", True, "board = reference +3 on every element", "board - 3")
    finding = found_for(Origin("conv7", "Conv", "conv7_out", fingerprint=mark))[0]
    assert (finding.rule, finding.severity, finding.subject) == ("C-100", "error", "conv7")
    assert finding.title == "conv7 differs although all its inputs are equal"
    assert finding.evidence == "tensor conv7_out; zero point: board = reference +3 on every element"
    assert finding.advice == f"{kinds.advice('zero_point')} Transform that makes both equal: board - 3."


def test_a_kind_that_is_not_certain_is_said_to_be_so() -> None:
    finding = found_for(Origin("conv7", "Conv", "conv7_out", fingerprint=Fingerprint("stride", False, "13 of 14")))[0]
    assert "stride (not certain): 13 of 14" in finding.evidence
    assert finding.advice.startswith("The fault kind is not certain. If it is stride: check row strides")


@pytest.mark.parametrize(
    ("origin", "title"),
    [
        (Origin("a", "Conv", "t", how="isolated"), "a is an origin"),
        (Origin("a", "Conv", "t", certain=False), "a is a suspect"),
        (Origin("a", "Conv", "t", certain=False, how="sequence"), "without a graph"),
        (Origin("a", "Conv", "t", first="x", unseen=("b", "c")), "a, or one of the 2 ops before it"),
        (Origin("", "", "t", certain=False, how="sequence"), "t is the first"),
    ],
)
def test_the_title_says_how_much_is_known(origin: Origin, title: str) -> None:
    finding = found_for(origin)[0]
    assert finding.rule == "C-100" and title in finding.title
    assert "all its inputs are equal" not in finding.title


def test_many_origins_are_not_many_pages() -> None:
    many = tuple(Origin(f"o{n}", "Conv", f"t{n}") for n in range(20))
    findings = [f for f in find({}, None, compared(layer(0, "differs"), origins=many)) if f.rule == "C-100"]
    assert len(findings) == 4 and findings[-1].evidence.endswith("16 more origins in the report")


def test_a_rule_that_fits_everywhere_is_said_a_few_times_and_then_counted() -> None:
    ended = [replace(layer(n, "differs"), note="its waiver ended on 2026-01-01: known") for n in range(20)]
    findings = [f for f in find({}, None, compared(*ended)) if f.rule == "C-106"]
    assert len(findings) == 6 and findings[-1].evidence.endswith("14 more of this rule are in the report's tables")
    few = [f for f in find({}, None, compared(*ended[:6])) if f.rule == "C-106"]
    assert len(few) == 6 and "more of this rule" not in few[-1].evidence


def test_an_unstable_run_says_so_first_and_does_not_blame_the_dumping_for_it() -> None:
    repeats = {"deterministic": False, "detail": "1 of 3", "first": "y", "unstable": {"y": {}, "z": {}}}
    again = {"debug": repeats, "release": repeats | {"first": "out", "unstable": {"out": {}}, "detail": "2 of 3"}}
    differing = {"same": False, "detail": "y differs"}
    finding = found_for(Origin("a", "Conv", "t"), determinism=again, debug_vs_release=differing)
    assert [f.rule for f in finding] == ["C-105", "C-100", "E-106"]
    assert (finding[0].subject, finding[0].evidence) == ("y", "debug: 1 of 3; release: 2 of 3")


def test_an_origin_of_a_debug_run_that_computes_something_else_says_so() -> None:
    differing = {"same": False, "detail": "y differs"}
    findings = find(
        {}, None, compared(layer(0, "differs"), origins=(Origin("a", "Conv", "t"),), debug_vs_release=differing)
    )
    assert findings[0].evidence.endswith("which does not give the outputs of the release run")
    assert [f.rule for f in findings][:2] == ["C-100", "C-104"]


def test_an_input_that_the_board_did_not_dump_is_not_called_equal() -> None:
    graph = {"ops": [{"name": "stem", "inputs": ["images"], "outputs": ["t0"]}]}
    finding = find({}, None, compared(layer(0, "differs"), origins=(Origin("stem", "Conv", "t0"),), graph=graph))[0]
    assert finding.title == "stem differs; its input or the op itself is wrong"
    assert "the board did not dump its input images" in finding.evidence
    dumped = replace(layer(1, "exact"), name="images")
    finding = find(
        {}, None, compared(dumped, layer(0, "differs"), origins=(Origin("stem", "Conv", "t0"),), graph=graph)
    )[0]
    assert finding.title == "stem differs although all its inputs are equal"


def test_an_interval_that_begins_at_an_undumped_input_is_not_called_good_until_there() -> None:
    graph = {
        "ops": [
            {"name": "a", "inputs": ["images"], "outputs": ["x"]},
            {"name": "b", "inputs": ["x"], "outputs": ["t0"]},
        ]
    }
    born = Origin("b", "Conv", "t0", first="images", unseen=("a",), fingerprint=Fingerprint("stride", True, "e"))
    finding = find({}, None, compared(layer(0, "differs"), origins=(born,), graph=graph))[0]
    assert "equal up to" not in finding.evidence and "did not dump its input images" in finding.evidence
    assert finding.advice.startswith("dump the tensors in between")


def test_a_plan_that_names_tensors_meets_the_layers_too() -> None:
    met = replace(layer(0, "exact"), name="conv1_out", op="conv1", unit="NNA")
    plan = join(build(nodes=(PlannedNode("conv1_out", "", "", cosine=0.99),)), None, compared(met))
    assert plan is not None and (plan.rows[0].board_verdict, plan.rows[0].measured_unit) == ("exact", "NNA")


def test_repeats_of_one_mode_without_its_name_are_read_too() -> None:
    answer = {"deterministic": False, "detail": "1 of 2 the same", "first": "y", "unstable": {"y": {}}}
    assert "C-105" in rules(None, None, compared(determinism={"": answer}))


def test_waivers_are_read_as_the_comparison_writes_them() -> None:
    metrics = Metrics(elements=10, mismatched=1, max_step=2.0)
    judged = Judgement("differs", "max step 2 > 1")
    ends = {"ended": date(2026, 1, 1), "holds": date(2027, 1, 1)}
    policies = {w: Policy("p", (), (Waiver("known", d, op="o0"),), today=date(2026, 6, 1)) for w, d in ends.items()}
    tight = replace(policies["holds"], waivers=(Waiver("known", ends["holds"], op="o0", max_step=1.0),))
    for policy, rule in ((policies["ended"], "C-106"), (tight, "C-106"), (policies["holds"], "C-107")):
        waived = waive(judged, metrics, "o0", "t0", policy)
        row = replace(layer(0, waived.verdict, waived.reason), note=waived.note)
        findings = [f for f in find({}, None, compared(row)) if f.rule in ("C-106", "C-107")]
        assert [(f.rule, f.subject) for f in findings] == [(rule, "o0")]
        assert "known" in findings[0].evidence


def test_a_start_that_was_not_compared_is_not_blamed() -> None:
    unseen = layer(0, "not_compared", "no_dump")
    assert "C-102" not in rules(None, None, compared(unseen, layer(1, "differs"), layer(2, "differs"), first="t1"))
    assert "C-102" not in rules(None, None, compared(layer(0, "differs"), first="t0"))
    extra = layer(0, "not_compared", "no_reference")
    assert "C-102" in rules(None, None, compared(extra, layer(1, "differs"), layer(2, "differs"), first="t1"))


def test_the_cut_is_told_with_what_its_borders_cost() -> None:
    (finding,) = (f for f in find({}, CUT, None) if f.rule == "T-201")
    assert finding.subject == "soft"
    assert finding.evidence == (
        "soft (Softmax) takes 30.0 us on the CPU, plus quantize and layout conversion 30.0 us and one start of the "
        "accelerator 5.0 us, 26.0 % of the latency; moving it would win 35.0 to 65.0 us"
    )


@pytest.mark.parametrize(
    "problem",
    ["model_latency is truncated: 1 complete nodes are read", "profiler.log block 2 is damaged (x): only complete"],
)
def test_time_of_ops_that_could_not_be_read_is_not_called_unattributed(problem: str) -> None:
    cut = replace(Latency(200.0), problems=(problem,))
    assert rules(None, profile(cut, (subgraph("s_0", 100.0),))) == {"R-301"}


def test_an_op_at_the_end_of_the_network_cuts_nothing() -> None:
    assert "T-201" not in rules(None, profile(Latency(99.0), (subgraph("s", 9.0), op("soft", 3.0)), ordered=True))


def test_the_worst_findings_come_first_and_each_once() -> None:
    run = failed("crash") | {"model_info": {"problems": ["p", "p"]}}
    findings = find(run, None, None)
    assert [f.severity for f in findings] == ["error", "note"]


@pytest.mark.parametrize("junk", [{}, {"modes": "x"}, {"model_info": 3, "telemetry": [], "board": None, "modes": [1]}])
def test_a_damaged_run_json_finds_nothing_and_does_not_crash(junk: dict[str, Any]) -> None:
    assert find(junk, None, None) == ()
