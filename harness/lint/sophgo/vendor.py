"""What linting knows of Sophgo: the quantize table, held against the compiler's names, or the ONNX."""

from __future__ import annotations

from harness.lint.base import LintVendor
from harness.lint.sophgo.check import is_table, lint_file
from harness.lint.sophgo.rules import TABLE_RULES

VENDOR = LintVendor(
    tools=("quantize_table",),
    rules=TABLE_RULES,
    recognises=is_table,
    lint_file=lambda path, _tool, _command, model: lint_file(path, model),
    takes_model=True,
)
