"""What linting knows of Magik: the ptq json, held against the transform command and the ONNX where they are given."""

from __future__ import annotations

from harness.lint.base import LintVendor
from harness.lint.magik.check import is_ptq, lint_file
from harness.lint.magik.rules import PTQ_RULES

VENDOR = LintVendor(
    tools=("ptq",),
    rules=PTQ_RULES,
    recognises=is_ptq,
    lint_file=lambda path, _tool, command, model: lint_file(path, command, model),
    takes_command=True,
    takes_model=True,
)
