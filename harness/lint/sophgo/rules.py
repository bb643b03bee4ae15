"""The rules of `harness lint` for a quantize table; what the compiler does with each was tried with tpu-mlir 1.30.2."""

from __future__ import annotations

from harness.lint.findings import LintRule

GUIDE = "tpu-mlir quick start, chapter on mixed precision (quantize table)"
TRIED = "model_deploy.py of tpu-mlir 1.30.2, tried"
COMPILER = "the compiler's own names, in the .mlir or calibration table beside it, or by the ONNX"

_TABLE = (
    LintRule("S-701", "error", "row is not a layer and a type", GUIDE),
    LintRule("S-702", "error", "type is unknown", TRIED),
    LintRule("S-703", "warning", "layer has two rows", GUIDE),
    LintRule("S-704", "error", "layer is not in the model", COMPILER),
    LintRule("S-705", "error", "layer has its ONNX name, not the compiler's", COMPILER),
    LintRule("S-706", "warning", "type may not take effect as meant on this op", TRIED),
    LintRule("S-707", "note", "names could not be checked", COMPILER),
)
TABLE_RULES: dict[str, LintRule] = {rule.id: rule for rule in _TABLE}
