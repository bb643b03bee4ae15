"""`harness lint`: check a toolchain's config before the toolchain does, and a suite before the night does."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import clean, colours, emit_json, json_option, only_one, print_json
from harness.errors import GOOD, MEASURED_BAD

if TYPE_CHECKING:
    from harness.lint.base import LintVendor
    from harness.lint.findings import LintFinding

EPILOG = """\b
Examples:
  harness lint config.yaml
  harness lint config.yaml --sarif > lint.sarif
  harness lint --rules
  harness lint suite.yaml
  harness lint ptq_config.json --command run.sh --model yolov5s.onnx      Magik

Exit: 0 no error found, 1 an error found, 2 the file is not a readable config.
"""
COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


def _rooms() -> dict[str, LintVendor]:
    from harness import vendors
    from harness.lint.base import LintVendor
    from harness.nightly.lint import SUITE_LINT

    return {**vendors.parts("lint", LintVendor), "suite": SUITE_LINT}


def _print_rules(as_json: bool, tool: str | None) -> None:
    from harness.lint.base import vendor_of

    listed = vendor_of(_rooms(), tool or "", "").rules
    if as_json:
        rows = [{"rule": r.id, "severity": r.severity, "title": r.title, "source": r.source} for r in listed.values()]
        emit_json("lint-rules", {"rules": rows})
        return
    for rule in listed.values():
        click.echo(f"{rule.id}  {rule.severity:<8} {rule.title}  ({rule.source})")


@click.command(epilog=EPILOG)
@click.argument("config", required=False, type=click.Path(path_type=Path), metavar="CONFIG")
@click.option(
    "--tool",
    metavar="NAME",
    help="Schema: hb_mapper, hb_compile, ptq, quantize_table, suite, or a package's. Default: detected from its text.",
)
@click.option("--command", "line", default="", metavar="TEXT|FILE", help="ptq: the transform command or script.")
@click.option("--model", type=click.Path(exists=True, path_type=Path), help="The ONNX, to check names and shapes.")
@click.option("--sarif", is_flag=True, help="Print SARIF 2.1.0 (for code hosting sites).")
@click.option("--rules", is_flag=True, help="List the rules and exit.")
@json_option
def command(config: Path | None, tool: str | None, sarif: bool, rules: bool, as_json: bool, **ptq: Any) -> None:
    """Check a toolchain config (hb_mapper, hb_compile, Magik, tpu-mlir) or a suite of `harness nightly`.

    Each finding has a stable rule, the line, why, the source, and what to write instead. --json prints an array of
    objects with the keys rule, severity, line, message, source and fix.
    """
    only_one(sarif=sarif, rules=rules, json=as_json and sarif)
    if rules:
        _print_rules(as_json, tool)
        return
    if config is None:
        tools = ", ".join(tool for room in _rooms().values() for tool in room.tools)
        raise click.UsageError(f"Missing argument 'CONFIG' (of {tools}).")
    findings = _lint(config, tool, ptq["line"], ptq["model"])
    if sarif:
        from harness import __version__
        from harness.lint.sarif import to_sarif

        known = {rule: one for vendor in _rooms().values() for rule, one in vendor.rules.items()}
        print_json(to_sarif(findings, str(config), __version__, known))
    elif as_json:
        emit_json("lint", {"file": str(config), "findings": list(findings)})
    else:
        _show(config, findings)
    sys.exit(MEASURED_BAD if any(one.severity == "error" for one in findings) else GOOD)


def _lint(config: Path, tool: str | None, line: str, model: Path | None) -> tuple[LintFinding, ...]:
    from harness.lint.base import vendor_of

    head = config.read_bytes()[: 2**20].decode("utf-8", "replace") if config.is_file() else ""
    vendor = vendor_of(_rooms(), tool or "", head)
    for option, given, takes in (("--command", line, "takes_command"), ("--model", model, "takes_model")):
        if given and not getattr(vendor, takes):
            tools = [tool for room in _rooms().values() if getattr(room, takes) for tool in room.tools]
            raise click.UsageError(f"{option} applies to {', '.join(tools)} only")
    return vendor.lint_file(config, tool or "", line, model)


def _show(config: Path, findings: tuple[LintFinding, ...]) -> None:
    for one in findings:
        severity = click.style(one.severity, fg=COLOURS[one.severity]) if colours(sys.stdout) else one.severity
        click.echo(f"{clean(str(config))}:{one.line}: {severity} {one.rule}: {clean(one.message)}")
        fix = clean(one.fix).replace("\n", "\n           ")
        click.echo(f"    fix: {fix}")
        click.echo(f"    source: {one.source}")
    counts = Counter(one.severity for one in findings)
    words = ", ".join(f"{counts[word]} {word}{'s' if counts[word] > 1 else ''}" for word in COLOURS if counts[word])
    click.echo(f"{clean(str(config))}: {words or 'clean'}")
