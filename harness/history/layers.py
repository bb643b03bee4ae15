"""Hashes of layers over time: no statistics, a bit that is another one is another one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from itertools import pairwise

from harness.history.epochs import changes_between
from harness.records import Run
from harness.records.nights.history import HistoryEntry, LayerTurn

LayerRows = Sequence[tuple[str, str, str]]  # name, md5 of the valid bytes, verdict


def layers_of(run: Run) -> list[tuple[str, str, str]]:
    """Every layer that the board told a hash of, in the order of the network."""
    rows = run.comparison.layers if run.comparison else ()
    named = [(row.name, row.valid_md5_board or row.file_md5_board, row.verdict) for row in rows]
    return [row for row in named if row[1]]


def digest_of(rows: LayerRows) -> str:
    """The name of a set of layers; "" of none."""
    return hashlib.sha256(text_of(rows).encode()).hexdigest() if rows else ""


def text_of(rows: LayerRows) -> str:
    """As it is stored."""
    return json.dumps([list(row) for row in rows])


def rows_of(text: str) -> list[tuple[str, str, str]]:
    """The stored form again; what is damaged is left out."""
    try:
        value = json.loads(text)
    except ValueError:
        return []
    rows = value if isinstance(value, list) else []
    return [(str(row[0]), str(row[1]), str(row[2])) for row in rows if isinstance(row, list) and len(row) == 3]


def turns(
    entries: Sequence[HistoryEntry], rows_by_digest: Callable[[str], LayerRows], layer: str = ""
) -> list[LayerTurn]:
    """Results on which layers became others, oldest first: of `layer`, or the first layer in the network that did.

    Entries are of one pair, oldest first. Held against each other are neighbours that have layers and were fed the
    same; another model changes what a layer computes, so that is named beside it.
    """
    changes: list[LayerTurn] = []
    before: HistoryEntry | None = None
    for entry in entries:
        if not entry.layers:
            continue
        if before is not None and entry.fed == before.fed and entry.layers != before.layers:
            turn = _turn(before, entry, rows_by_digest, layer)
            changes += [turn] if turn else []
        before = entry
    return changes


def _turn(
    before: HistoryEntry, now: HistoryEntry, rows_by_digest: Callable[[str], LayerRows], layer: str
) -> LayerTurn | None:
    old = {name: md5 for name, md5, _ in rows_by_digest(before.layers)}
    changed = [row for row in rows_by_digest(now.layers) if row[0] in old and old[row[0]] != row[1]]
    wanted = [row for row in changed if not layer or row[0] == layer]
    if not wanted:
        return None
    name, md5, verdict = wanted[0]
    return LayerTurn(name, old[name], md5, verdict, before, now, changes_between(before, now), len(changed))


def incomparable(entries: Sequence[HistoryEntry]) -> str:
    """Why nothing can be said about layers of a pair; "" where something can."""
    with_layers = [entry for entry in entries if entry.layers]
    if len(with_layers) < 2:
        return f"{len(with_layers)} of {len(entries)} results have hashes of layers"
    if not any(one.fed == other.fed for one, other in pairwise(with_layers)):
        return "no two results in a row were fed the same inputs"
    return ""
