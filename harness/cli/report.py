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
    help="Page to write; its data goes beside it, as .json. Default: report.html in the run folder.",
)
@click.option("--markdown", "as_markdown", is_flag=True, help="Print a Markdown summary for a ticket.")
@click.option(
    "--as",
    "form",
    metavar="NAME",
    help="Print one format, without a page: html, json, markdown, a package's; `list` lists them. -o FILE: write it.",
)
@click.option(
    "--lang",
    type=click.Choice(("en", "zh")),
    default="en",
    show_default=True,
    help="Of the page's headline, section titles and findings. report.json and the terminal stay English.",
)
@click.option("--open", "open_page", is_flag=True, help="Open the page in a browser.")
@json_option
def command(
    run: Path, output: Path | None, as_markdown: bool, form: str | None, lang: str, open_page: bool, as_json: bool
) -> None:
    """Write a run's report as one self-contained HTML page.

    RUN is a run folder, its run.json, or a case's folder (its newest run). Reads only run.json; no board is needed.
    Exit code 0 whatever the verdict is.

    \b
    Examples:
      harness report runs/yolo_n/emu-x5/20261120T091400Z
      harness report runs/yolo_n -o /tmp/yolo.html
      harness report runs/yolo_n --lang zh -o yolo.zh.html
      harness report runs/yolo_n --markdown | xclip
      harness report runs/yolo_n --as json -o /tmp/yolo.json
    """
    only_one(**{"json": as_json, "markdown": as_markdown, "as": form is not None})
    only_one(**{"open": open_page, "as": form is not None})
    only_one(**{"lang": lang != "en", "as": form is not None})
    if form is not None:
        _export(run, form, output)
        return
    from harness.report.write import PAGE_NAME, write_report
    from harness.runs.folder import find_run, load_run

    file = find_run(run)
    target = output or file.parent / PAGE_NAME
    page, beside, data = write_report(load_run(run), target, typed=output is not None, lang=lang)
    if as_json:
        emit_json("report", _answer(page, beside, data))
    elif as_markdown:
        from harness.report.markdown import markdown

        click.echo(markdown(data), nl=False)  # of the tables that the page was made of
    else:
        click.echo(f"{clean(str(page))}\n{clean(str(beside))}")
    if open_page:
        click.launch(str(page))


def _export(run: Path, form: str, output: Path | None) -> None:
    """Print or write one format."""
    from harness.report.exporting import EXPORTERS, exported
    from harness.report.write import write_export
    from harness.runs.folder import find_run, load_run

    if form == "list":
        for name, exporter in EXPORTERS.all().items():
            click.echo(clean(f"{name:<12}{exporter.title}"))
        return
    text = exported(form, load_run(find_run(run)))
    if output is not None:
        write_export(text, output)
        click.echo(clean(str(output)))
    else:
        click.echo(text.encode("utf-8", "backslashreplace").decode(), nl=False)


def _answer(page: Path, beside: Path, data: dict[str, object]) -> dict[str, object]:
    """What a script wants of a report; the whole data is in the file it names."""
    keys = ("run", "headline", "coverage", "counts", "numbers", "findings", "problems")
    return {"page": str(page), "data": str(beside), **{key: data[key] for key in keys}}
