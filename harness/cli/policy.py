"""`harness policy`: what a verdict of a layer rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import WholeHelp, emit_json, json_option
from harness.cli.tables import table
from harness.consistency.arithmetic import PRECISION_BY_NAME
from harness.errors import InputError

if TYPE_CHECKING:
    from harness.consistency.policy import ErrorLimits, Policy, Waiver


@click.group(name="policy", cls=WholeHelp)
def command() -> None:
    """Show and check tolerance policies.

    \b
    Examples:
      harness policy show
      harness policy show --for Softmax --dtype s8
      harness policy check policy.yaml
    """


@command.command(name="show")
@click.argument("source", default="", metavar="[NAME|FILE]")
@click.option("--for", "op_kind", default="", metavar="OP_KIND", help="Show the limits for one op kind.")
@click.option("--dtype", default="", help="With --for: dtype of the reference tensor. Default: s8.")
@click.option(
    "--form",
    type=click.Choice(["integer", "rescaled", "float", "mixed"]),
    help="With --for: how values are compared. Default: by dtype.",
)
@click.option("--unit", default="", help="With --for: execution unit, for example CPU.")
@click.option("--platform", default="", help="With --for: platform.")
@click.option("--toolchain", default="", help="With --for: toolchain version.")
@json_option
def show(source: str, as_json: bool, **given: str) -> None:
    """Show a policy's rules in order, or the limits for one op kind.

    \b
    Example:
      harness policy show --for Conv --dtype s8 --unit CPU
    """
    from harness.consistency.policy import load_policy

    _check_subject(given)
    policy = load_policy(source)
    if given["op_kind"]:
        _show_limits(policy, given, as_json)
    elif as_json:
        emit_json("policy-show", _record(policy))
    else:
        _show_policy(policy)


def _check_subject(given: dict[str, str]) -> None:
    """Refuse what would have no effect: the options about a subject without one, a dtype that is none."""
    lone = [name for name in ("dtype", "form", "unit", "platform", "toolchain") if given[name]]
    if lone and not given["op_kind"]:
        raise click.UsageError(f"--{lone[0]} needs --for OP_KIND, for example --for Conv --{lone[0]} {given[lone[0]]}.")
    if given["dtype"]:
        from harness.consistency.reading.layouts import DTYPES

        if given["dtype"] not in DTYPES:
            raise InputError(f"--dtype {given['dtype']!r}: no such dtype", f"known: {', '.join(DTYPES)}")


def _show_limits(policy: Policy, given: dict[str, str], as_json: bool) -> None:
    from harness.consistency.policy import Subject

    dtype = given["dtype"] or "s8"
    form = given["form"] or ("float" if dtype.startswith("f") else "integer")
    subject = Subject(given["op_kind"], dtype, form, given["unit"], given["platform"], given["toolchain"])
    limits = policy.limits(subject)
    if as_json:
        emit_json("policy-limits", {"subject": subject, "limits": limits})
        return
    click.echo(f"{subject.op_kind} {dtype} ({form}): {limits_text(limits) or 'no rule: must be exact'}")
    click.echo(f"from: {', '.join(limits.names) or 'nothing'}")


def _show_policy(policy: Policy) -> None:
    rows = [[rule.name, _about(rule), limits_text(rule.limits)] for rule in policy.rules]
    table(f"policy {policy.name} ({policy.source})", ["rule", "applies to", "limits"], rows)
    note, look, bad = policy.three_way
    if policy.precision:
        click.echo(f"the board's floats: {PRECISION_BY_NAME[policy.precision].words}; its roundings are no fault")
    click.echo(f"noise ratio: note at {note:g}, look at {look:g}, bad at {bad:g}")
    if policy.min_layers or policy.optional:
        needed = ", ".join(policy.optional) or "none"
        click.echo(f"coverage: at least {policy.min_layers:.1%} of layers; optional: {needed}")
    for waiver in policy.waivers:
        click.echo(f"waiver: {waiver.op or waiver.tensor} until {waiver.until}: {waiver.reason}")


def _record(policy: Policy) -> dict[str, object]:
    note, look, bad = policy.three_way
    return {
        "policy": policy.name,
        "source": policy.source,
        "precision": policy.precision,
        "rules": policy.rules,
        "three_way": {"note": note, "look": look, "bad": bad},
        "coverage": {"min_layers": policy.min_layers, "optional": policy.optional},
        "waivers": [_waiver(w) for w in policy.waivers],
    }


def _waiver(waiver: Waiver) -> dict[str, object]:
    return {**vars(waiver), "until": waiver.until.isoformat()}


def _about(rule: Any) -> str:
    lists = (rule.dtypes, rule.op_kinds, rule.units, rule.platforms, rule.toolchains)
    return "; ".join(", ".join(names) for names in lists if names) or "everything"


def limits_text(limits: ErrorLimits) -> str:
    """Limits as people read them."""
    texts = {
        "max_step": "max step <= {:g}",
        "mismatch_share": "share <= {:g}",
        "relative_l2": "relative L2 <= {:g}",
        "max_abs_over_range": "max abs / range <= {:g}",
        "max_abs": "max abs <= {:g}",
        "abs_floor": "max abs up to {:g} is within",
        "range_floor": "max abs up to {:g} of a known range is within",
        "min_sqnr_db": "SQNR >= {:g} dB",
        "look_sqnr_db": "note below {:g} dB",
        "one_minus_cosine": "1 - cosine <= {:g}",
    }
    values = {name: getattr(limits, name) for name in texts}
    output = [texts[name].format(value) for name, value in values.items() if value is not None]
    return ", ".join([*output, *(f"{name} <= {limit:g}" for name, limit in limits.metrics.items())])


@command.command(name="check")
@click.argument("source", metavar="FILE")
@json_option
@click.pass_context
def check(context: click.Context, /, source: str, as_json: bool) -> None:
    """Check a policy file. Expired waivers are exit code 1.

    \b
    Example:
      harness policy check policy.yaml
    """
    from harness.consistency.policy import expired, load_policy

    policy = load_policy(source)
    over = expired(policy)
    if as_json:
        waivers = [_waiver(w) for w in policy.waivers]
        expired_ones = [_waiver(w) for w in over]
        emit_json(
            "policy-check",
            {"policy": policy.name, "rules": len(policy.rules), "waivers": waivers, "expired": expired_ones},
        )
    else:
        click.echo(f"{source}: policy {policy.name}, {len(policy.rules)} rules, {len(policy.waivers)} waivers")
        for waiver in over:
            click.echo(f"expired on {waiver.until}: {waiver.op or waiver.tensor}: {waiver.reason}")
    context.exit(1 if over else 0)
