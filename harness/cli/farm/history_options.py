"""Options of commands that read the history: which nights, which database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.common import complete_board

if TYPE_CHECKING:
    from harness.history.database import HistoryDatabase

nights_option = click.option(
    "--nights",
    default=Path("nights"),
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder of the nights. New ones in it are taken in first.",
)
history_option = click.option(
    "--history",
    "url",
    metavar="URL",
    default="",
    help="Database of the history, for example postgresql+psycopg://user@host/database.  [default: $HARNESS_HISTORY, "
    "or history.sqlite in the folder of nights]",
)


@contextmanager
def read_history(nights: Path, url: str) -> Iterator[HistoryDatabase]:
    """The history with the nights that are there by now. Errors: InputError, HostError."""
    from harness.errors import InputError
    from harness.history.database import opened, url_of
    from harness.history.entering import refresh

    if not url_of(nights, url).startswith("sqlite:///") or nights.is_dir():
        with opened(url_of(nights, url)) as database:
            if nights.is_dir():
                refresh(database, nights)
            yield database
        return
    raise InputError(f"{nights}: no such folder of nights", "give --nights DIR, or --history URL")


def refuse_nothing(results: object, case: str, board: str) -> None:
    """Errors: InputError where the history holds nothing of what was asked for."""
    from harness.errors import InputError

    if not results:
        pair = " on ".join(word for word in (case, board) if word) or "nights and runs"
        raise InputError(f"the history holds nothing of {pair}", "harness history lists what it holds")


def complete_case(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Cases that the history holds, for the tab key."""
    return sorted({case for case, _ in _pairs_held(ctx) if case.startswith(incomplete)})


def complete_measured_board(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Boards that the history holds, for the tab key; where it holds none of that name, those of the inventory."""
    boards = {board for _, board in _pairs_held(ctx)}
    return sorted(board for board in boards if board.startswith(incomplete)) or complete_board(ctx, param, incomplete)


def _pairs_held(ctx: click.Context) -> list[tuple[str, str]]:
    """Case and board of every pair in the file beside the nights. A server is not asked: it may take long to answer."""
    from harness.errors import HarnessError
    from harness.history.database import opened, url_of
    from harness.history.queries import pairs

    url = url_of(Path(ctx.params.get("nights") or "nights"), ctx.params.get("url") or "")
    scheme, _, path = url.partition(":///")
    if scheme != "sqlite" or not Path(path).is_file():
        return []
    try:
        with opened(url) as database:
            return [(one.case, one.board) for one in pairs(database)]
    except HarnessError:
        return []
