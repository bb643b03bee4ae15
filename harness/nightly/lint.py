"""What `harness lint` says of a suite file: what a night would refuse, and what it would run in vain."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from harness.config import line_of
from harness.errors import ConfigError, InputError
from harness.lint.base import LintVendor
from harness.lint.findings import LintFinding, LintRule
from harness.nightly.suite import Files, SuiteFile, load_suite

TOOL = "suite"
_SOURCE = "docs/nightly.md, suite files"
_RULES = (
    LintRule("N-101", "error", "the file is no suite: the night refuses it", "suite.schema.json"),
    LintRule("N-102", "error", "a file of the suite is not there", _SOURCE),
    LintRule("N-201", "warning", "a case that is held against nothing", _SOURCE),
    LintRule("N-202", "warning", "a latency of fewer than three blocks", "docs/nightly.md, measuring"),
    LintRule("N-203", "warning", "a case that cannot end within its budget", _SOURCE),
    LintRule("N-301", "note", "no health check: a board in doubt is only asked whether its tools are there", _SOURCE),
)
RULES = {rule.id: rule for rule in _RULES}
_LINE = re.compile(r"^(?P<file>.*?):(?P<line>\d+): ", re.DOTALL)


def is_suite(text: str) -> bool:
    """Whether the beginning of a file is meant as a suite."""
    return bool(re.search(r"^cases\s*:", text, re.MULTILINE) and re.search(r"^suite\s*:", text, re.MULTILINE))


def lint_suite(path: Path) -> tuple[LintFinding, ...]:
    """Findings by line. Errors: ConfigError where the file cannot be read as YAML at all."""
    if not path.is_file():
        raise InputError(f"{path}: no such file", "give a suite file")
    try:
        suite = load_suite(path)
    except ConfigError as error:
        line = _LINE.match(error.message)
        if line is None:
            raise
        return (_finding("N-101", int(line["line"]), error.message[line.end() :], error.hint or "see docs/nightly.md"),)
    return tuple(sorted(_findings(path, suite), key=lambda one: (one.line, one.rule)))


def _finding(rule: str, line: int, message: str, fix: str) -> LintFinding:
    return LintFinding(rule, RULES[rule].severity, line, message, RULES[rule].source, fix)


def _findings(path: Path, suite: SuiteFile) -> Iterator[LintFinding]:
    for name in suite.cases:
        yield from _missing(path, suite, name)
        yield from _in_vain(path, suite, name)
    if suite.health is None:
        yield _finding("N-301", 1, "no `health:`", "health: {model: ..., reference: ..., max_us: ...}")


def _files(files: Files) -> list[str]:
    return list(files.values()) if isinstance(files, dict) else list(files)


def _missing(path: Path, suite: SuiteFile, name: str) -> Iterator[LintFinding]:
    """Paths with the board's own words in them are looked for when pairs are settled."""
    case = suite.case(name)
    for key in ("model", "reference", "truth"):
        files = [getattr(case, key)]
        yield from _absent(path, (name, key), [file for file in files if file])
    for key in ("inputs", "samples"):
        yield from _absent(path, (name, key), _files(getattr(case, key)))


def _absent(path: Path, place: tuple[str, str], files: list[str]) -> Iterator[LintFinding]:
    for file in files:
        if "{" not in file and not (path.parent / file).exists():
            line = line_of(path, ("cases", *place))
            message = f"cases.{'.'.join(place)}: {file}: no such file or folder"
            yield _finding("N-102", line, message, "paths are relative to the suite's folder")


def _in_vain(path: Path, suite: SuiteFile, name: str) -> Iterator[LintFinding]:
    case, line = suite.case(name), line_of(path, ("cases", name))
    is_timed = "profile" in case.modes or (not case.modes and suite.boards_of(name).pick == "each")
    if case.modes and not case.reference and not is_timed and case.repeat == 1:
        message = f"cases.{name}: no `reference:`, no `profile` mode and no `repeat:`: nothing is judged"
        yield _finding("N-201", line, message, "add `reference:`, or `profile` to `modes:`")
    if is_timed and case.latency.blocks < 3:
        message = f"cases.{name}: {case.latency.blocks} block(s): a tool that prints a mean alone has no interval then"
        yield _finding("N-202", line, message, "latency: {blocks: 3}")
    if case.limits.timeout_s and case.limits.timeout_s > case.limits.budget_s:
        message = f"cases.{name}: timeout_s {case.limits.timeout_s:g} of one mode is more than budget_s of the case"
        yield _finding("N-203", line, message, f"budget_s: {case.limits.timeout_s * (len(case.modes) or 3):g}")


SUITE_LINT = LintVendor(
    tools=(TOOL,), rules=RULES, recognises=is_suite, lint_file=lambda path, _tool, _command, _model: lint_suite(path)
)
