"""What linting knows of Horizon: the yaml of hb_mapper and hb_compile, which says by its march whose it is."""

from __future__ import annotations

from harness.lint.base import LintVendor
from harness.lint.horizon.check import lint_file
from harness.lint.horizon.rules import RULES

VENDOR = LintVendor(
    tools=("hb_mapper", "hb_compile"),
    rules=RULES,
    recognises=lambda _text: True,
    lint_file=lambda path, tool, _command, model: lint_file(path, tool, model),
    takes_model=True,
    is_default=True,
)
