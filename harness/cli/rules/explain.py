"""`harness explain`: what a finding or a lint rule means, when it is raised, where it comes from and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from harness.cli.common import clean, emit_json, json_option
from harness.errors import InputError

if TYPE_CHECKING:
    from harness.records.running import Rule


def _rules() -> dict[str, Rule]:
    """Rules of findings and of lint by id."""
    from harness import vendors
    from harness.diagnosis import rules_of_findings
    from harness.lint.base import LintVendor
    from harness.nightly.lint import SUITE_LINT
    from harness.records.running import Rule

    rooms = [*vendors.parts("lint", LintVendor).values(), SUITE_LINT]
    linted = (rule for room in rooms for rule in room.rules.values())
    advice = "harness lint CONFIG says what to write instead, and in which line"
    known = {rule.id: Rule(rule.id, rule.severity, rule.title, advice, "", rule.source) for rule in linted}
    return known | rules_of_findings()


def _complete(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    return [rule for rule in _rules() if rule.startswith(incomplete.upper())]


@click.command()
@click.argument("rule", required=False, metavar="[ID]", shell_complete=_complete)
@json_option
def command(rule: str | None, as_json: bool) -> None:
    """Explain a finding of a run, or a rule of lint: when it is raised, from what, and what to do next.

    Without ID all are listed. --json prints objects with the keys id, severity, title, when, source and advice.

    \b
    Examples:
      harness explain C-103
      harness explain i-112 --json
      harness explain
    """
    known = _rules()
    if rule is None:
        if as_json:
            emit_json("explain-all", {"rules": list(known.values())})
        else:
            click.echo("\n".join(clean(f"{one.id}  {one.severity:<8} {one.title}") for one in known.values()))
        return
    one = known.get(rule.upper())
    if one is None:
        raise InputError(f"no finding or rule {rule!r}", _nearest(rule.upper(), known))
    if as_json:
        emit_json("explain", one)
        return
    click.echo(clean(f"{one.id}  {one.severity}: {one.title}"))
    lines = (("when", one.when), ("source", one.source), ("next", one.advice or "the finding itself says it"))
    click.echo("\n".join(clean(f"{label:<8}{text}") for label, text in lines if text))


def _nearest(rule: str, known: dict[str, Rule]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(rule, known, n=1)
    return f"did you mean {near[0]}? harness explain lists all" if near else "harness explain lists all"
