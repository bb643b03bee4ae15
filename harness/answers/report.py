"""report.json: the tables of the page (docs/report.md says what each key holds)."""

from __future__ import annotations

from collections.abc import Mapping

from harness.answers.shapes import Extended, OneOf
from harness.records.checks import QuantizationCheck
from harness.records.comparison import ComparedReference, Fingerprint, Picture
from harness.records.json_values import Json
from harness.records.plan import Message
from harness.records.run import LeftFile, PushedFile
from harness.records.running import Band, Failure
from harness.records.samples import Jitter
from harness.records.segmentation import OffOp
from harness.records.telemetry import FrameTimeline

TEXTS = Mapping[str, str]
FIGURES = Mapping[str, float]
FIGURE = float | None
ROWS = [Mapping[str, Json]]  # of what a newer harness may hold more of

RUN: dict[str, object] = {
    **dict.fromkeys(("id", "state", "stopped_at", "started_utc", "finished_utc", "harness_version"), str),
    "duration_s": FIGURE,
}
HEADLINE: dict[str, object] = {
    **dict.fromkeys(("word", "tone", "title", "subject", "quantization"), str),
    "sentences": [str],
}
COUNTS = dict.fromkeys(
    ("origin", "suspect", "differs", "propagated", "cleared", "not_compared", "within", "exact"), int
)
COVERAGE: dict[str, object] = {
    **dict.fromkeys(("layers_compared", "layers_total", "bytes_compared", "bytes_total"), int),
    "layers_share": FIGURE,
    "bytes_share": FIGURE,
    "inputs": COUNTS,
    "whole": bool,
}
NUMBER = {"label": str, "value": float | str | None, "unit": str, "share": FIGURE, "estimated": bool}
FINDING: dict[str, object] = {
    **dict.fromkeys(("rule", "severity", "title", "evidence", "advice", "subject", "failed"), str),
    "source?": str,
}
_COUNTED = ("elements", "mismatched", "max_ulp", "nan_board", "nan_reference", "inf_board", "inf_reference")
_MEASURED = (
    *("max_step", "mean_step", "relative_l2", "sqnr_db", "max_abs", "max_abs_over_range", "one_minus_cosine"),
    *("saturated_share_board", "saturated_share_reference", "zero_share_board", "zero_share_reference"),
    "mismatch_share",
)
METRICS = {**dict.fromkeys(_COUNTED, int | None), **dict.fromkeys(_MEASURED, FIGURE), "finite_only": bool}
_WORDS_OF_LAYER = (
    *("name", "op", "op_kind", "unit", "dtype", "standing", "verdict", "reason", "note", "match", "board_file"),
    "hashed",
)
LAYER: dict[str, object] = {
    "position": int,
    "index": int,
    **dict.fromkeys(_WORDS_OF_LAYER, str),
    "shape": [int],
    "size_bytes": int | None,
    "is_output": bool,
    **METRICS,
    "alone": OneOf((METRICS, None)),
    "md5": dict.fromkeys(("file_board", "file_reference", "valid_board", "valid_reference"), str),
}
_NEAR_OP = {**dict.fromkeys(("name", "kind", "tensor", "standing"), str), "position": int | None, "sqnr_db": FIGURE}
ORIGIN: dict[str, object] = {
    **dict.fromkeys(("op", "op_kind", "tensor", "first", "how"), str),
    "unseen": [str],
    "undumped": [str],
    "certain": bool,
    "fingerprint": Fingerprint | None,
    "layer": OneOf((LAYER, None)),
    "histogram": [[int]],
    "pictures": Picture,
    "neighbours": OneOf(({"inputs": [_NEAR_OP], "op": _NEAR_OP, "consumers": [_NEAR_OP]}, None)),
    "equal_inputs": int,
}
_SENTENCE = {"check": str, "good": bool | None, "detail": str}
_OUTPUT: dict[str, object] = {
    "name": str,
    "relative_l2": FIGURE,
    "position": int | None,
    "mismatched": int | None,
    "finite_only": bool | None,
    "nan_board": int | None,
    "nan_reference": int | None,
    "top1_board?": int | None,
    "top1_reference?": int | None,
    "top1_same?": bool | None,
}
STAGES: dict[str, object] = {
    "detail": str,
    "first": str,
    "steps": [dict.fromkeys(("from", "to", "inputs", "word", "detail", "first_difference"), str)],
    "stages": [{"name": str, "alignment": str}],
    "table": [TEXTS],
    "shown": [TEXTS],
}
COMPARISON: dict[str, object] = {
    **dict.fromkeys(("policy", "graph_source", "first_difference"), str),
    "reference": ComparedReference,
    "notes": [str],
    "checks": {
        "sentences": [_SENTENCE],
        "stages": OneOf((STAGES, None)),
        "outputs": [_OUTPUT],
        "three_way": OneOf(({"counts": Mapping[str, int], "layers": ROWS}, None)),
        "quantization": QuantizationCheck | None,
        "other": Mapping[str, Json],
    },
}
REPEATS: dict[str, object] = {
    **dict.fromkeys(("kind", "first", "detail"), str),
    "runs": int,
    "judged": int,
    "good": bool | None,
    "undecided": [str],
    "layers": [{"name": str, "same": int, "results": int, "hashes": [str]}],
}
WAIVERS = [{"position": int, **dict.fromkeys(("name", "op", "state", "said"), str)}]
POLICY_WAIVERS = [
    {**dict.fromkeys(("op", "tensor", "reason", "until", "bounds"), str), "ended": bool, "layers": int | None}
]
_CHANGED = [dict.fromkeys(("name", "before", "now"), str)]
PREVIOUS: dict[str, object] = {
    **dict.fromkeys(("run", "started_utc", "passed_over"), str),
    "verdict": dict.fromkeys(("before", "now", "change"), str),
    "changed": [dict.fromkeys(("what", "before", "now"), str)],
    "layers": OneOf(
        (
            {
                "both": int,
                **dict.fromkeys(("worse", "better", "no_longer_compared", "newly_compared"), _CHANGED),
            },
            None,
        )
    ),
    "latency": OneOf((Mapping[str, Json], None)),
    "sentences": [str],
}
SEGMENTATION: dict[str, object] = {
    "rows": [
        {
            **dict.fromkeys(("sort", "name", "unit"), str),
            "total_us": FIGURE,
            "share": FIGURE,
            "estimated": bool,
            "ops": [OffOp],
            **dict.fromkeys(("own_us?", "quantize_us?", "dequantize_us?", "layout_us?", "other_us?"), FIGURE),
            **dict.fromkeys(("launch_us?", "gain_low_us?", "gain_high_us?"), FIGURE),
            **dict.fromkeys(("place?", "gain?", "parts?"), str),
        }
    ],
    "cuts": int | None,
    "subgraphs": int,
    "end_to_end_us": FIGURE,
    "sum_us": FIGURE,
    "estimated": bool,
    "notes": [str],
}
_MAC_SHARES: list[object] = [{"types": str, "share": float}]
PLAN: dict[str, object] = {
    "sources": [{"kind": str, "file": str}],
    "march": str,
    "versions": TEXTS,
    "planned": int,
    "seen": int,
    "moved": int,
    "nodes": [
        {
            "position": int,
            "name": str,
            "kind": str,
            "subgraph": int | None,
            **dict.fromkeys(("dtype", "planned_unit", "measured_unit", "board_verdict", "standing"), str),
            "moved": bool,
            "measured_us": FIGURE,
            "estimated": bool,
            "toolchain_cosine": FIGURE,
            "board_one_minus_cosine": FIGURE,
        }
    ],
    "segments": [
        {
            "name": str,
            **dict.fromkeys(("estimated_us", "measured_us", "ratio"), FIGURE),
            "estimated": bool,
            "ddr_bytes": int | None,
            "bound": str,
            "blocks": ROWS,
            "has_totals": bool,
            "composites": ROWS,
            "mac_shares": _MAC_SHARES,
            "memory_bytes": Mapping[str, int],
        }
    ],
    "messages": [Message],
    "problems": [str],
}
_END = {"name": str, "layer": int | None, "standing": str}
NETWORK: dict[str, object] = {
    "inputs": [_END],
    "outputs": [_END],
    "segments": [{"name": str, "unit": str, "time_us": FIGURE}],
    "borders": [{"kind": str, "count": int, "time_us": FIGURE}],
    "ops": [
        {
            **dict.fromkeys(("name", "kind", "standing", "unit"), str),
            "inputs": [str],
            "outputs": [str],
            "layers": [int],
            "sqnr_db": FIGURE,
            "nonfinite": bool,
            "segment": int | None,
            "timed": int | None,
            "time_us": FIGURE,
            "share": FIGURE,
        }
    ],
}
_LATENCY: dict[str, object] = {
    **dict.fromkeys(("mean_us", "min_us", "max_us", "fps", "total_us"), FIGURE),
    "frames": int | None,
    "threads": int | None,
    "core": int | str | None,
    "warmup_excluded": bool | None,
    "samples": int,
    "problems": [str],
    "notes": [str],
}
_DISTRIBUTION: dict[str, object] = {
    "basis": str,
    **dict.fromkeys(("count", "frames", "outliers", "warmup"), int | None),
    **dict.fromkeys(("median_us", "low_us", "high_us", "outliers_from_us", "outliers_to_us"), FIGURE),
    **dict.fromkeys(("outliers_add_us", "first_us", "drift"), FIGURE),
    "percentiles_us": FIGURES,
}
TIME: dict[str, object] = {
    "latency": OneOf((_LATENCY, None)),
    "distribution": OneOf((_DISTRIBUTION, None)),
    "usual": str,
    "band": str,
    "band_us": Band | None,
    "spread": OneOf(({"low_us": float, "high_us": float, "counts": [int]}, None)),
    "split": [{"part": str, "is_unit": bool, "time_us": FIGURE, "share": FIGURE, "estimated": bool}],
    "unattributed_us": FIGURE,
    "ops_sum_us": FIGURE,
    "segments": [
        {
            "position": int,
            **dict.fromkeys(("unit", "name", "first_op", "last_op"), str),
            "ops": int,
            "start_us": FIGURE,
            "time_us": FIGURE,
            "estimated": bool,
            "inside?": ROWS,
        }
    ],
    "order_known": bool,
    "estimated": bool,
    "estimated_ops": int,
    "simulator": str,
    "source": str,
    "notes": [str],
    "ops": [
        {
            "position": int,
            **dict.fromkeys(("name", "kind", "unit", "category", "standing"), str),
            **dict.fromkeys(("mean_us", "min_us", "max_us", "share"), FIGURE),
            "count": int | None,
            "estimated": bool,
            "figures": FIGURES,
        }
    ],
}
TELEMETRY: dict[str, object] = {
    "t_s": FIGURE,
    "phase": str,
    **dict.fromkeys(("temperatures_c", "clocks_mhz", "load_percent", "voltages_mv"), FIGURES),
    **dict.fromkeys(("bandwidth_mib_s", "memory_mib", "power_mw"), FIGURES),
}
MODE: dict[str, object] = {
    **dict.fromkeys(("mode", "command", "folder"), str),
    "environment": TEXTS,
    "exit_code": int | None,
    "duration_s": FIGURE,
    "files": [LeftFile],
    "files_bytes": int,
    "failure": Failure | None,
    "notes": [str],
}
_TRAFFIC = dict.fromkeys(
    (
        *("pulled_files", "pulled_bytes", "reused_files", "reused_bytes", "verified_on_board_files"),
        *("verified_on_board_bytes", "not_pulled_files", "not_pulled_bytes"),
    ),
    int,
)
TRAFFIC: dict[str, object] = {
    "sent_bytes": int | None,
    "offered_bytes": int | None,
    "sent_known": bool,
    "modes": [{"mode": str, **_TRAFFIC}],
    "total": OneOf((_TRAFFIC, None)),
}
_TENSOR: dict[str, object] = {
    **dict.fromkeys(("name", "dtype", "layout"), str),
    "shape": [int],
    "aligned_shape": [int],
    "scales": [float],
    "zero_points": [int],
    "axis": int | None,
}
_OPEN = OneOf((Mapping[str, Json], None))  # of a sweep, a soak, samples: what run.json holds, in words too
REPORT: dict[str, object] = {
    "format": int,
    "run": RUN,
    "headline": HEADLINE,
    "coverage": OneOf((COVERAGE, None)),
    "counts": COUNTS,
    "hashed": str,
    "facts": [{**dict.fromkeys(("label", "value", "md5", "flag"), str), "aside": bool}],
    "numbers": [NUMBER],
    "findings": [FINDING],
    "layers": [LAYER],
    "origins": [ORIGIN],
    "comparison": OneOf((COMPARISON, None)),
    "repeats": [REPEATS],
    "own_checks": [_SENTENCE],
    "waivers": WAIVERS,
    "policy_waivers": POLICY_WAIVERS,
    "previous": OneOf((PREVIOUS, None)),
    "gate": str,
    "sweep": _OPEN,
    "soak": _OPEN,
    "samples": _OPEN,
    "jitter": OneOf((Extended(Jitter, {}), None)),
    "segmentation": OneOf((SEGMENTATION, None)),
    "plan": OneOf((PLAN, None)),
    "network": OneOf((NETWORK, None)),
    "time": OneOf((TIME, None)),
    "memory": [{"mode": str, "figure": str, "label": str, "bytes": float | None}],
    "telemetry": [TELEMETRY],
    "timeline": FrameTimeline | None,
    "modes": [MODE],
    "pushed": [PushedFile],
    "inputs": [{**dict.fromkeys(("tensor", "name", "file", "md5"), str), "bytes": int, "generated": bool}],
    "traffic": OneOf((TRAFFIC, None)),
    "timings": [{"step": str, "seconds": FIGURE, "share": FIGURE}],
    "model": {"inputs": [_TENSOR], "outputs": [_TENSOR]},
    "environment": [{"group": str, "entries": [{"name": str, "value": str}]}],
    "notes": [str],
    "problems": [str],
    "steps": [dict.fromkeys(("name", "state", "detail", "command", "symptom"), str)],
    "again": OneOf(({"way": str, "line": str}, None)),
}
