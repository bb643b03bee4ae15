"""`harness history accept` and `revoke`: a change of latency taken as the new level by a person."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.common import clean, emit_json, json_option
from harness.cli.farm.history_options import (
    complete_case,
    complete_measured_board,
    history_option,
    nights_option,
    read_history,
    refuse_nothing,
)
from harness.errors import InputError

if TYPE_CHECKING:
    from harness.records.nights.history import AcceptedLevel, HistoryEntry

CHANGED = ("slower", "faster")

_case = click.argument("case", shell_complete=complete_case)
_board = click.option("--board", default="", help="Default: the only one that has the case.",
                      shell_complete=complete_measured_board)  # fmt: skip


@click.command(name="accept")
@_case
@_board
@click.option("--night", default="", metavar="NIGHT", help="First night of the new level, as `harness history` or the "
              "trend page call it.  [default: the first of the newest nights that are slower or faster]")  # fmt: skip
@click.option("--reason", required=True, metavar="TEXT", help="Why; it stands on the trend page.")
@nights_option
@history_option
@json_option
def accept(case: str, board: str, night: str, reason: str, nights: Path, url: str, as_json: bool) -> None:
    """Take a change of latency as the new level: nights are judged from it on.

    It is written into accepted.yaml in the folder of nights, which a rebuilt index needs no more than the nights. A
    later slowdown against the new level is found as ever.

    \b
    Examples:
      harness history accept yolo_s --board x5-01 --reason 'larger input, wanted'
      harness history accept yolo_s --board x5-01 --night 20261120T010000Z --reason 'runtime 3.8'
    """
    from harness.agent.leases import owner_name
    from harness.history.accepted import load_accepted, save_accepted
    from harness.records.nights.history import AcceptedLevel

    if not reason.strip():
        raise InputError("--reason is empty", "say why the change is wanted: --reason 'larger input'")
    entries = _measured(case, board, nights, url)
    first = _first(entries, night)
    newest = max(one.night for one in entries if _suite(one) == _suite(first))
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    level = AcceptedLevel(case, first.board, first.night, newest, reason.strip(), owner_name(), now)
    others = [one for one in load_accepted(nights) if _key(one) != _key(level)]
    save_accepted(nights, [*others, level])
    if as_json:
        emit_json("history-accept", {"accepted": level, "file": str(_file(nights))})
    else:
        click.echo(clean(f"{case} on {first.board}: the level from {first.night} on ({first.median_us:.0f} µs)"))
        click.echo(f"written to {_file(nights)}; take it back: harness history revoke {case} --board {first.board}")


@click.command(name="revoke")
@_case
@_board
@click.option("--night", default="", metavar="NIGHT", help="Of several accepted levels, the one from that night on.  "
              "[default: the newest]")  # fmt: skip
@nights_option
@json_option
def revoke(case: str, board: str, night: str, nights: Path, as_json: bool) -> None:
    """Take an accepted level back: nights are judged as if it had never been.

    \b
    Example:
      harness history revoke yolo_s --board x5-01
    """
    from harness.history.accepted import load_accepted, save_accepted

    levels = load_accepted(nights)
    own = [one for one in levels if one.case == case and board in ("", one.board) and _is_called(one.night, night)]
    if not own:
        pair = f"{case}{f' on {board}' if board else ''}"
        listed = ", ".join(f"{one.case} on {one.board} from {one.night}" for one in levels[:5])
        raise InputError(f"no level of {pair} is accepted", f"accepted are: {listed}" if listed else "none is")
    if len({one.board for one in own}) > 1:
        raise InputError(f"{case} has accepted levels on several boards", f"--board {own[0].board}")
    gone = max(own, key=lambda one: one.night)
    save_accepted(nights, [one for one in levels if _key(one) != _key(gone)])
    if as_json:
        emit_json("history-revoke", {"revoked": gone, "file": str(_file(nights))})
    else:
        click.echo(clean(f"{gone.case} on {gone.board}: the level from {gone.night} on is no longer accepted"))


def _file(nights: Path) -> Path:
    from harness.history.accepted import FILE

    return nights / FILE


def _key(level: AcceptedLevel) -> tuple[str, str, str]:
    return level.case, level.board, level.night


def _suite(one: HistoryEntry) -> str:
    return one.night.rpartition("/")[0]


def _is_called(night: str, word: str) -> bool:
    """Whether a person may mean `suite/utc` by a word: all of it, its time, or nothing at all."""
    return word in ("", night, night.rpartition("/")[2])


def _measured(case: str, board: str, nights: Path, url: str) -> list[HistoryEntry]:
    """The nights of one pair that gave a latency, oldest first. Errors: InputError."""
    from harness.history import queries

    with read_history(nights, url) as database:
        pairs = queries.pairs(database, case, board)
        refuse_nothing(pairs, case, board)
        if len(pairs) > 1:
            boards = ", ".join(one.board for one in pairs[:8])
            raise InputError(f"{case} was measured on several boards: {boards}", f"--board {pairs[0].board}")
        entries = queries.entries(database, case, pairs[0].board)
    own = [one for one in entries if one.night and one.median_us is not None and one.word != "unmeasured"]
    refuse_nothing(own, case, pairs[0].board)
    return own


def _first(entries: Sequence[HistoryEntry], night: str) -> HistoryEntry:
    """Errors: InputError for a night that is not one of the pair's, or where nothing is to be accepted."""
    if not night:
        newest = entries[-1]
        if newest.word not in CHANGED:
            raise InputError(
                f"the newest night of {newest.case} on {newest.board} is {newest.word}: nothing is to be accepted",
                "name the first night of the new level with --night",
            )
        first = newest
        for one in reversed([one for one in entries if _suite(one) == _suite(newest)]):
            if one.word != newest.word or one.epoch != newest.epoch:
                break
            first = one
        return first
    for one in reversed(entries):
        if _is_called(one.night, night):
            return one
    nearest = ", ".join(one.night for one in entries[-3:])
    raise InputError(f"{entries[0].case} on {entries[0].board} has no night {night!r}", f"its newest: {nearest}")
