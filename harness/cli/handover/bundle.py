"""`harness bundle`: one archive of a run for the vendor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.common import clean, emit_json, json_option, note
from harness.cli.progress import progress
from harness.cli.tables import table
from harness.errors import InputError

if TYPE_CHECKING:
    from harness.handover.bundle import Bundle

LEVELS = ("none", "names", "weights", "op")  # harness/handover/contents.py says what each is
SUFFIX = ".harness.zip"


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help=f"Archive. Default: CASE-UTC{SUFFIX}."
)
@click.option(
    "--redact",
    "level",
    type=click.Choice(LEVELS),
    default="names",
    show_default=True,
    help="names: names of hosts and users, addresses and folders are replaced; weights: also no model and no inputs; "
    "op: the wrong ops alone.",
)
@click.option(
    "--leave-out", "leave_out", multiple=True, metavar="PATTERN", help="Files to leave out, as --list shows them."
)
@click.option(
    "--reference",
    type=click.Path(path_type=Path),
    metavar="DIR|NPZ",
    help="The tensors that the run was compared with, where the run does not hold them.",
)
@click.option("--list", "only_list", is_flag=True, help="Show what would be inside; write nothing.")
@json_option
def command(
    run: Path,
    output: Path | None,
    level: str,
    leave_out: tuple[str, ...],
    reference: Path | None,
    only_list: bool,
    as_json: bool,
) -> None:
    """Pack a run into one archive for the vendor: report, logs, configs, each wrong op as a model.

    RUN is a run folder, its run.json, or a case's folder (its newest run). Every op that the run blames is cut out of
    the ONNX with what it reads and what both sides gave, and compared again before it is packed. Everything is looked
    through for secrets, names of hosts and users, addresses and folders: where one is left, nothing is written.

    \b
    Examples:
      harness bundle runs/yolo_n --list
      harness bundle runs/yolo_n -o yolo.harness.zip
      harness bundle runs/yolo_n --redact op
      harness bundle runs/yolo_n --leave-out 'model/*'

    \b
    Exit codes: 0 written, 2 usage error, or something private is left, 3 both sides could not be opened.
    """
    from harness.handover.bundle import facts, make_bundle, write_bundle
    from harness.runs.folder import check_names, find_run, load_run

    file = find_run(run)
    loaded = load_run(file)
    check_names(loaded, file)
    with progress("packing"):
        bundle = make_bundle(file.parent, loaded, level, leave_out, reference)
    target = output or _default(file.parent, loaded.case.name, level)
    answer = {"archive": "" if only_list else str(target), "bytes": 0, **facts(bundle.listed)}
    if not only_list:
        _refuse_over(target, file.parent)
        answer["bytes"] = write_bundle(bundle, target)
    if as_json:
        emit_json("bundle", answer)
        return
    _show(bundle, only_list)
    if not only_list:
        click.echo(clean(f"{target}  {answer['bytes']} bytes"))


def _default(folder: Path, case: str, level: str) -> Path:
    from harness.names import safe_name

    return Path(f"{safe_name(case or 'run')}-{folder.resolve().name}{'-op' if level == 'op' else ''}{SUFFIX}")


def _refuse_over(target: Path, folder: Path) -> None:
    """Errors: InputError for an archive that would replace a file of the run."""
    if target.resolve().is_relative_to(folder.resolve()) and target.exists():
        raise InputError(f"{target}: is a file of the run", "give another -o")


def _show(bundle: Bundle, only_list: bool) -> None:
    listed = bundle.listed
    if only_list:
        rows = [(file.name, str(file.size_bytes), file.what) for file in listed.files]
        table("", ("file", "bytes", "what"), rows, right=("bytes",))
    for one in listed.ops:
        again = "compared again alone: the same" if one.replayed.same else "compared alone it is not the same"
        click.echo(clean(f"{one.op.folder}  {one.op.op} ({one.op.op_kind}), {one.op.kind or 'no kind'}: {again}"))
    for sentence in listed.notes:
        note(sentence)
    held = "with the model" if any(file.what == "model" for file in listed.files) else "without the model"
    seen = "no secret was seen" if listed.redact == "none" else "nothing private was seen"
    click.echo(f"redact {listed.redact}: {len(listed.files)} files, {held}; looked through: {seen}")
