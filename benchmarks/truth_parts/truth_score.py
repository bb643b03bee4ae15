"""What benchmarks/truth.py counts: the cases, the kinds that are right, the score of an answer, the table of it all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import onnx

from benchmarks.truth_parts.truth_models import Array
from harness.emulator.model.faults import catalogue
from harness.records import Comparison
from harness.reference.open import Reference

# What a fingerprint may rightly call each fault. Several words where one cause has several faces.
RIGHT: dict[str, tuple[str, ...]] = {
    "one_value": ("single_element", "bit_flip"),
    "off_by_one": ("zero_point",),
    "halved": ("shift",),
    "permuted": ("permutation",),
    "zeroed_column": ("stride", "zeroed_region", "dead_channel"),  # the last axis of a 3-D tensor is its channels
    "shift": ("shift",),
    "scale": ("scale",),
    "zero_point": ("zero_point",),
    "saturation": ("saturation",),
    "rounding": ("rounding",),
    "permutation": ("permutation",),
    "layout": ("layout",),
    "stride": ("stride",),
    "padding_leak": ("stride",),
    "tile": ("tile",),
    "cache_line": ("cache_line", "stale"),  # the fault is that one line holds an earlier frame: both are said of it
    "page": ("page", "stale"),
    "stale": ("stale",),
    "dead_channel": ("dead_channel", "stride"),  # an edge column, where channels are the last axis
    "nan": ("nan",),
    "inf": ("inf",),
    "nibble_swap": ("nibble_order",),
    "bias_dropped": ("bias", "channel_offset"),
    "channel_scale": ("channel_scale", "channel_affine", "weight_scale"),  # with a bias, each has an offset, too
    "channel_weights": ("channel",),
    "wrong_pads": ("padding", "moved"),
    "wrong_axis": ("axis",),
    "clip_missing": ("saturation", "activation", "skipped_op"),
    "resize_mode": ("resampling",),
    "epsilon": ("epsilon", "normalization"),
    "truncation": ("truncation",),
    "stale_item": ("stale",),
    "nondeterminism": ("nondeterminism",),
    "debug_differs": ("zero_point",),
    "wrong_mean": ("preprocessing",),
    "wrong_scale": ("preprocessing",),
    "colour_order": ("preprocessing",),
    "letterbox": ("preprocessing",),
    "limited_range": ("preprocessing",),
    "i420": ("preprocessing",),
    "swapped_inputs": ("input_order",),
}


@dataclass(frozen=True)
class Ground:
    """One network with the references of a few inputs."""

    name: str
    references: tuple[Reference, ...]
    model: onnx.ModelProto

    @property
    def ops(self) -> list[str]:
        """Tensors that faults can be planted in."""
        return [t.name for t in self.references[0].tensors.values() if not t.is_input]


@dataclass
class Score:
    """Counts of one kind of fault."""

    cases: int = 0
    detected: int = 0
    origin: int = 0
    kind: int = 0
    wrong_certain: int = 0
    misnamed: dict[str, int] = field(default_factory=lambda: defaultdict(int))


@dataclass(frozen=True)
class PlantedCase:
    """A planted fault: the board's tensors, and what a right answer names."""

    ground: Ground
    kind: str
    tensor: str
    values: Mapping[str, Array]
    reference: Reference
    with_inputs: bool = False
    hidden: frozenset[str] = frozenset()  # tensors that the board does not dump
    before: Reference | None = None  # of the frame that ran before, which is what stale memory holds
    again: tuple[Mapping[str, Array], ...] = ()


def is_right_origin(case: PlantedCase, comparison: Comparison) -> bool:
    """Every origin is the guilty op, or an interval that holds it; a wrong input is itself, or what reads it."""
    graph = case.reference.graph
    assert graph is not None
    if not comparison.origins:
        return False
    if catalogue()[case.kind].where in ("input", "inputs"):
        names = {case.tensor} if case.tensor else set(graph.inputs)
        readers = {op.name for op in graph.ops if names & set(op.inputs)}
        return all(o.tensor in names or (not case.with_inputs and o.op in readers) for o in comparison.origins)
    guilty = next(op.name for op in graph.ops if case.tensor in op.outputs)
    return all(o.op == guilty or guilty in o.unseen for o in comparison.origins)


def score(case: PlantedCase, comparison: Comparison, into: Score) -> None:
    into.cases += 1
    into.detected += comparison.verdict.exit_code == 1
    into.origin += is_right_origin(case, comparison)
    kinds = [o.fingerprint for o in comparison.origins if o.fingerprint is not None]
    named = bool(kinds) and any(k.kind in RIGHT[case.kind] for k in kinds)
    into.kind += named
    into.wrong_certain += any(k.certain and k.kind not in RIGHT[case.kind] for k in kinds)
    if not named:
        into.misnamed[kinds[0].kind if kinds else "nothing"] += 1


def totals(result: Mapping[str, Any]) -> dict[str, Any]:
    scores = list(result["scores"].values())
    return {
        "cases": sum(s.cases for s in scores),
        "detected": sum(s.detected for s in scores),
        "origin": sum(s.origin for s in scores),
        "kind": sum(s.kind for s in scores),
        "kind_wrong_certain": sum(s.wrong_certain for s in scores),
        "clean_runs": result["clean_runs"],
        "false_alarms": result["false_alarms"],
    }


def table(result: Mapping[str, Any]) -> str:
    """The table of docs/truth.md."""
    head = ("fault", "cases", "detected", "origin", "kind", "certain and wrong", "other kinds reported")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for kind, s in result["scores"].items():
        others = ", ".join(f"{name} {count}" for name, count in sorted(s.misnamed.items(), key=lambda i: -i[1]))
        lines.append(f"| {kind} | {s.cases} | {s.detected} | {s.origin} | {s.kind} | {s.wrong_certain} | {others} |")
    t = totals(result)
    sums = (t["cases"], t["detected"], t["origin"], t["kind"], t["kind_wrong_certain"])
    lines.append(f"| **all** | {' | '.join(f'**{n}**' for n in sums)} | {t['kind'] / max(1, t['cases']):.1%} right |")
    words = ", ".join(f"{count} {word}" for word, count in sorted(result["words"].items()))
    h = result["hidden"]
    sentence = f"{h.cases} cases, {h.detected} detected, {h.origin} at the op or in an interval that contains it."
    lines += ["", f"With a third of the layers not dumped: {sentence}"]
    lines += ["", f"Clean runs: {t['clean_runs']} ({words}); false alarms: {t['false_alarms']}."]
    return "\n".join(lines)
