"""`harness run --again RUN`: the command that a run recorded, typed once more on the model as it is now."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.common import ARGV, clean, say_error
from harness.cli.export import write_forms_beside
from harness.cli.run_options import RunOptions, only_model, soc_line_told, watched_files
from harness.cli.tables import show_run
from harness.errors import COULD_NOT_MEASURE, HarnessError, InputError

if TYPE_CHECKING:
    from harness.records import Run, TypedCommand

    NewRun = Callable[[Path | None, str, RunOptions], tuple[Path, Run]]

LOOK_S = 1.0  # between two looks at the files that are watched
BEGINNING = ("harness", "run")
RUNS_DEPTH = 3  # of --runs above run.json: case, board, moment
AGAIN = frozenset(("again", "watch", "as_json", "junit", "trace"))  # options that --again goes with
Signature = Mapping[Path, tuple[int, int, int]]


def typed_of(run: Run, file: Path) -> TypedCommand:
    """The command that made a run. Errors: InputError for a run that `harness run` did not make, or of a folder that
    is gone."""
    typed = run.command
    if typed is None or typed.argv[:2] != BEGINNING:
        raise InputError(f"{file}: does not hold a command of harness run", "type the command")
    if not Path(typed.folder).is_dir():
        raise InputError(f"{typed.folder}: the folder that the command was typed in is gone", "type the command")
    return typed


def repeat(place: Path, given: RunOptions, command: click.Command, new: NewRun) -> int:
    """Repeat a run, with --watch each time its files change; gives the exit code of the last one. Errors: InputError,
    and what `new` raises."""
    from harness.runs.folder import find_run, load_run

    file = find_run(place)
    before = load_run(file)
    typed = typed_of(before, file)
    while True:
        with as_typed(typed, command) as context:
            options = RunOptions(**{k: v for k, v in context.params.items() if k not in ("models", "board_names")})
            options = replace(options, runs=options.runs.absolute())
            _refuse_foreign(file, options.runs, typed)
            files = watched_files(context.params["models"], options)
            seen = signature(files)
            now, code = _once(context, options, given, before, new)
        if not given.watch:
            return code
        before = now or before
        try:
            wait_for_change(files, seen)
        except KeyboardInterrupt:
            return code


def _refuse_foreign(file: Path, runs: Path, typed: TypedCommand) -> None:
    """A command names an inventory and interpreters of this PC: only one that was typed here is typed again, which a
    run shows by lying where its command put it. Errors: InputError for a run that came from elsewhere."""
    if list(file.resolve().parents)[RUNS_DEPTH : RUNS_DEPTH + 1] != [runs.resolve()]:
        raise InputError(
            f"{file}: not where its command put it ({runs}), so it was made elsewhere, or moved",
            f"read the command, then type it yourself: {typed.line}",
        )


def _once(
    context: click.Context, options: RunOptions, given: RunOptions, before: Run, new: NewRun
) -> tuple[Run | None, int]:
    """One repetition, printed. With --watch what a build left half is an error to read, and no end."""
    from harness.report import write_report
    from harness.report.differences.table import differences

    click.echo(clean(f"again: {shlex.join(('harness', *context.meta[ARGV]))}"), err=True)
    try:
        with soc_line_told(options.hosts):
            folder, run = new(only_model(context.params["models"]), before.board.name, options)
    except HarnessError as error:
        if not given.watch:
            raise
        say_error(error)
        return None, error.exit_code
    show_run(folder, write_report(folder), run, given.as_json, lambda: {"difference": differences([before, run])})
    if not given.as_json:
        show_difference(before, run)
    code = run.verdict.exit_code if run.verdict else COULD_NOT_MEASURE
    write_forms_beside(folder, given.junit, given.trace, code)
    return run, code


@contextmanager
def as_typed(typed: TypedCommand, command: click.Command) -> Iterator[click.Context]:
    """The folder, the variables and the options of a recorded command, while this lasts."""
    before, variables = Path.cwd(), dict(_variables(typed.line))
    kept = {name: os.environ.get(name) for name in variables}
    os.chdir(typed.folder)
    os.environ.update(variables)
    try:
        with command.make_context("run", list(typed.argv[2:])) as context:
            context.meta[ARGV] = list(typed.argv[1:])  # what was typed stays what repeats the run
            yield context
    finally:
        os.chdir(before)
        for name, value in kept.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _variables(line: str) -> Iterator[tuple[str, str]]:
    """NAME=VALUE in front of the command."""
    for word in shlex.split(line):
        name, equals, value = word.partition("=")
        if not equals or not name.startswith("HARNESS_"):
            return
        yield name, value


def show_difference(before: Run, now: Run) -> None:
    """What is not the same in both runs, as `harness diff` prints it."""
    from harness.cli.several.diff_text import print_differences
    from harness.report.differences.table import differences

    click.echo("")
    print_differences(differences([before, now]))


def wait_for_change(files: Sequence[Path], seen: Signature) -> None:
    """Return once a file is another one than it was, and has stopped changing."""
    click.echo(clean(f"waiting for {', '.join(path.name for path in files)} (Ctrl-C ends)"), err=True)
    last = signature(files)
    while True:
        time.sleep(LOOK_S)
        now = signature(files)
        if now != seen and now == last and len(now) == len(files):
            return
        last = now


def signature(files: Sequence[Path]) -> Signature:
    """Size, change time and number of each file that is there."""
    known = {}
    for path in files:
        if path.is_file():
            facts = path.stat()
            known[path] = (facts.st_size, facts.st_mtime_ns, facts.st_ino)
    return known
