"""`harness export`: a run in a form that another tool reads; `--junit` and `--trace` of `harness run`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from harness.cli.common import clean, emit_json, json_option, note
from harness.errors import HarnessError, InputError

Command = TypeVar("Command", bound=Callable[..., Any])


def _print_forms(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from harness.export.forms import titles

        for name, title in titles().items():
            click.echo(clean(f"{name:<16}{title}"))
        ctx.exit()


def _complete(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    from harness.export.forms import names

    return [name for name in names() if name.startswith(incomplete)]


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--to", "form", required=True, metavar="FORM", shell_complete=_complete, help="Form; --forms lists them.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File, or folder of a form of several files. Default: stdout, or a folder of the form's name in the run's.",
)
@click.option("--forms", is_flag=True, is_eager=True, expose_value=False, callback=_print_forms, help="List the forms.")
@json_option
def command(run: Path, form: str, output: Path | None, as_json: bool) -> None:
    """Write a run in a form that another tool reads.

    RUN is a run folder, its run.json, or a case's folder (its newest run). Reads only the run folder; no board is
    needed. Exit code 0 whatever the verdict is; a form that this run cannot have is exit 2.

    \b
    Examples:
      harness export runs/yolo_n --to markdown
      harness export runs/yolo_n --to junit -o junit.xml
      harness export runs/yolo_n --to trace -o trace.json
      harness export runs/yolo_n --to csv -o tables
      harness export runs/yolo_n --to x5-records -o records
    """
    from harness.export.forms import folder_form, write_folder
    from harness.report.exporting import exported
    from harness.report.write import write_export
    from harness.runs.folder import find_run, load_run

    several = folder_form(form)
    if several is None and as_json and output is None:
        raise click.UsageError(f"--json tells what was written; {form} is printed. Give -o FILE.")
    file = find_run(run)
    loaded = load_run(file)
    if several is not None:
        written = write_folder(several, loaded, file.parent, output or file.parent / form)
    else:
        text = exported(form, loaded)
        if output is None:
            click.echo(text.encode("utf-8", "backslashreplace").decode(), nl=False)
            return
        write_export(text, output)
        written = (output,)
    if as_json:
        emit_json("export", {"run": loaded.id, "form": form, "files": [str(path) for path in written]})
    else:
        click.echo(clean("\n".join(map(str, written))))


def form_options(command: Command) -> Command:
    """`--junit FILE` and `--trace FILE`."""
    kind = click.Path(path_type=Path, dir_okay=False)
    for name, what in (
        ("--trace", "Also write a trace for Perfetto, chrome://tracing or speedscope."),
        ("--junit", "Also write JUnit XML for CI, also of a run that failed."),
    ):
        command = click.option(name, name.strip("-"), type=kind, metavar="FILE", help=what)(command)
    return command


def check_forms(junit: Path | None, trace: Path | None, runs: Path) -> None:
    """Errors: InputError for a file that cannot be written, before anything is measured. `runs` may be made yet."""
    made = Path(os.path.realpath(runs))
    for option, path in (("--junit", junit), ("--trace", trace)):
        if path is None or (path.exists() and not path.is_file() and not path.is_dir()):  # a pipe, a device
            continue
        folder = Path(os.path.realpath(path)).parent
        if path.is_dir() or (not folder.is_dir() and folder not in (made, *made.parents)):
            what = "is a folder" if path.is_dir() else f"no such folder: {path.parent}"
            raise InputError(f"{option} {path}: {what}", f"for example {option} {option.strip('-')}.out")
        if folder.is_dir() and not os.access(folder, os.W_OK):
            raise InputError(f"{option} {path}: no permission to write there", "give another folder")
    if junit and trace and os.path.realpath(junit) == os.path.realpath(trace) and not junit.is_char_device():
        raise InputError(f"--junit and --trace are one file: {junit}", "give two files")


def write_forms_beside(folder: Path, junit: Path | None, trace: Path | None, exit_code: int) -> None:
    """Write them of a run whose word stands: where it is not good, a file that cannot be written is a note only.

    Errors: InputError and OSError where a file cannot be written and `exit_code` is 0.
    """
    try:
        write_forms(folder, junit, trace)
    except (HarnessError, OSError) as error:
        if not exit_code:
            raise
        note(f"not written: {error.message if isinstance(error, HarnessError) else error}")


def write_forms(folder: Path, junit: Path | None, trace: Path | None) -> None:
    """Write what was asked for of the run in `folder`. Errors: InputError where a file cannot be written."""
    if junit is None and trace is None:
        return
    from harness.report.exporters.junit import suite
    from harness.report.exporting import exported
    from harness.report.junit import document
    from harness.report.write import PAGE_NAME, write_export
    from harness.runs.folder import load_run

    run = load_run(folder / "run.json")
    if junit is not None:
        page = os.path.relpath(folder / PAGE_NAME)  # as GitLab looks it up: from where the job began
        write_export(document([suite(run, page)]), junit)
    if trace is not None:
        write_export(exported("trace", run), trace)
