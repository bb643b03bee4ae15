"""`harness boards maintenance`: take a board out of the nights, and give it back."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.common import clean, complete_board, emit_json, hosts_option, json_option


@click.command(name="maintenance")
@click.argument("name", shell_complete=complete_board)
@click.option("--reason", default="", metavar="TEXT", help="Why; nights and `boards list` show it. Begins maintenance.")
@click.option(
    "--end", is_flag=True, help="End maintenance, or clear a bad board: its next job begins with a health check."
)
@hosts_option
@json_option
def maintenance(name: str, reason: str, end: bool, hosts: Path | None, as_json: bool) -> None:
    """Keep nights of this PC from using a board (--reason), or let them use it again (--end); else show its health.

    A case that runs on it now is not ended; pairs that wait for it are unmeasured, with the reason.

    \b
    Examples:
      harness boards maintenance x5-01 --reason 'new fan'
      harness boards maintenance x5-01 --end
      harness boards maintenance x5-01
    """
    from harness.boards import health as boards_health
    from harness.boards.inventory import find_board
    from harness.cli.farm.boards_list import health_words

    if reason and end:
        raise click.UsageError("--reason and --end cannot be used together.")
    board = find_board(name, hosts).name
    if reason or end:
        new = boards_health.in_maintenance(reason) if reason else boards_health.cleared()
        health = boards_health.save_health(board, new, by_hand=True)
    else:
        health = boards_health.load_health(board)
    if as_json:
        emit_json("boards-maintenance", {"board": board, "health": health})
    else:
        click.echo(clean(f"{board}: {health_words(health)}"))
