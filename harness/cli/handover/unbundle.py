"""`harness unbundle`: open an archive of `harness bundle` and compare its ops again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import FiniteRange, clean, complete_board, emit_json, hosts_option, json_option, note
from harness.cli.progress import ask_password, progress
from harness.cli.tables import table
from harness.errors import COULD_NOT_MEASURE, GOOD, MEASURED_BAD

if TYPE_CHECKING:
    from harness.handover.bundle import BundledOp, BundleList
    from harness.records import Run


@dataclass(frozen=True)
class BoardChoice:
    """Where each op is to run, and how; no board without a name."""

    board_name: str
    models: tuple[Path, ...]
    wait_s: float
    faults: tuple[str, ...]
    hosts: Path | None


@click.command()
@click.argument("archive", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Empty folder to unpack into. Default: the archive's name."
)
@click.option("--list", "only_list", is_flag=True, help="Show what is inside; unpack nothing.")
@click.option(
    "--board", "board_name", metavar="NAME", default="", shell_complete=complete_board, help="Also run each op there."
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="op.onnx as the vendor's toolchain compiled it, one for each op; repeatable. Emulated boards need none.",
)
@click.option("--wait", "wait_s", metavar="SECONDS", default=0.0, type=FiniteRange(0), help="Wait for a leased board.")
@click.option("--fault", "faults", multiple=True, metavar="KIND@OP[:ARGS]", help="Emulated boards only: plant a fault.")
@hosts_option
@json_option
def command(archive: Path, output: Path | None, only_list: bool, as_json: bool, **options: Any) -> None:
    """Open a bundle in an empty folder and compare each wrong op again, from its own files alone.

    ARCHIVE may come from anybody: names that lead out of the folder, links, more than was announced and files that are
    not those of the list are refused. With --board the op runs on a board, and the board's values are judged.

    \b
    Examples:
      harness unbundle yolo.harness.zip --list
      harness unbundle yolo.harness.zip -o yolo
      harness unbundle yolo.harness.zip --board emu-x5
      harness unbundle yolo.harness.zip --board x5-01 --model op.bin

    \b
    Exit codes: 0 every op is named as the run named it, with --board: is right there; 1 it is not; 2 usage error, or
    an archive that is not taken; 3 could not be compared, or run.
    """
    if only_list:
        _list(archive, as_json)
        return
    from harness.handover.bundle import facts
    from harness.handover.unbundle import open_bundle, replayed

    choice = BoardChoice(**options)
    folder = output or Path(archive.name.removesuffix(".zip").removesuffix(".harness") + "-bundle")
    listed = open_bundle(archive, folder)
    with progress("comparing"):
        listed = replayed(folder, listed)
    runs = _on_board(folder, listed, choice) if choice.board_name else []
    if as_json:
        emit_json(
            "unbundle", {"folder": str(folder), **facts(listed), "on_board": [_board_facts(*one) for one in runs]}
        )
    else:
        _show(folder, listed)
        for place, run in runs:
            _show_board(place, run)
    raise SystemExit(_code_of_board(runs) if choice.board_name else _code(listed))


def _list(archive: Path, as_json: bool) -> None:
    from harness.files.archives import list_archive

    files = list_archive(archive)
    if as_json:
        emit_json(
            "unbundle-list",
            {"archive": str(archive), "files": [{"name": f.name, "bytes": f.size_bytes} for f in files]},
        )
    else:
        table("", ("file", "bytes"), [(f.name, str(f.size_bytes)) for f in files], right=("bytes",))


def _show(folder: Path, listed: BundleList) -> None:
    click.echo(clean(f"{folder}: {len(listed.files)} files, {listed.verdict} on {listed.platform} {listed.soc}"))
    for one in listed.ops:
        click.echo(clean(_words(one)))
        if one.replayed.note:
            note(one.replayed.note)
    for sentence in listed.notes:
        note(sentence)
    if not listed.ops:
        click.echo("no op inside: nothing to compare")


def _words(one: BundledOp) -> str:
    again = one.replayed
    if not again.op:
        return f"{one.op.op}: recorded {one.op.kind}; compared again: no difference"
    word = "the same as recorded" if again.same else f"recorded: {one.op.op} {one.op.kind}"
    evidence = f": {again.evidence}" if again.evidence else ""
    return f"{again.op} ({again.op_kind}), {again.kind or 'no kind'}, by {again.by}, {word}{evidence}"


def _code(listed: BundleList) -> int:
    if not listed.ops:
        return COULD_NOT_MEASURE
    return GOOD if all(one.replayed.same for one in listed.ops) else MEASURED_BAD


# --------------------------------------------------------------------------- on a board


def _on_board(folder: Path, listed: BundleList, choice: BoardChoice) -> list[tuple[Path, Run]]:
    from harness.boards.inventory import find_board
    from harness.cli.run import with_faults
    from harness.handover.op_on_board import case_of_op, compiled
    from harness.session.judged import run_and_judge

    runs = []
    for place, one in enumerate(listed.ops):
        board = find_board(choice.board_name, choice.hosts)
        model = compiled(folder / one.op.folder, board, choice.models, place)
        board = with_faults(board, choice.faults, model)
        case = case_of_op(folder / one.op.folder, one.op, model, board.limits.timeout_s, choice.wait_s)
        with progress(case.name) as tell:
            runs.append(run_and_judge(board, case, folder / "runs", tell, ask_password))
    return runs


def _show_board(folder: Path, run: Run) -> None:
    word = run.verdict.detail if run.verdict is not None else "not judged"
    kinds = [
        f"{o.op} {o.fingerprint.kind}" for o in (run.comparison.origins if run.comparison else ()) if o.fingerprint
    ]
    click.echo(clean(f"on {run.board.name}: {word}{' (' + ', '.join(kinds) + ')' if kinds else ''}; {folder}"))


def _board_facts(folder: Path, run: Run) -> dict[str, object]:
    from harness.records.codec import to_json

    origins = run.comparison.origins if run.comparison is not None else ()
    return {"run": str(folder), "verdict": to_json(run.verdict), "origins": to_json(origins)}


def _code_of_board(runs: list[tuple[Path, Run]]) -> int:
    codes = [run.verdict.exit_code if run.verdict is not None else COULD_NOT_MEASURE for _, run in runs]
    return max(codes, default=COULD_NOT_MEASURE)
