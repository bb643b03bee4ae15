"""The rules of `harness lint ptq.json`. The checks are in magik_lint.py; a list with words: docs/boards/magik.md."""

from __future__ import annotations

from harness.lint.findings import LintRule

JSON = "Magik quantization guide (Feb. 2022), chapter 3"
PICTURES = "Magik quantization guide (Feb. 2022), chapter 4.2"
COMMAND = "Magik quantization guide (Feb. 2022), chapter 2"
FAQ = "Magik quantization guide (Feb. 2022), chapter 7"

_TABLE = (
    LintRule("M-701", "error", "invalid json", FAQ),
    LintRule("M-702", "error", "required key is missing", JSON),
    LintRule("M-703", "error", "unknown or duplicate key", JSON),
    LintRule("M-704", "warning", "spelling is inconsistent in the guide", JSON),
    LintRule("M-705", "error", "unknown value, or wrong type", JSON),
    LintRule("M-706", "error", "calibration folder is missing or has files other than pictures", PICTURES),
    LintRule("M-707", "error", "more calibration pictures requested than available", PICTURES),
    LintRule("M-708", "warning", "number of calibration pictures is unusual", PICTURES),
    LintRule("M-709", "error", "format or size does not match the model", JSON),
    LintRule("M-710", "error", "option of the command line is unknown or missing", COMMAND),
    LintRule("M-711", "error", "command line is inconsistent with the json", COMMAND),
    LintRule("M-712", "error", "name is not in the model", "the model file itself"),
    LintRule("M-713", "warning", "op is not in the model", "the model file itself"),
)
PTQ_RULES: dict[str, LintRule] = {rule.id: rule for rule in _TABLE}
