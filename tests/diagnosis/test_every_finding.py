"""Every id of a finding has a case that must raise it and a near miss that must not, and so has every rule of lint.

An id without a case fails here. Cases are records or folders; those of inputs are in test_fed.py and
tests/review/test_preflight.py as well, with real files.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from harness import vendors
from harness.cli import cli
from harness.consistency.checks import reference_check
from harness.consistency.checks.pc_rules import PC_RULES
from harness.consistency.reading.pairs import NIBBLE_NOTE
from harness.diagnosis import RULES, rules_of_findings
from harness.diagnosis.explained import WHEN
from harness.diagnosis.fed import proved, suspected
from harness.lint.base import LintVendor
from harness.profiling import profile
from harness.records import Latency, Layer, Message, Op, OpTime, Origin
from harness.records.codec import to_json
from harness.toolchains.records import PlannedNode, SegmentEstimate
from tests.consistency.checks import test_reference_check as pc
from tests.diagnosis import test_fed as fed_cases
from tests.diagnosis.test_diagnosis import SHOWN, lost
from tests.records.kit import find
from tests.support.diagnosis_kit import CUT, ROOT, compared, failed, layer, op, planned, rules, sensed, subgraph

Rules = Callable[[], set[str]]


@dataclass(frozen=True)
class FindingCase:
    """What must raise a finding, and the nearest thing that must not."""

    raises: Rules
    misses: Rules


def timed(latency: Latency, *ops: OpTime, **more: Any) -> tuple[Any, ...]:
    return (None, profile(latency, ops, **more))


def run_with(*arguments: Any) -> Rules:
    return lambda: rules(*arguments)


CLOCKED = [{"phase": "during", "clocks_mhz": {"bpu0": mhz}, "load_percent": {"bpu0": 99.0}} for mhz in (1000.0, 960.0)]
QUIET = Latency(100.0, threads=1)
# As near to the case of test_diagnosis.SHOWN as it can be without the finding.
NEAR: dict[str, tuple[Any, ...]] = {
    "E-101": ({"versions": {"hbrt": "3.15.54.0", "model_hbrt": "3.15.54.0"}},),
    "E-102": (failed("memory"),),
    "E-103": (failed("wrong_march"),),
    "E-104": (failed("crash"),),
    "E-105": (failed("crash"),),
    "E-106": (failed("garbage"),),
    "E-107": (failed("crash"),),
    "E-110": (sensed(governors={"policy0": "userspace"}),),
    "E-111": ({"telemetry": {"samples": CLOCKED}},),
    "E-112": (sensed(phase="before", load_percent={"bpu0": 4.0}),),
    "E-113": (sensed(temperatures_c={"CPU": 94.0}),),
    "E-114": ({"board": {"facts": {"clock_offset_s": 86000.0}}},),
    "C-100": (None, None, compared(layer(0, "differs"), origins=(Origin("t0", "input", "t0"),))),
    "C-101": (None, None, compared(layer(0, "exact"), layer(1, "differs"))),
    "C-102": (None, None, compared(layer(0, "exact"), layer(1, "differs"), first="t1")),
    "C-103": (None, None, compared(layer(0, "differs"), origins=(Origin("o0", "Conv", "t0"),))),
    "C-104": (None, None, compared(debug_vs_release={"same": True, "detail": "all outputs are the same"})),
    "C-105": (None, None, compared(determinism={"debug": {"deterministic": True, "detail": "2 of 2 the same"}})),
    "C-106": (None, None, compared(replace(layer(0, "within"), note="waived until 2027-01-01: known"))),
    "C-107": (None, None, compared(layer(0, "within", "max step 1 <= 1"), word="consistent_within")),
    "T-201": timed(Latency(99.0), subgraph("s", 9.0), op("soft", 3.0), ordered=True),
    "T-202": timed(QUIET, subgraph("s_0", 81.0)),
    "T-203": timed(QUIET, subgraph("s", 80.0), op("q", 14.0, category="quantize")),
    "T-204": timed(QUIET, subgraph("s", 50.0), op("soft", 49.0)),
    "T-205": timed(Latency(12.0, min_us=6.1), subgraph("s", 12.0)),
    "T-206": timed(Latency(100.0, frames=2), subgraph("s", 99.0)),
    "T-207": timed(QUIET, subgraph("s", 99.0)),
    "T-208": timed(QUIET, subgraph("s", 99.0)),
    "T-209": timed(QUIET, subgraph("s", 50.0), op("soft", 49.0), ordered=True),
    "T-210": timed(Latency(1.0, samples_us=(1.0,) * 40 + (1.04,) * 20), subgraph("s", 1.0)),
    "Q-101": (None, None, compared(quantization=lost("channels", is_harmful=False))),
    "Q-102": (None, None, compared(quantization=lost("saturated"))),
    "Q-103": (None, None, compared(quantization=lost("swallowed"))),
    "Q-104": (None, None, compared(quantization=lost("saturated"))),
    "Q-105": (None, None, compared(quantization=lost("channels"))),
    "R-301": ({"model_info": {"problems": [], "warnings": ["w"]}},),
}
CASES: dict[str, FindingCase] = {
    rule: FindingCase(run_with(*shown), run_with(*NEAR[rule])) for rule, shown in SHOWN.items()
}

# --------------------------------------------------------------------------- the build


def a_plan(times: Any = None, board: dict[str, Any] | None = None, **parts: Any) -> Rules:
    return lambda: planned(parts, times, **({"board": board} if board else {}))


def int16(share: float) -> Rules:
    shares = {"int8": 1 - share, "int16 features, int8 weights": share}
    estimate = SegmentEstimate("", 65.0, 15000.0, 31982000, mac_shares=shares)
    times = profile(Latency(20_000.0), (subgraph("net_bpu_segment_0", 18_000.0),), ordered=True)
    return lambda: planned({"estimates": (estimate,)}, times)


SOFT = PlannedNode("soft", "CPU", "Softmax")
CASES |= {
    "B-501": FindingCase(
        lambda: planned({"march": "bayes-e"}, model_info={"versions": {"march": "nash-e"}}),
        lambda: planned({"march": "bayes-e"}, model_info={"versions": {"march": "bayes-e"}}),
    ),
    "B-502": FindingCase(a_plan(CUT, nodes=(replace(SOFT, unit="BPU"),)), a_plan(CUT, nodes=(SOFT,))),
    "B-503": FindingCase(
        a_plan(CUT, estimates=(SegmentEstimate("s_0", 50.0, 50.0),)),
        a_plan(CUT, estimates=(SegmentEstimate("s_0", 70.0, 70.0),)),
    ),
    "B-504": FindingCase(a_plan(nodes=(replace(SOFT, cosine=0.949),)), a_plan(nodes=(replace(SOFT, cosine=0.951),))),
    "B-507": FindingCase(int16(0.11), int16(0.09)),
    "B-505": FindingCase(
        a_plan(messages=(Message("warning", "w", "", ""),)),
        a_plan(messages=(Message("note", "w", "", ""),)),
    ),
}

# --------------------------------------------------------------------------- how outputs leave


def head(dtype: str, march: str = "nash-e", *more: Op) -> Rules:
    """A network that ends in a convolution, which leaves in that type; `more` ops read on."""
    ops = (Op("stem", "Conv", ("x",), ("t0",)), Op("head", "Conv", ("t0",), ("y",)), *more)
    last = Layer(1, "y", "head", "Conv", "exact", dtype=dtype, is_output=True)
    graph = {"ops": [to_json(op) for op in ops]}
    comparison = compared(layer(0, "exact"), last, word="consistent", graph=graph)
    return lambda: rules({"model_info": {"versions": {"march": march}}}, None, comparison)


READER = Op("next", "Conv", ("y",), ("z",))


def recurrent(leaves: str, comes_back: str, state: str = "h_in") -> Rules:
    """An output and an input of one shape."""
    specs = [
        {"name": name, "dtype": dtype, "shape": [1, 64]} for name, dtype in (("h_out", leaves), (state, comes_back))
    ]
    info = {"outputs": specs[:1], "inputs": specs[1:]}
    return lambda: rules({"board": {"platform": "ucp"}, "model_info": info})


def converted(us: float, order: bool = True) -> Rules:
    ends = (subgraph("s", 90.0), op("y_HzDequantize", us, category="dequantize"))
    return lambda: rules({"board": {"platform": "hbdnn"}}, profile(Latency(100.0), ends, ordered=order))


CASES |= {
    "B-508": FindingCase(head("s8"), head("s32")),
    "B-509": FindingCase(head("s32", "nash-p", READER), head("s8", "nash-p", READER)),
    "B-510": FindingCase(recurrent("s32", "s8"), recurrent("s32", "s8", "x_in")),
    "B-511": FindingCase(converted(2.1), converted(1.9)),
}

# --------------------------------------------------------------------------- symptoms


def curve(cosines: list[float], platform: str, word: str = "consistent") -> Rules:
    """Findings of a run whose toolchain gave these cosines, on a platform."""
    nodes = tuple(PlannedNode(f"l{i}", "BPU", "Conv", cosine=cosine) for i, cosine in enumerate(cosines))
    kind = "magik_transform_log" if platform == "magik" else "hb_mapper_log"

    def found_rules() -> set[str]:
        from harness.diagnosis.plan import join
        from harness.toolchains.records import Artifact

        plan = join([(Path("t.log"), Artifact(kind, kind, nodes=nodes))], None, None)
        comparison = compared(layer(0, "differs" if word == "diverges" else "exact"), word=word)
        return {one.rule for one in find({"board": {"platform": platform}}, None, comparison, plan)}

    return found_rules


FINE = [0.9999] * 20
FALLING = [*FINE[:8], *[0.97 - 0.005 * i for i in range(12)]]
for letter, platform in (("S", "hbdnn"), ("M", "magik")):
    CASES |= {
        f"{letter}-601": FindingCase(curve([0.989, *FINE], platform), curve([0.991, *FINE], platform)),
        f"{letter}-602": FindingCase(curve(FALLING, platform), curve([*FINE[:9], 0.985, *FINE[:9]], platform)),
        f"{letter}-603": FindingCase(curve([*FINE, 0.96, 0.95], platform), curve([*FINE, 0.985, 0.981], platform)),
        f"{letter}-604": FindingCase(curve(FINE, platform, "diverges"), curve(FINE, platform)),
    }

# --------------------------------------------------------------------------- one vendor's boards


def magik(compared_layers: tuple[Layer, ...] = (), **run: Any) -> Rules:
    whole = {"board": {"platform": "magik"}, "case": {}, "notes": [], "memory": {}} | run
    comparison = compared(*compared_layers, word="consistent") if compared_layers else None
    return lambda: {one.rule for one in find(whole, None, comparison)}


def fed_with(md5: str) -> dict[str, Any]:
    reference = {"name": "d", "kind": "folder", "inputs": {"input_data_shape_1_2_2_3.bin": "aa"}}
    return {"inputs": [{"name": "x_1_2_2_3.bin", "md5": md5}], "reference": reference}


PACKED = Layer(0, "414_Quantize", "", "", "exact", note=NIBBLE_NOTE)
SKEW = "release: version skew: the soc-nna driver is too old to tell its version; venus asks to upgrade it"
CASES |= {
    "M-501": FindingCase(magik(case=fed_with("bb")), magik(case=fed_with("aa"))),
    "M-502": FindingCase(magik((PACKED,)), magik((replace(PACKED, note=""),))),
    "M-503": FindingCase(magik(notes=[SKEW]), magik(notes=["release: version skew: the library is for NNA1"])),
    "M-504": FindingCase(
        magik(notes=["nmem: nmem_memory.txt: stale or truncated: '###'"]), magik(notes=["nmem: nmem_memory.txt"])
    ),
    "M-505": FindingCase(
        magik(memory={"nmem": {"total_bytes": 1000, "peak_bytes": 901}}),
        magik(memory={"nmem": {"total_bytes": 1000, "peak_bytes": 899}}),
    ),
    "M-506": FindingCase(
        magik(notes=["debug: not dumped, names with a slash: a/b.bin"]), magik(notes=["debug: dumped"])
    ),
    "M-507": FindingCase(run_with(failed("wrong_library")), run_with(failed("missing_library"))),
}

# --------------------------------------------------------------------------- the PC's side


def of_pc(unstable: tuple[reference_check.UnstableOp, ...] = (), **runner: Any) -> Rules:
    return lambda: set(pc.rules(pc.GOOD | runner, unstable))


WRONG, RESIZE = pc.WRONG, (replace(pc.WRONG[0], op_kind="Resize"),)
BARE = {"vnni": False, "optimizations": "all"}
CASES |= {
    "P-401": FindingCase(of_pc(WRONG, **BARE), of_pc(RESIZE, **BARE)),
    "P-402": FindingCase(of_pc(**BARE), of_pc(vnni=False)),
    "P-403": FindingCase(of_pc(WRONG, optimizations="all"), of_pc(optimizations="all")),
    "P-404": FindingCase(of_pc(optimizations="all"), of_pc()),
    "P-405": FindingCase(of_pc(dumping_changed_outputs=True), of_pc(dumping_changed_outputs=False)),
    "P-406": FindingCase(of_pc(threads=4), of_pc(threads=1)),
    "P-407": FindingCase(
        lambda: set(pc.rules(pc.GOOD, onnxruntime="1.19.2")), lambda: set(pc.rules(pc.GOOD, onnxruntime="1.23.0"))
    ),
}

# --------------------------------------------------------------------------- inputs


def fed(*views: Any) -> Rules:
    return lambda: {one.rule for one in (*proved(views), *suspected(views))}


GOOD, OTHER = fed_cases.normalised(), fed_cases.normalised(5)
PIXELS = fed_cases.photo().astype(np.float32).transpose(2, 0, 1)[None]
LUMA = fed_cases.photo().mean(axis=-1).astype(np.uint8)
of = fed_cases.view
CASES |= {
    "I-102": FindingCase(
        fed(of(GOOD, OTHER, "a"), of(OTHER, GOOD, "b")), fed(of(GOOD, GOOD, "a"), of(OTHER, OTHER, "b"))
    ),
    "I-103": FindingCase(fed(of(GOOD, fed_cases.as_nhwc(GOOD))), fed(of(GOOD, GOOD[..., ::-1]))),
    "I-105": FindingCase(fed(of(GOOD, GOOD * np.float32(2))), fed(of(GOOD, OTHER))),
    "I-112": FindingCase(fed(of(fed_cases.as_nhwc(GOOD))), fed(of(GOOD))),
    "I-113": FindingCase(
        fed(fed_cases.nv12(np.ascontiguousarray(LUMA.T).reshape(LUMA.shape))), fed(fed_cases.nv12(LUMA))
    ),
    "I-114": FindingCase(fed(of(PIXELS)), fed(of(GOOD * np.float32(1.2)))),
    "I-115": FindingCase(fed(of(GOOD / np.float32(255))), fed(of(GOOD / np.float32(10)))),
}
PADDED = "test_channels_and_heads_that_are_padded_are_told_on_the_chips_that_pad_them"
BY_REFERENCE = {  # cases with files: (test file, the test that must raise it, the near miss)
    "I-101": ("tests/review/test_preflight.py", "test_another_model_of_the_file_is_named", "test_the_right_model"),
    "I-104": ("tests/review/test_preflight.py", "test_another_batch_is_told", "test_models_that_agree_say_nothing"),
    "I-111": ("tests/review/test_preflight.py", "test_inputs_by_order", "test_inputs_by_name"),
    "B-506": ("tests/diagnosis/test_blocks.py", PADDED, PADDED),  # on chips that pad, and on others
    "I-116": ("tests/review/test_preflight.py", "test_another_layout_is_told", "test_models_that_agree_say_nothing"),
}
LINT_TESTS = (
    "tests/lint/test_rules.py",
    "tests/lint/test_magik.py",
    "tests/lint/test_sophgo.py",
)  # a failing and a passing config per rule


def test_every_id_has_a_case() -> None:
    assert sorted({**CASES, **BY_REFERENCE}) == sorted(rules_of_findings())


@pytest.mark.parametrize("rule", CASES)
def test_the_case_raises_it_and_the_near_miss_does_not(rule: str) -> None:
    assert rule in CASES[rule].raises()
    assert rule not in CASES[rule].misses()


@pytest.mark.parametrize("rule", BY_REFERENCE)
def test_cases_with_files_are_there(rule: str) -> None:
    file, *tests = BY_REFERENCE[rule]
    text = (ROOT / file).read_text(encoding="utf-8")
    names = {node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}
    assert set(tests) <= names and rule in text


def test_every_rule_of_lint_has_a_test() -> None:
    texts = "".join((ROOT / file).read_text(encoding="utf-8") for file in LINT_TESTS)
    texts += (ROOT / "tests/support/lint_examples.py").read_text(encoding="utf-8")
    known = {rule for room in vendors.parts("lint", LintVendor).values() for rule in room.rules}
    assert known and [rule for rule in sorted(known) if rule not in texts] == []
    assert not known & set(rules_of_findings())  # `harness explain` takes either


def test_every_rule_tells_when_it_is_raised_its_source_and_the_next_step() -> None:
    for rule in rules_of_findings().values():
        assert rule.when and rule.source and rule.title, rule
        assert rule.advice or rule.id == "C-100", rule  # its advice is that of the fault kind
    assert set(WHEN) - set(PC_RULES) <= set(RULES)


def test_the_page_says_the_same_conditions() -> None:
    page = (ROOT / "docs/findings.md").read_text(encoding="utf-8").replace("'", '"')
    for rule in rules_of_findings().values():
        (line,) = [line for line in page.splitlines() if line.startswith(f"| {rule.id} |")]
        assert rule.when.replace("'", '"') in line or "[report]" in line, rule


@pytest.mark.parametrize("rule", ["C-103", "i-112", "P-402", "H-101", "M-601", "S-604"])
def test_explain_tells_it_in_the_terminal_and_as_json(rule: str) -> None:
    plain, as_json = (CliRunner().invoke(cli, ["explain", rule, *more]) for more in ((), ("--json",)))
    answer = json.loads(as_json.stdout)
    assert plain.exit_code == as_json.exit_code == 0 and answer["id"] == rule.upper()
    for word in (answer["id"], answer["severity"], answer["title"], answer["source"], answer["advice"]):
        assert word and word in plain.stdout


def test_explain_lists_all_and_refuses_what_is_none() -> None:
    listed = CliRunner().invoke(cli, ["explain", "--json"])
    ids = [row["id"] for row in json.loads(listed.stdout)["rules"]]
    assert set(rules_of_findings()) < set(ids) and "H-101" in ids and len(ids) == len(set(ids))
    refused = CliRunner().invoke(cli, ["explain", "C-1O3"])
    assert refused.exit_code == 2 and "did you mean C-103?" in refused.stderr
