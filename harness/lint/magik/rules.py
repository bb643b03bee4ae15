"""The rules of `harness lint ptq.json`. The checks are in magik_lint.py; a list with words: docs/boards/magik.md."""

from __future__ import annotations

from harness.lint.findings import Rule

JSON = "Magik quantization guide (Feb. 2022), chapter 3"
PICTURES = "Magik quantization guide (Feb. 2022), chapter 4.2"
COMMAND = "Magik quantization guide (Feb. 2022), chapter 2"
FAQ = "Magik quantization guide (Feb. 2022), chapter 7"

_TABLE = (
    Rule("M-701", "error", "invalid json", FAQ),
    Rule("M-702", "error", "required key is missing", JSON),
    Rule("M-703", "error", "unknown or duplicate key", JSON),
    Rule("M-704", "warning", "spelling is inconsistent in the guide", JSON),
    Rule("M-705", "error", "unknown value, or wrong type", JSON),
    Rule("M-706", "error", "calibration folder is missing or has files other than pictures", PICTURES),
    Rule("M-707", "error", "more calibration pictures requested than available", PICTURES),
    Rule("M-708", "warning", "number of calibration pictures is unusual", PICTURES),
    Rule("M-709", "error", "format or size does not match the model", JSON),
    Rule("M-710", "error", "option of the command line is unknown or missing", COMMAND),
    Rule("M-711", "error", "command line is inconsistent with the json", COMMAND),
)
PTQ_RULES: dict[str, Rule] = {rule.id: rule for rule in _TABLE}
