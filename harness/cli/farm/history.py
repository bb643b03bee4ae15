"""`harness history`: what was measured before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.common import WholeHelp, clean, emit_json, json_option, note
from harness.cli.farm.history_accept import accept, revoke
from harness.cli.farm.history_options import (
    complete_case,
    complete_measured_board,
    history_option,
    nights_option,
    read_history,
    refuse_nothing,
)
from harness.cli.farm.history_replay import replay
from harness.cli.tables import table

if TYPE_CHECKING:
    from harness.records.nights.history import AcceptedLevel, HistoryEntry, PairSummary

SHOWN = 30  # results of one pair in the terminal; --json has all
SHOW = "show"
_SHOW_LEFT_OUT = f"{__name__}.show_left_out"


class HistoryGroup(WholeHelp):
    """A group whose first word may be a case: what is no subcommand is one of `show`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click's, with `show` before a case or an option of it."""
        if args[:1] not in (["-h"], ["--help"]) and (not args or args[0] not in self.commands):
            args = [SHOW, *args]
            ctx.meta[_SHOW_LEFT_OUT] = True
        return super().parse_args(ctx, args)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The subcommand; `show` for the name of a case."""
        return self.commands.get(name) or self.commands[SHOW]


@click.group(cls=HistoryGroup)
def command() -> None:
    """Show what nights and runs measured before: every pair, or one with its epochs, alarms and levels.

    The folders are the truth; the database beside them is an index that `rebuild` makes anew. Nights enter it by
    themselves.

    \b
    Examples:
      harness history
      harness history yolo_s --board x5-01
      harness history rebuild nights
      harness history rebuild runs --history postgresql+psycopg://farm@db/harness
      harness history replay series.csv
      harness history accept yolo_s --board x5-01 --reason 'larger input, wanted'
    """


for one in (replay, accept, revoke):
    command.add_command(one)


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Cases, and in the place of a subcommand those too."""
    words = sorted(command.commands) if ctx.meta.get(_SHOW_LEFT_OUT) else []
    return [*complete_case(ctx, param, incomplete), *(word for word in words if word.startswith(incomplete))]


@command.command(name=SHOW)
@click.argument("case", required=False, default="", metavar="[CASE]", shell_complete=_complete)
@click.option("--board", default="", help="Only this board.", shell_complete=complete_measured_board)
@nights_option
@history_option
@json_option
def show(case: str, board: str, nights: Path, url: str, as_json: bool) -> None:
    """List the pairs of case and board, or the results of one pair; `harness history CASE` is the same.

    \b
    Examples:
      harness history
      harness history show yolo_s
      harness history yolo_s --board x5-01
      harness history yolo_s --json
    """
    from harness.history import queries
    from harness.history.accepted import load_accepted

    with read_history(nights, url) as database:
        pairs = queries.pairs(database, case, board)
        refuse_nothing(pairs if case or board else True, case, board)
        whole = [queries.entries(database, one.case, one.board) for one in pairs] if case else []
    levels = load_accepted(nights) if case else []
    if as_json:
        series = [_series(entries, levels) for entries in whole]
        emit_json("history", {"pairs": pairs, **({"series": series} if case else {})})
    elif case:
        for entries in whole:
            _show_series(entries, levels)
    else:
        _show_pairs(pairs)


def _series(entries: list[HistoryEntry], levels: list[AcceptedLevel]) -> dict[str, object]:
    from harness.history.accepted import of_pair
    from harness.history.epochs import epochs_of
    from harness.history.queries import can_find

    accepted = of_pair(levels, entries[0].case, entries[0].board)
    return {
        "case": entries[0].case,
        "board": entries[0].board,
        "epochs": epochs_of(entries),
        "accepted": accepted,
        "can_find": can_find(entries, accepted),
        "results": entries,
    }


def _show_pairs(pairs: list[PairSummary]) -> None:
    rows = [
        (one.case, one.board, str(one.results), one.first_utc[:10], one.last_utc[:10], one.last_word, _us(one))
        for one in pairs
    ]
    if rows:
        table(
            "",
            ("case", "board", "results", "first", "newest", "verdict", "latency"),
            rows,
            right=("results", "latency"),
        )
    click.echo(f"{len(rows)} pairs of case and board")


def _us(one: PairSummary) -> str:
    return "" if one.last_median_us is None else f"{one.last_median_us:.0f} µs"


def _show_series(entries: list[HistoryEntry], levels: list[AcceptedLevel]) -> None:
    from harness.history.accepted import of_pair
    from harness.history.epochs import epochs_of
    from harness.history.queries import can_find

    accepted = of_pair(levels, entries[0].case, entries[0].board)
    finds = can_find(entries, accepted)
    click.echo(clean(f"{entries[0].case} on {entries[0].board}: {len(entries)} results"))
    for epoch in epochs_of(entries):
        since = f": {', '.join(epoch.changed)}" if epoch.changed else ""
        click.echo(clean(f"epoch from {epoch.first_utc[:10]}, {epoch.results} results{since}"))
    for level in accepted:
        click.echo(clean(f"accepted as the level from {level.night} on, by {level.by or 'hand'}: {level.reason}"))
    if finds is not None:
        click.echo(f"a change is found from {finds.in_1_night_pct:.1f} % on in one night, from "
                   f"{finds.in_3_nights_pct:.1f} % on within three")  # fmt: skip
    rows = [
        (one.started_utc, one.word or one.consistency, _median(one), _percent(one), one.alarm, one.model_md5[:8])
        for one in entries[-SHOWN:]
    ]
    table("", ("begun", "verdict", "latency", "of level", "alarm", "model"), rows, right=("latency", "of level"))


def _median(one: HistoryEntry) -> str:
    return "" if one.median_us is None else f"{one.median_us:.0f} µs{' estimated' if one.estimated else ''}"


def _percent(one: HistoryEntry) -> str:
    return "" if one.percent is None else f"{one.percent:+.1f} %"


@command.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@history_option
@json_option
def rebuild(folder: Path, url: str, as_json: bool) -> None:
    """Make the index anew from the nights and runs below DIR.

    In a database of several folders only what came from DIR is replaced. One of another version is emptied first:
    rebuild every folder then.

    \b
    Examples:
      harness history rebuild nights
      harness history rebuild runs --history sqlite:///nights/history.sqlite
    """
    from harness.cli.progress import progress
    from harness.errors import InputError
    from harness.history import entering
    from harness.history.database import has_other_version, opened, shown, url_of

    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder", "give the folder of --nights or of --runs, for example nights")
    where = url_of(folder, url)
    anew = has_other_version(where)
    if anew:
        note("the history was of another version: everything in it goes; rebuild its other folders too")
    with opened(where, anew=anew) as database, progress("history") as tell:
        count = entering.rebuild(database, folder, tell)
    if as_json:
        emit_json("history-rebuild", {"folder": str(folder), "history": shown(where), **vars(count)})
        return
    lost = f", {count.unreadable} folders could not be read" if count.unreadable else ""
    click.echo(f"{count.nights} nights, {count.results} results{lost}: {shown(where)}")
