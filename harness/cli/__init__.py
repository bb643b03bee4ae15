"""The command line: one file per command, loaded when it is called, so that `harness --help` stays instant."""

from __future__ import annotations

import sys
from typing import Any

import click

from harness.errors import ASKED_WRONGLY, COULD_NOT_MEASURE, HarnessError

JSON_IN_ARGV = "harness.json_in_argv"  # in the context's meta: known before an option is understood

# name -> first line of its help. Kept here so that the list needs no import; tests hold it to the commands.
COMMANDS = {
    "run": "Run a model on a board, compare it with the PC layer by layer, and write an HTML report.",
    "sweep": "Measure a model with every combination of threads, cores and runtime options, in one session.",
    "soak": "Run a model on a board for hours: latency, temperature, clocks, memory and outputs over time.",
    "jitter": "Find which stage adds jitter to a sequence: the float model, quantization, or the board.",
    "nightly": "Run a suite on the boards of a lab: one process, one worker a board, a verdict for every pair.",
    "farm": "Run a suite on boards of several PCs: a scheduler, a worker on each PC, one database, one night.",
    "history": "Show what nights and runs measured before: every pair, or one with its epochs, alarms and levels.",
    "bisect": "Say on which night, and with which version, a layer of a case became another one; no board is asked.",
    "compare": "Compare a board's tensor dumps with the PC reference, layer by layer.",
    "reference": "Run an ONNX model on this PC and save every intermediate tensor.",
    "report": "Write a run's report as one self-contained HTML page.",
    "diff": "Hold two to twenty runs against each other: boards, builds, settings or nights.",
    "sensitivity": "Measure what int8 costs a model, one op at a time quantized or kept in float.",
    "tune": "Find the fewest ops in int16 or float that make a model good enough, and write the config.",
    "explore": "Show what other configurations would give: error against estimated latency.",
    "calibration": "Judge calibration data: ranges, outliers, duplicates, and preprocessing against a run's inputs.",
    "export": "Write a run in a form that another tool reads.",
    "bundle": "Pack a run into one archive for the vendor: report, logs, configs, each wrong op as a model.",
    "unbundle": "Open a bundle in an empty folder and compare each wrong op again, from its own files alone.",
    "pack": "Make a package of a good run that checks a board with no PC.",
    "runs": "List the runs on this disk with their sizes, and delete tensors that nothing needs.",
    "inspect": "Identify files and show their contents.",
    "convert": "Convert a picture, an array (.npy), a PC dump or a raw tensor to a board's input file.",
    "boards": "List, check, trust, lease, clean and prepare boards; say which are in maintenance.",
    "emulator": "Build models for emulated boards and serve them.",
    "policy": "Show and check tolerance policies.",
    "explain": "Explain a finding of a run, or a rule of lint: when it is raised, from what, and what to do next.",
    "lint": "Check a toolchain config (hb_mapper, hb_compile, Magik, tpu-mlir) or a suite of `harness nightly`.",
}
PLACES = {
    "sensitivity": "precision.sensitivity",
    "tune": "precision.tune",
    "explore": "precision.explore",
    "calibration": "precision.calibration",
    "sweep": "series.sweep",
    "soak": "series.soak",
    "jitter": "series.jitter",
    "explain": "rules.explain",
    "lint": "rules.lint",
    "diff": "several.diff",
    "nightly": "farm.nightly",
    "farm": "farm.farm_group",
    "history": "farm.history",
    "bisect": "farm.bisect",
    "runs": "several.runs",
    "pack": "handover.pack",
    "bundle": "handover.bundle",
    "unbundle": "handover.unbundle",
}  # of commands that have a folder


