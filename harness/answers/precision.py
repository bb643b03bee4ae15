"""The answers of the commands about precision."""

from __future__ import annotations

from harness.answers.shapes import one_of
from harness.lint.findings import LintFinding
from harness.precision.base import TypeChange
from harness.precision.masks import MaskEdit
from harness.precision.output_tails import OutputTail
from harness.precision.sensitivity import OutputAnswer
from harness.precision.tables import JoinedOp

POINT = {
    "value": float | None,
    "latency_us": float | None,
    "band": one_of([float], None),
    "band_of": str,
    "changes": [TypeChange],
}
VERIFIED = {"model": str, "value": float | None, "is_reached": bool, "refused": [str]}
EDITED = {"model": str, "difference": float}
RAN = {
    "board": str,
    "run": str,
    "verdict": str,
    "samples": int,
    "value": float | None,
    "is_reached": bool,
    "why_none": str,
}
PRECISION: dict[str, object] = {
    "sensitivity": {
        "model": str,
        "soc": str,
        "samples": int,
        "calibration": str,
        "task_metric": str,
        "emulated": bool,
        "file": str,
        "figure": str,
        "baseline": OutputAnswer,
        "ops": [JoinedOp],
    },
    "sensitivity-table": {"title": str, "ops": [JoinedOp], "problems": [str]},
    "tune": {
        "model": str,
        "soc": str,
        "figure": str,
        "reach": float,
        "emulated": bool,
        "reached": bool,
        "ops": int,
        "nodes": int,
        "changed": int,
        "start": POINT,
        "chosen": POINT,
        "points": [POINT],
        "files": [str],
        "command": str,
        "lint": [LintFinding],
        "verified": one_of(VERIFIED, None),
        "tails": [OutputTail],
        "edits": [MaskEdit],
        "edited": one_of(EDITED, None),
        "board": one_of(RAN, None),
    },
}
