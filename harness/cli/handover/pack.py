"""`harness pack`: a package that checks a board with no PC."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.common import clean, emit_json, json_option
from harness.cli.progress import progress

SUFFIX = ".check.tar"


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help=f"Archive. Default: CASE-BOARD{SUFFIX}."
)
@json_option
def command(run: Path, output: Path | None, as_json: bool) -> None:
    """Make a package of a good run that checks a board with no PC.

    RUN is a run folder, its run.json, or a case's folder (its newest run); it must be good, and mode release must have
    run. Unpack the archive on the board and type `sh check.sh`: it calls the vendor's tool as the run did, and says
    pass, or which output differs. Integers are held by md5, floats by the policy's relative L2.

    \b
    Examples:
      harness pack runs/yolo_n
      harness pack runs/yolo_n/x5-01/20261120T091400Z -o yolo.check.tar

    \b
    Exit codes: 0 written, 2 usage error, or a run that is not good.
    """
    from harness.files.archives import write_tar
    from harness.handover.pack import make_package
    from harness.names import safe_name
    from harness.records.codec import to_json
    from harness.runs.folder import check_names, find_run, load_run

    file = find_run(run)
    loaded = load_run(file)
    check_names(loaded, file)
    with progress("packing"):
        package = make_package(file.parent, loaded)
    stem = safe_name(f"{loaded.case.name}-{loaded.board.name}")
    target = output or Path(f"{stem}{SUFFIX}")
    size_bytes = write_tar(target, {f"{stem}-check/{name}": source for name, source in package.files.items()})
    if as_json:
        emit_json("pack", {"archive": str(target), "bytes": size_bytes, "outputs": to_json(package.outputs)})
        return
    for one in package.outputs:
        how = "by md5" if one.kind == "whole" else "without padding" if one.kind == "valid" else f"{one.allowed:g}"
        click.echo(clean(f"{one.name}  {one.dtype}  {'relative L2 ' if one.kind == 'float' else ''}{how}"))
    click.echo(clean(f"{target}  {size_bytes} bytes; on the board: tar xf {target.name} && sh {stem}-check/check.sh"))
