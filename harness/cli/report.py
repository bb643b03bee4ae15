"""`harness report`: a run folder to one self-contained page."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.common import clean, emit_json, json_option, only_one


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The page to write; else report.html in the run folder. The data goes beside it, as .json.",
)
@click.option("--markdown", "as_markdown", is_flag=True, help="Print a summary for a ticket instead of the paths.")
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser of this PC.")
@json_option
def command(run: Path, output: Path | None, as_markdown: bool, open_page: bool, as_json: bool) -> None:
    """Render RUN as one self-contained HTML file.

    RUN is a run folder, its run.json, or a case's folder (the newest run inside it). run.json alone is enough:
    no board is asked and nothing is measured again, so the exit code is 0 whatever the verdict is.

    \b
    Examples:
      harness report runs/yolo_n/emu-x5/20261120T091400Z
      harness report runs/yolo_n -o /tmp/yolo.html
      harness report runs/yolo_n --markdown | xclip
    """
    only_one(json=as_json, markdown=as_markdown)
    from harness.report.write import PAGE_NAME, write_report
    from harness.runs.folder import find_run, load_run

    file = find_run(run)
    page, beside, data = write_report(load_run(run), output or file.parent / PAGE_NAME, typed=output is not None)
    if as_json:
        emit_json(_answer(page, beside, data))
    elif as_markdown:
        from harness.report.markdown import markdown

        click.echo(markdown(data), nl=False)
    else:
        click.echo(f"{clean(str(page))}\n{clean(str(beside))}")
    if open_page:
        click.launch(str(page))


def _answer(page: Path, beside: Path, data: dict[str, object]) -> dict[str, object]:
    """What a script wants of a report; the whole data is in the file it names."""
    keys = ("run", "headline", "coverage", "counts", "numbers", "findings", "problems")
    return {"page": str(page), "data": str(beside), **{key: data[key] for key in keys}}
