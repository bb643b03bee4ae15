"""The command line: one file per command, loaded when it is called, so that `harness --help` stays instant."""

from __future__ import annotations

import sys
from typing import Any

import click

from harness.errors import ASKED_WRONGLY, COULD_NOT_MEASURE, HarnessError

JSON_IN_ARGV = "harness.json_in_argv"  # in the context's meta: known before an option is understood

# name -> first line of its help. Kept here so that the list needs no import; tests hold it to the commands.
COMMANDS = {
    "run": "Run MODEL on a board, compare with the PC layer by layer, and write an HTML report.",
    "compare": "Compare what a board left with what the PC says, layer by layer.",
    "reference": "Run an ONNX on this PC and keep every intermediate tensor.",
    "report": "Render RUN as one self-contained HTML file.",
    "inspect": "Say what FILEs are and what they hold.",
    "convert": "Make the input file that a board takes from a picture, an array (.npy), a PC dump or a raw tensor.",
    "boards": "List, check, trust, lease, clean and prepare boards.",
    "emulator": "Build models for emulated boards and serve them.",
    "policy": "Show and check the policies that judge layers.",
    "lint": "Check CONFIG, a yaml of hb_mapper (X3, J5, X5, Ultra) or hb_compile (J6, S100, S600), or Magik ptq json.",
}


class LateGroup(click.Group):
    """A group whose commands are imported on use; also the one place that turns errors into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        from importlib import import_module

        command: click.Command = import_module(f"harness.cli.{name}").command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[JSON_IN_ARGV] = "--json" in args
        ctx.meta["harness.argv"] = list(args)  # common.ARGV, which is not worth an import here
        if not ctx.resilient_parsing:
            _refuse_empty(ctx, args)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            if near:
                raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from error
            raise

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        try:
            return super().make_context(*args, **extra)
        except KeyboardInterrupt:  # before a command began; click would end with 1, which says "measured and bad"
            sys.exit(COULD_NOT_MEASURE)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
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
            click.echo("nothing was done", err=True)
            sys.exit(ASKED_WRONGLY)
        except click.exceptions.Exit:
            raise
        except click.ClickException as error:
            _as_json(ctx, error)
            raise
        except Exception as error:
            sys.exit(_unforeseen(error))


def _refuse_empty(ctx: click.Context, args: list[str]) -> None:
    """An empty argument is a shell variable that was not set: without it another question would be answered."""
    for before, text in zip(["", *args], args, strict=False):
        option = before if text == "" else text[:-1] if text.startswith("--") and text.endswith("=") else None
        if option is not None:
            named = f"{option} is followed by an empty value" if option.startswith("-") else "an argument is empty"
            error = click.UsageError(f"{named}: is a variable of the shell not set?", ctx)
            _as_json(ctx, error)
            raise error


def _as_json(ctx: click.Context, error: click.ClickException) -> None:
    """Where --json was typed, what was asked wrongly is an answer in JSON too; click says it on stderr."""
    if ctx.meta.get(JSON_IN_ARGV):
        from harness.cli.common import emit_json

        asked = getattr(error, "ctx", None)
        hint = f"{asked.command_path} --help" if asked else ""
        emit_json({"error": error.format_message(), "hint": hint, "exit_code": error.exit_code})


def _unforeseen(error: Exception) -> int:
    """What no command foresaw is never exit 1, which says "measured and bad"."""
    from harness.cli import unexpected

    return unexpected.tell(error)


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
    """Does the board compute what the PC toolchain promised, layer by layer, and where does the time go?

    \b
    First steps, with no board at hand:
      harness emulator build model.onnx --soc x5 -o model.bin
      harness run model.bin --board emu-x5 --reference model_quantized_model.onnx
    """