class LateGroup(click.Group):
    """A group whose commands are imported on use; also the one place that turns errors into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands; none is imported."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of that name, imported now; None for an unknown name."""
        if name not in COMMANDS:
            return None
        from importlib import import_module

        command: click.Command = import_module(f"harness.cli.{PLACES.get(name, name)}").command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click's; what was typed is kept for `run.json` and for errors as JSON."""
        ctx.meta[JSON_IN_ARGV] = "--json" in args
        ctx.meta["harness.argv"] = list(args)  # common.ARGV, which is not worth an import here
        if not ctx.resilient_parsing:
            _refuse_empty(ctx, args)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, with the nearest name. Errors: click.UsageError."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            if near:
                raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from error
            raise

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """As click's; a usage error ends with its own style and exit code."""
        try:
            return super().make_context(*args, **extra)
        except click.UsageError as error:  # of an option of `harness` itself
            if _is_help(error):
                raise
            sys.exit(_usage_error(error.ctx, error))
        except KeyboardInterrupt:  # before a command began; click would end with 1, which says "measured and bad"
            sys.exit(COULD_NOT_MEASURE)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The help's list, from COMMANDS: no command is imported."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """As click's; an error of harness ends with its message, hint and exit code."""
        try:
            return super().invoke(ctx)
        except HarnessError as error:
            from harness.cli.common import JSON_ASKED, json_error, say_error

            say_error(error)
            if ctx.meta.get(JSON_ASKED):
                json_error(error)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            sys.exit(COULD_NOT_MEASURE)
        except click.Abort:  # a question that was answered with no; click's own code is that of "measured and bad"
            click.echo("cancelled, nothing done", err=True)
            sys.exit(ASKED_WRONGLY)
        except click.exceptions.Exit:
            raise
        except click.ClickException as error:
            if _is_help(error):
                raise
            sys.exit(_usage_error(ctx, error))
        except Exception as error:
            sys.exit(_unexpected(error))
        finally:
            _tell_left_out()


def _tell_left_out() -> None:
    """Packages that a list had to do without, on stderr; nothing is imported to find that there are none."""
    extensions = sys.modules.get("harness.extensions.packages")
    if extensions is not None:
        from harness.cli.common import note

        for problem in extensions.problems():
            note(f"warning: {problem}")


class _EmptyValue(click.UsageError):
    """Its help would not help: the shell left nothing of what was typed."""

    hint = "set the variable, or leave the option out"


def _refuse_empty(ctx: click.Context, args: list[str]) -> None:
    """An empty argument is a shell variable that was not set: without it another question would be answered."""
    for before, text in zip(["", *args], args, strict=False):
        option = before if text == "" else text[:-1] if text.startswith("--") and text.endswith("=") else None
        if option is not None:
            named = f"{option}: empty value" if option.startswith("-") else "empty argument"
            raise _EmptyValue(f"{named} (unset shell variable?)", ctx)


def _is_help(error: click.ClickException) -> bool:
    """Whether a group was typed without a command: newer versions of click raise its help as an error."""
    return type(error).__name__ == "NoArgsIsHelpError"


def _usage_error(ctx: click.Context | None, error: click.ClickException) -> int:
    """click's own errors in the one style of all others; on stdout too where --json was typed."""
    from harness.cli.common import json_error, say_error

    place = getattr(error, "ctx", None) or ctx
    shown = as_ours(error, place.command_path if place else "harness")
    say_error(shown)
    if ctx is not None and ctx.meta.get(JSON_IN_ARGV):
        json_error(shown)
    return error.exit_code


def as_ours(error: click.ClickException, command: str) -> HarnessError:
    """click's sentence as ours: lower case, no full stop, and what it proposes in the hint."""
    import re

    from harness.errors import UserError

    text = error.format_message().strip()
    text = text.replace("a valid float range", "a number").replace("a valid integer range", "a whole number")
    text = re.sub(r"not in the range x>=(\S+)$", r"less than \1", text.rstrip("."))
    text = re.sub(r"in the range (\S+)<=x<=(\S+)$", r"in the range \1 to \2", text)
    text = re.sub(r"Got unexpected extra arguments? \((.*)\)", r"unexpected argument: \1", text)
    proposal = re.search(r"[. ]*(\(Did you mean[^)]*\)|Did you mean [^?]*\?|\(Possible options: [^)]*\))$", text)
    fact = (text[: proposal.start()] if proposal else text).rstrip(".")
    hint = f"{_lower(proposal[1].strip('()'))} See {command} --help" if proposal else f"{command} --help"
    return UserError(_lower(fact), getattr(error, "hint", hint))


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _unexpected(error: Exception) -> int:
    """What no command foresaw is never exit 1, which says "measured and bad"."""
    from harness.cli import endings

    return endings.tell(error)


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from harness import __version__

        click.echo(f"harness {__version__}")
        ctx.exit()


@click.group(
    name="harness",
    cls=LateGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="""\b
    Tab completion of commands, options and boards:
      bash  eval "$(_HARNESS_COMPLETE=bash_source harness)"
      zsh   eval "$(_HARNESS_COMPLETE=zsh_source harness)"
      fish  _HARNESS_COMPLETE=fish_source harness | source
    """,
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version.",
)
def cli() -> None:
    """Check a compiled model on an NPU board against its PC reference, layer by layer, and show where the time goes.

    \b
    First steps, with no board at hand:
      harness emulator build model.onnx --soc x5 -o model.bin
      harness run model.bin --board emu-x5 --reference model_quantized_model.onnx
    """
