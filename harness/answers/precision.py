"""The answers of the commands about precision."""

from __future__ import annotations

from harness.answers.shapes import MapOf, one_of
from harness.lint.findings import LintFinding
from harness.precision.base import TypeChange
from harness.precision.judged.observations import CalibrationObservation, TensorRange
from harness.precision.judged.preprocessing import InputComparison
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
EXPLORED = {
    "name": str,
    "what": str,
    "group": str,
    "value": float | None,
    "answer": OutputAnswer,
    "jitter": MapOf(float),
    "latency_us": float | None,
    "band": one_of([float], None),
    "band_of": str,
    "method": str,
    "same_as": str,
    "refused": [str],
    "changes": [{"op": str, "option": str}],
    "on_accelerator": [str],
    "samples": [int],
}
EXPORTED = {"name": str, "files": [str], "command": str, "calibration": str, "lint": [LintFinding]}
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
        "why_not_edited": str,
        "edited": one_of(EDITED, None),
        "board": one_of(RAN, None),
    },
    "explore": {
        "model": str,
        "soc": str,
        "figure": str,
        "samples": int,
        "calibration_samples": int,
        "emulated": bool,
        "missing": MapOf(str),
        "configurations": [EXPLORED],
        "exported": one_of(EXPORTED, None),
        "tails": [OutputTail],
        "page": str,
    },
    "calibration": {
        "model": str,
        "samples": int,
        "inputs": int,
        "verdict": str,
        "emulated": bool,
        "observations": [CalibrationObservation],
        "tensors": [TensorRange],
        "preprocessing": [InputComparison],
    },
}
