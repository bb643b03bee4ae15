"""Runs, profiles and comparisons that findings are looked for in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.diagnosis.plan import join
from harness.profiling import profile
from harness.records import (
    Comparison,
    Coverage,
    Latency,
    Layer,
    OpTime,
    Origin,
    Profile,
    Verdict,
)
from harness.report.language import language
from harness.toolchains.records import Artifact
from tests.records.kit import checks_of, find

ROOT = Path(__file__).resolve().parents[2]
ZH = language("zh")
# Of these the next step is a failure's own hint, a toolchain message's meaning, or the stretch's reason.
OWN_ADVICE = ("E-10", "M-507", "B-505", "T-201")


def rules(
    run: dict[str, Any] | None = None, times: Profile | None = None, comparison: Comparison | None = None
) -> set[str]:
    raised = find(run or {}, times, comparison)
    for one in raised:
        known = ZH.knows(one.title) and (ZH.knows(one.advice) or one.rule.startswith(OWN_ADVICE))
        assert known, f"no Chinese in templates/report/zh.json: {one.title} / {one.advice}"
    return {finding.rule for finding in raised}


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
        Verdict(word, "told", 1), Coverage(seen, len(layers), 0, 0), layers, origins, first, extras=checks_of(**extras)
    )


def lost(kind: str, *, is_harmful: bool = True) -> dict[str, Any]:
    """A quantization check, as run.json has it, that lost something at one op."""
    loss = {"kind": kind, "op": "join", "op_kind": "Concat", "tensor": "cat", "detail": "", "is_harmful": is_harmful}
    return {"outputs": [{"name": "y", "sqnr_db": 46.0}], "losses": [loss], "detail": "y 46 dB"}


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


def build(**parts: Any) -> list[tuple[Path, Artifact]]:
    return [(Path("hb.log"), Artifact("hb_mapper_log", "hb_mapper log", **parts))]


def planned(
    parts: dict[str, Any], times: Profile | None = None, comparison: Comparison | None = None, **run: Any
) -> set[str]:
    return {f.rule for f in find(run, times, comparison, join(build(**parts), times, comparison))}
