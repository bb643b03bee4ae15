"""What every command shares: options, JSON output, errors, notes. Answers go to stdout, the rest to stderr."""

from __future__ import annotations

import json
import os
import sys
from math import isfinite
from pathlib import Path
from typing import Any

import click

from harness.errors import HarnessError, InputError
from harness.files.passwords import may_hold_one, values_without_passwords, without_passwords


def only_one(**flags: object) -> None:
    """Refuse two ways to print one answer. Errors: UsageError naming them."""
    given = [f"--{name.replace('_', '-')}" for name, value in flags.items() if value]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} cannot be used together.")


ANSWER_FORMAT = 1  # of the answers of `--json`; a key that goes, or means something else, makes it 2
ARGV = "harness.argv"  # in the context's meta: the words that were typed behind `harness`
JSON_ASKED = "harness.json"  # in the context's meta, which a command shares with the group that ends it


def _remember(ctx: click.Context, _param: click.Parameter, value: bool) -> bool:
    ctx.meta[JSON_ASKED] = value
    return value


json_option = click.option(
    "--json", "as_json", is_flag=True, callback=_remember, help="Print the result, or the error, as JSON."
)


class WholeHelp(click.Group):
    """A group whose list shows the whole first paragraph of each command's help: click cuts it at 45 letters."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The help's list with first paragraphs that are not cut."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [
            (name, " ".join((one.help or "").split("\n\n")[0].split())) for name, one in commands if one is not None
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


class FiniteRange(click.FloatRange):
    """A range of numbers without `nan`, which passes every comparison of a range, and without infinities."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """As click's; NaN and infinity are usage errors."""
        number: float = super().convert(value, param, ctx)
        if not isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


NO_HYPOTHESES_HELP = "Do not run variants of wrong ops (other pads, axis, weights) to name the fault kind."
MIN_COVERAGE_HELP = "Minimum share of layers compared; less is exit code 3. Default: the policy's."


def complete_board(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Names of boards for the tab key; none where the inventory cannot be read: nobody reads an error there."""
    from harness.boards.inventory import load_inventory

    try:
        names = list(load_inventory(ctx.params.get("hosts")))
    except HarnessError:
        return []
    return [name for name in names if name.startswith(incomplete)]


hosts_option = click.option(
    "--hosts",
    "hosts",
    type=click.Path(path_type=Path),
    default=None,
    help="Inventory file. Default: $HARNESS_HOSTS, ./hosts.yaml, or the user's config folder.",
)

# C0 and C1 controls but tab and newline, and the bidirectional overrides: bytes from a board never steer a terminal.
_UNSAFE = {c: f"\\x{c:02x}" for c in [*range(32), *range(127, 160)] if c not in (9, 10)} | {
    c: f"\\u{c:04x}" for c in [0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
}


# The same inside JSON strings, where json.dumps has escaped what lies below the blank; and halves of surrogate pairs,
# which UTF-8 cannot carry.
_UNSAFE_IN_JSON = {c: f"\\u{c:04x}" for c in (*(c for c in _UNSAFE if c >= 127), *range(0xD800, 0xE000))}


def clean(text: str) -> str:
    """Text from a board, made harmless for a terminal: escape sequences become visible, passwords are left out."""
    return without_passwords(text).translate(_UNSAFE)


def emit_json(answer: str, value: Any) -> None:
    """One JSON object on stdout: which answer it is (a name of harness/answers), its version, and `value`.

    Records become objects; NaN and infinities become strings. A value with a version of its own keeps it.
    """
    from harness.records.codec import to_json

    print_json({"answer": answer, "format": ANSWER_FORMAT} | to_json(value))


def print_json(plain: Any) -> None:
    """Plain values as JSON on stdout, without passwords and harmless for a terminal."""
    text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False)
    if may_hold_one(text):
        text = json.dumps(values_without_passwords(plain), indent=2, ensure_ascii=False, allow_nan=False)
    click.echo(text.translate(_UNSAFE_IN_JSON))


def say_error(error: HarnessError) -> None:
    """`error: ...` and `hint: ...` on stderr."""
    click.echo(_styled("error: ", "red") + clean(error.message), err=True)
    if error.hint:
        click.echo(_styled("hint: ", "cyan") + clean(error.hint), err=True)


def json_error(error: HarnessError) -> None:
    """The error as the answer, for what reads --json: stdout is never empty."""
    value = {"error": error.message, "hint": error.hint, "exit_code": error.exit_code}
    emit_json("error", value | ({"run": str(error.run_folder)} if error.run_folder else {}))


def note(text: str) -> None:
    """One line of progress or warning on stderr."""
    click.echo(clean(text), err=True)


def _styled(text: str, colour: str) -> str:
    return click.style(text, fg=colour, bold=True) if colours(sys.stderr) else text


def colours(stream: Any) -> bool:
    """Colours only on a terminal, and never where NO_COLOR is set (no-color.org)."""
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def new_password(name: str) -> str:
    """A password to keep: asked for twice, or one line of a pipe."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    answer: str = click.prompt(f"password of {name}", hide_input=True, confirmation_prompt=True, err=True)
    return answer


def named_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """Input and shape of `--shape INPUT=1,3,224,224`. Errors: InputError."""
    name, equals, sizes = text.rpartition("=")
    try:
        shape = tuple(int(part) for part in sizes.split(","))
    except ValueError:
        shape = ()
    if not equals or not shape or min(shape) < 1:
        raise InputError(f"--shape {text!r}: expected INPUT=SIZES", "for example --shape images=1,3,224,224")
    return name, shape
