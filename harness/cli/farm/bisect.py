"""`harness bisect`: since when, and with which version, a layer is another one. No board is asked."""

from __future__ import annotations

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
from harness.errors import COULD_NOT_MEASURE, GOOD, MEASURED_BAD

if TYPE_CHECKING:
    from harness.records.nights.history import HistoryEntry, LayerTurn

EPILOG = """\b
Examples:
  harness bisect yolo_s
  harness bisect yolo_s --board x5-01 --layer /model.22/cv1/Conv
  harness bisect yolo_s --json

\b
Exit codes: 0 no layer changed over what the history holds; 1 a layer changed; 3 nothing can be said: no two results
have hashes of layers of the same inputs.
"""


@click.command(name="bisect", epilog=EPILOG)
@click.argument("case", shell_complete=complete_case)
@click.option("--board", default="", help="Only this board.", shell_complete=complete_measured_board)
@click.option("--layer", default="", help="Only this layer; without it, the first of the network that changed.")
@nights_option
@history_option
@json_option
def command(case: str, board: str, layer: str, nights: Path, url: str, as_json: bool) -> None:
    """Say on which night, and with which version, a layer of a case became another one; no board is asked.

    Hashes of every layer are held against those of the result before, over all that the history holds: the first
    night, and what else changed with it (model, builder, runtime, image, kernel).
    """
    from harness.history import layers, queries

    with read_history(nights, url) as database:
        pairs = queries.pairs(database, case, board)
        refuse_nothing(pairs, case, board)
        reader = queries.layer_reader(database)
        series = [queries.entries(database, one.case, one.board) for one in pairs]
        turns = {entries[0].board: layers.turns(entries, reader, layer) for entries in series}
    reasons = {entries[0].board: layers.incomparable(entries) for entries in series}
    if as_json:
        emit_json("bisect", {"case": case, "layer": layer, "turns": turns, "not_comparable": _only_told(reasons)})
    else:
        for entries in series:
            _show(entries, turns[entries[0].board], reasons[entries[0].board], layer)
    if any(turns.values()):
        raise SystemExit(MEASURED_BAD)
    raise SystemExit(COULD_NOT_MEASURE if all(reasons.values()) else GOOD)


def _only_told(reasons: dict[str, str]) -> dict[str, str]:
    return {board: reason for board, reason in reasons.items() if reason}


def _show(entries: list[HistoryEntry], turns: list[LayerTurn], reason: str, layer: str) -> None:
    place = f"{entries[0].case} on {entries[0].board}"
    if not turns:
        what = f"layer {layer}" if layer else "no layer"
        held = f"{len(entries)} results from {entries[0].started_utc[:10]} to {entries[-1].started_utc[:10]}"
        words = f"{what} did not change" if layer else f"{what} changed"
        click.echo(clean(f"{place}: {f'nothing can be said: {reason}' if reason else f'{words}: {held}'}"))
    for turn in turns:
        click.echo(clean(f"{place}: {turn.layer} changed on {turn.first.started_utc} ({turn.first.night or 'a run'})"))
        click.echo(clean(f"  last as before   {turn.last.started_utc}  {turn.before}"))
        click.echo(clean(f"  first as now     {turn.first.started_utc}  {turn.after}  {turn.verdict}"))
        click.echo(clean(f"  changed with it  {', '.join(turn.changed) or 'nothing that is known'}"))
        more = turn.layers_changed - 1
        if more:
            click.echo(f"  and {more} more layer{'s' if more > 1 else ''}")
